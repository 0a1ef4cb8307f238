#include "src/http/net/connector.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <poll.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "src/http/net/connect_error.h"
#include "src/http/net/tls_error.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ReadClock;

absl::Status Cancelled(const std::string& name) {
  return absl::CancelledError(absl::StrCat(name, ": the caller stopped the call"));
}

// Waits for the sockets of `connecting` and tells it which are ready.
absl::Status Await(Connecting& connecting, const std::string& name, TimePoint until,
                   const StopSignal& stop) {
  const std::vector<Connecting::Waiting> waiting = connecting.waiting();
  std::vector<pollfd> polled;
  polled.reserve(waiting.size());
  for (const Connecting::Waiting& each : waiting) {
    polled.push_back({.fd = each.descriptor, .events = POLLOUT, .revents = 0});
  }
  const WaitOutcome outcome = WaitAny(polled, until, stop);
  if (outcome.end == WaitEnd::kStopped) return Cancelled(name);
  if (outcome.end == WaitEnd::kFailed) return ConnectErrorStatus(outcome.error, name);
  const TimePoint now = ReadClock(nullptr);
  for (std::size_t i = 0; i < polled.size(); ++i) {
    if (polled[i].revents != 0) connecting.Ready(waiting[i].attempt, now);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Connected> Connect(std::string_view host, int port, const ConnectOptions& options,
                                  TimePoint deadline, const StopSignal& stop) {
  if (absl::Status status = Validate(options); !status.ok()) return status;
  if (absl::Status status = stop.status(); !status.ok()) return status;
  std::string name = options.name;
  if (name.empty()) {
    name = options.unix_path.empty() ? ConnectName(host, port)
                                     : absl::StrCat("unix:", options.unix_path);
  }
  std::vector<Address> addresses;
  if (options.unix_path.empty()) {
    const Resolver& resolver =
        options.resolver != nullptr ? *options.resolver : Resolver::OfProcess();
    LookupResult found = resolver.Lookup(host, port, deadline, stop);
    if (!found.ok()) {
      return options.name.empty() ? found.status() : AtPeer(name, found.status());
    }
    addresses = *std::move(found);
  }
  if (stop.stopped()) return Cancelled(name);
  Connecting connecting(name, std::move(addresses), options, ReadClock(nullptr), deadline);
  while (const auto until = connecting.Advance(ReadClock(nullptr))) {
    absl::Status status = Await(connecting, name, *until, stop);
    if (!status.ok()) return status;
  }
  return connecting.TakeResult();
}

}  // namespace holdfast::http::internal
