#include "src/metrics_http/server_site.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/base/internal/string_view.h"
#include "src/metrics_http/page.h"
#include "src/metrics_http/request_guard.h"
#include "src/metrics_http/snapshot_json.h"
#include "src/metrics_http/stack_flow.h"

namespace holdfast::internal {
namespace {

constexpr std::string_view kEventStream = "text/event-stream";

SharedText Shared(std::string text) { return std::make_shared<const std::string>(std::move(text)); }

// JSON has no line breaks, so it is one line of an event.
std::string EventOf(std::string_view json) { return absl::StrCat("data: ", ToAbsl(json), "\n\n"); }

ServerResponse Failed(std::string_view why) {
  return SentenceResponse(500, absl::StrCat("an object could not be looked at: ", ToAbsl(why)));
}

}  // namespace

ServerSite::ServerSite(const Metrics& metrics, const MetricsServerOptions& options)
    : metrics_(metrics),
      options_(options),
      step_(std::max<Duration>(options.refresh,
                               Duration(options.history) / static_cast<int>(FlowHistory::kSteps))),
      next_sample_(TimePoint::max()),
      page_(Shared(PageDocument())),
      policy_(PagePolicy()) {
  if (options.history > Duration::zero()) {
    // The times of two samples differ by less than the step where a thread is late for the first.
    history_.emplace(step_ / 2, static_cast<std::size_t>(Duration(options.history) / step_));
    next_sample_ = TimePoint::min();
  }
}

ServerResponse ServerSite::Answer(const http::wire::RequestReader& request, std::size_t streams) {
  if (auto refusal = RefusalOf(request, options_)) return *std::move(refusal);
  try {
    const auto path = PathOf(request.target());
    return path ? AnswerPath(*path, streams) : SentenceResponse(400, "the target is no path");
  } catch (const std::exception& error) {
    return Failed(error.what());
  } catch (...) {
    return Failed("it threw no exception of the standard");
  }
}

ServerResponse ServerSite::AnswerPath(std::string_view path, std::size_t streams) {
  if (path == "/") return Page();
  if (path == "/metrics") {
    return {.type = "text/plain; version=0.0.4; charset=utf-8", .body = Shared(metrics_.Text())};
  }
  if (path == "/snapshot.json") return {.type = "application/json", .body = Shared(Snapshot())};
  if (path == "/events") return Events(streams);
  if (path == "/healthz") return SentenceResponse(200, "ok");
  return SentenceResponse(404, "there is /, /metrics, /snapshot.json, /events and /healthz");
}

ServerResponse ServerSite::Page() const {
  ServerResponse response = {.type = "text/html; charset=utf-8", .body = page_};
  response.fields = {{.name = "Content-Security-Policy", .value = policy_}};
  return response;
}

// A reader that is told 204 does not come back, and asks for /snapshot.json.
ServerResponse ServerSite::Events(std::size_t streams) {
  if (streams >= static_cast<std::size_t>(options_.max_streams)) {
    return {.status = 204, .type = kEventStream};
  }
  // A reader that loses the stream asks again after a second.
  return {.type = kEventStream,
          .body = Shared(absl::StrCat("retry: 1000\n", EventOf(Snapshot()))),
          .stream = true};
}

SharedText ServerSite::StreamText() {
  try {
    return Shared(EventOf(Snapshot()));
  } catch (...) {
    return nullptr;
  }
}

void ServerSite::Sample(TimePoint now) {
  if (!history_ || now < next_sample_) return;
  next_sample_ = SaturatingAdd(now, step_);
  try {
    const MetricsSnapshot snapshot = metrics_.Snapshot();
    const std::vector<StackLayout> stacks = metrics_.Stacks();
    history_->Add(snapshot, stacks, FlowsOf(snapshot, stacks));
  } catch (...) {  // NOLINT(bugprone-empty-catch): who asks for /metrics is told
  }
}

std::string ServerSite::Snapshot() {
  const MetricsSnapshot snapshot = metrics_.Snapshot();
  const std::vector<StackLayout> stacks = metrics_.Stacks();
  const std::vector<StackFlow> flows = FlowsOf(snapshot, stacks);
  return SnapshotJson({.snapshot = snapshot,
                       .stacks = stacks,
                       .flows = flows,
                       .history = history_ ? &*history_ : nullptr,
                       .events = options_.events.get(),
                       .service_name = metrics_.service_name(),
                       .refresh = options_.refresh});
}

}  // namespace holdfast::internal
