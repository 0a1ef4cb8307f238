#include "src/http/net/waiting.h"

#include <absl/container/inlined_vector.h>
#include <absl/strings/str_cat.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <system_error>
#include <utility>

#include "holdfast/base/internal/process.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ProcessGeneration;
using holdfast::internal::ReadClock;

timespec TimeLeft(TimePoint until) {
  const Duration left = std::max(SaturatingSub(until, ReadClock(nullptr)), Duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  return {.tv_sec = seconds.count(), .tv_nsec = (left - seconds).count()};
}

// ppoll, whose time is what is left after each signal that interrupts it.
WaitOutcome Poll(std::span<pollfd> polled, TimePoint until) {
  for (;;) {
    timespec left = {};
    if (until != TimePoint::max()) left = TimeLeft(until);
    const int found =
        ::ppoll(polled.data(), polled.size(), until == TimePoint::max() ? nullptr : &left, nullptr);
    if (found > 0) return {.end = WaitEnd::kReady, .ready = {}, .error = 0};
    if (found < 0 && errno != EINTR) {
      return {.end = WaitEnd::kFailed, .ready = {}, .error = errno};
    }
    if (until != TimePoint::max() && ReadClock(nullptr) >= until) {
      return {.end = WaitEnd::kTimeUp, .ready = {}, .error = 0};
    }
  }
}

// As Poll; the last one is the signal's, which comes first. A descriptor that is none would be
// found ready for ever.
WaitOutcome PollWith(std::span<pollfd> polled, TimePoint until, const StopSignal& stop) {
  constexpr WaitOutcome kStopped = {.end = WaitEnd::kStopped, .ready = {}, .error = 0};
  if (stop.stopped()) return kStopped;
  polled.back() = {.fd = stop.descriptor(), .events = POLLIN, .revents = 0};
  const WaitOutcome outcome = Poll(polled, until);
  if (outcome.end != WaitEnd::kReady) return outcome;
  if ((polled.back().revents & POLLIN) != 0) return kStopped;
  const bool valid = std::ranges::none_of(
      polled, [](const pollfd& each) { return (each.revents & POLLNVAL) != 0; });
  return valid ? outcome : WaitOutcome{.end = WaitEnd::kFailed, .ready = {}, .error = EBADF};
}

}  // namespace

StopSignal::StopSignal(std::stop_token stop) : stop_(std::move(stop)) {
  if (!stop_.stop_possible()) return;
  event_.Reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event_) {
    error_ = errno;
    return;
  }
  raise_.emplace(stop_, Raise{.event = event_.get(), .generation = ProcessGeneration()});
}

absl::Status StopSignal::status() const {
  if (error_ == 0) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat("no file descriptor for the stop token: ",
                                                   std::generic_category().message(error_)));
}

void StopSignal::Raise::operator()() const noexcept {
  if (generation != ProcessGeneration()) return;
  const std::uint64_t one = 1;
  // It can only fail where somebody else has closed the descriptor, which the wait then finds.
  [[maybe_unused]] const ssize_t written = ::write(event, &one, sizeof one);
}

WaitOutcome Wait(int descriptor, Interest interest, TimePoint until, const StopSignal& stop) {
  std::array<pollfd, 2> polled = {};
  pollfd& one = polled[0];
  one.fd = interest.any() ? descriptor : -1;
  if (interest.read) one.events |= POLLIN;
  if (interest.write) one.events |= POLLOUT;
  WaitOutcome outcome = PollWith(polled, until, stop);
  if (outcome.end == WaitEnd::kReady) {
    const bool failed = (one.revents & (POLLERR | POLLHUP)) != 0;
    outcome.ready = {.read = interest.read && (failed || (one.revents & POLLIN) != 0),
                     .write = interest.write && (failed || (one.revents & POLLOUT) != 0)};
  }
  return outcome;
}

WaitOutcome WaitAny(std::span<pollfd> descriptors, TimePoint until, const StopSignal& stop) {
  constexpr std::size_t kUsual = 16;
  absl::InlinedVector<pollfd, kUsual + 1> polled(descriptors.begin(), descriptors.end());
  for (pollfd& each : polled) each.revents = 0;
  polled.emplace_back();
  const WaitOutcome outcome = PollWith({polled.data(), polled.size()}, until, stop);
  for (std::size_t i = 0; i < descriptors.size(); ++i) descriptors[i].revents = polled[i].revents;
  return outcome;
}

}  // namespace holdfast::http::internal
