#include "holdfast/metrics/opentelemetry_tracer.h"

#include <absl/status/status.h>

#include <atomic>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing/fake_clock.h"
#include "test/metrics/bridges/fake_tracer.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::opentelemetry_tracer_test {
namespace {

using test::FakeTracer;
using test::KeptSpan;
using testing::FakeClock;
using Attributes = std::map<std::string, std::string>;

struct Scene {
  std::shared_ptr<FakeTracer> spans = std::make_shared<FakeTracer>();
  std::shared_ptr<OpenTelemetryTracer> tracer = std::make_shared<OpenTelemetryTracer>(
      internal::OtelTracer(std::shared_ptr<opentelemetry::trace::Tracer>(spans)));
};

TEST_CASE("a call is a span, and each attempt a span of a client below it") {
  FakeClock clock;
  const Scene scene;
  int runs = 0;
  const auto fetch =
      Stack(Retry({.max_attempts = 3}))
          .Traced("orders", scene.tracer)
          .Around(
              [&runs] { return ++runs < 3 ? absl::UnavailableError("down") : absl::OkStatus(); },
              &clock);
  CHECK(fetch().ok());
  const std::vector<KeptSpan> spans = scene.spans->spans();
  REQUIRE(spans.size() == 4);
  CHECK(spans[0].name == "orders");
  CHECK_FALSE(spans[0].client);
  CHECK(spans[0].parent.empty());
  CHECK_FALSE(spans[0].failed);
  CHECK(spans[0].attributes ==
        Attributes{{"holdfast.attempts", "3i"}, {"holdfast.outcome", "success"}});
  for (std::size_t i = 1; i < 4; ++i) {
    CHECK(spans[i].name == "orders attempt");
    CHECK(spans[i].client);
    CHECK(spans[i].parent == spans[0].context.traceparent());
    CHECK(spans[i].context.trace_id() == spans[0].context.trace_id());
    CHECK(spans[i].failed == (i < 3));
  }
  CHECK(spans[2].attributes == Attributes{{"holdfast.stack", "orders"},
                                          {"http.request.resend_count", "1i"},
                                          {"holdfast.outcome", "failure"},
                                          {"error.type", "UNAVAILABLE"}});
  CHECK_FALSE(spans[1].attributes.contains("http.request.resend_count"));
  for (const KeptSpan& span : spans) CHECK(span.ends == 1);
}

TEST_CASE("a call that fails says why") {
  FakeClock clock;
  const Scene scene;
  const auto fetch =
      Stack(Retry({.max_attempts = 2}))
          .Traced("orders", scene.tracer)
          .Around([] { return absl::UnavailableError("\xE4" + std::string(300, 'x')); }, &clock);
  CHECK_FALSE(fetch().ok());
  const KeptSpan call = scene.spans->spans().at(0);
  CHECK(call.failed);
  // Valid UTF-8, in 256 bytes.
  CHECK(call.description == "\xEF\xBF\xBD" + std::string(250, 'x') + "\xE2\x80\xA6");
  CHECK(call.attributes == Attributes{{"holdfast.attempts", "2i"},
                                      {"holdfast.outcome", "failure"},
                                      {"holdfast.reason", "attempts"},
                                      {"error.type", "UNAVAILABLE"}});
}

TEST_CASE("a trace goes on with the ids and the state of its parent") {
  const Scene scene;
  const auto parent = TraceContext::Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                          "vendor=t61rcWkgMzE");
  REQUIRE(parent);
  const auto fetch =
      Stack(Retry({})).Traced("orders", scene.tracer).Around([] { return absl::OkStatus(); });
  CHECK(fetch.With({.trace = &*parent}).ok());
  const std::vector<KeptSpan> spans = scene.spans->spans();
  REQUIRE(spans.size() == 2);
  CHECK(spans[0].parent == parent->traceparent());
  CHECK(spans[0].state == "vendor=t61rcWkgMzE");
  CHECK(spans[1].context.trace_id() == parent->trace_id());
  CHECK(spans[1].context.tracestate() == "vendor=t61rcWkgMzE");
}

TEST_CASE("a parent is remote unless it is a span of this process") {
  const Scene scene;
  const auto inner =
      Stack(Retry({})).Traced("inner", scene.tracer).Around([] { return absl::OkStatus(); });
  const auto outer = Stack(Retry({})).Traced("outer", scene.tracer).Around(inner);
  const auto parent =
      TraceContext::Parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  CHECK(outer.With({.trace = &*parent}).ok());
  CHECK(inner.With({.trace = &*parent, .trace_is_local = true}).ok());
  std::map<std::string, int> remote;
  for (const KeptSpan& span : scene.spans->spans()) remote[span.name] += span.remote ? 1 : 0;
  CHECK(remote == std::map<std::string, int>{
                      {"outer", 1}, {"outer attempt", 0}, {"inner", 0}, {"inner attempt", 0}});
}

TEST_CASE("a null tracer is refused") {
  CHECK_THROWS_AS(OpenTelemetryTracer(internal::OtelTracer()), std::invalid_argument);
}

TEST_CASE("threads trace their calls at once") {
  const Scene scene;
  const auto fetch =
      Stack(Retry({})).Traced("orders", scene.tracer).Around([] { return absl::OkStatus(); });
  std::atomic<int> failures = 0;
  test::InThreads(4, [&](int) {
    for (int i = 0; i < 25; ++i) failures += fetch().ok() ? 0 : 1;
  });
  CHECK(failures == 0);
  CHECK(scene.spans->spans().size() == 200);
}

}  // namespace
}  // namespace holdfast::opentelemetry_tracer_test
