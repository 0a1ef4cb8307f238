#include "holdfast/stack/internal/stack_info.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>

#include "holdfast/base/internal/string_view.h"
#include "src/base/info_text.h"

namespace holdfast::internal {
namespace {

using Stacked = std::span<const NamedInfo>;

constexpr Duration kUnknown = Duration::max();

Duration Plus(Duration a, Duration b) { return SaturatingAdd(TimePoint(a), b).time_since_epoch(); }

std::string Text(const NamedInfo& policy) {
  const std::string& settings = policy.info.settings;
  return absl::StrCat(ToAbsl(policy.name), settings.empty() ? "" : "(", settings,
                      settings.empty() ? "" : ")");
}

// How long a policy takes, where what is below it takes `below`.
Duration WithAttempts(const PolicyInfo& policy, Duration below) {
  if (below == kUnknown) return kUnknown;
  const Duration last = Plus(below, policy.last_hedge);
  return std::min(Plus(SaturatingMul(last, policy.attempts), policy.backoff),
                  Plus(policy.max_elapsed, last));
}

// How long the stack lets a call take, as its timeouts have it.
Duration LongestIn(Stacked stack) {
  if (stack.empty()) return kUnknown;
  const PolicyInfo& outermost = stack.front().info;
  if (outermost.timeout != kUnknown) return outermost.timeout;
  return WithAttempts(outermost, LongestIn(stack.subspan(1)));
}

// A policy and what is around and below it.
struct Place {
  const NamedInfo& policy;
  const NamedInfo* timeout;  // around it, the tightest; may be null
  Stacked below;

  const PolicyInfo& info() const { return policy.info; }
  Duration time() const { return timeout == nullptr ? kUnknown : timeout->info.timeout; }
};

// Each says what is wrong with a place.
using Fault = std::optional<std::string>;

Fault AttemptTooLong(const Place& place) {
  const Duration attempt = LongestIn(place.below);
  if (place.info().attempts <= 1 || attempt == kUnknown || attempt < place.time()) return {};
  return absl::StrCat("an attempt of ", Text(place.policy), " may take ", DurationText(attempt),
                      ", which leaves nothing of the ", Text(*place.timeout),
                      " around it for another: give the attempt a shorter timeout");
}

Fault AttemptsTooLong(const Place& place) {
  const Duration attempt = LongestIn(place.below);
  if (place.info().attempts <= 1 || attempt == kUnknown) return {};
  const Duration all = WithAttempts(place.info(), attempt);
  if (all <= place.time()) return {};
  return absl::StrCat(Text(place.policy), " may take ", DurationText(all), " with ",
                      DurationText(attempt), " for each attempt, more than the ",
                      Text(*place.timeout),
                      " around it: allow more time, or fewer, shorter attempts, or a max_elapsed");
}

Fault HedgesTooLate(const Place& place) {
  const Duration last_hedge = place.info().last_hedge;
  if (last_hedge == Duration::zero() || place.time() == kUnknown || last_hedge < place.time()) {
    return {};
  }
  return absl::StrCat(Text(place.policy), " sends its last hedge after ", DurationText(last_hedge),
                      ", when the ", Text(*place.timeout),
                      " around it is over: make its delay or max_hedges less");
}

Fault WaitTooLong(const Place& place) {
  const Duration max_wait = place.info().max_wait;
  if (max_wait == kUnknown || max_wait <= place.time()) return {};
  return absl::StrCat(Text(place.policy), " waits longer than the ", Text(*place.timeout),
                      " around it: make its max_wait less");
}

Fault WindowTooShort(const Place& place) {
  const Duration below = LongestIn(place.below);
  const Duration longest = std::min(below, place.time());
  const Duration window = place.info().window;
  if (window == Duration::zero() || below == kUnknown || window >= SaturatingMul(longest, 2)) {
    return {};
  }
  return absl::StrCat(Text(place.policy), " counts in a window of ", DurationText(window),
                      ", less than twice the ", DurationText(longest),
                      " that a call below it may take: make that longer");
}

Fault WaitsForever(const Place& place) {
  if (place.info().max_wait != kUnknown || place.time() != kUnknown) return {};
  return absl::StrCat(Text(place.policy),
                      " may keep a call waiting for ever: put a Timeout around it, or give it a "
                      "max_wait");
}

Fault WaitsInVain(const Place& place) {
  if (!place.info().waits_for_refusals) return {};
  if (place.time() == kUnknown) {
    return absl::StrCat(Text(place.policy), " may wait for ever: put a Timeout around it");
  }
  for (const NamedInfo& inner : place.below) {
    if (inner.info.open_for < place.time()) continue;
    return absl::StrCat(Text(place.policy), " waits for ", Text(inner),
                        ", which may be open for as long as the ", Text(*place.timeout),
                        " around them: let it be open for less, or the whole take longer");
  }
  return {};
}

Fault LeaseTooShort(const Place& place) {
  const Duration lease = place.info().probe_lease;
  const Duration longest = std::min(LongestIn(place.below), place.time());
  if (lease == Duration::zero() || longest == kUnknown || lease >= longest) return {};
  return absl::StrCat(Text(place.policy), " gives a probe ", DurationText(lease),
                      ", less than the ", DurationText(longest),
                      " that a call below it may take: make its probe_lease longer");
}

Fault TooManyProbes(const Place& place) {
  for (const NamedInfo& inner : place.below) {
    if (place.info().probes <= inner.info.limit) continue;
    return absl::StrCat(Text(place.policy), " sends ", CountText(place.info().probes, "probe"),
                        " at once, more than the ", Text(inner),
                        " inside of it lets through: make its max_requests less");
  }
  return {};
}

// After an outage longer than the window of the latencies, the first probes would set the time that
// the next are cut off after, and one that is slower by chance would open the breaker again.
Fault ProbesJudgedByProbes(const Place& place) {
  for (const NamedInfo& inner : place.below) {
    if (place.info().probes <= inner.info.learns_after) continue;
    return absl::StrCat(
        Text(place.policy), " closes after ", CountText(place.info().probes, "probe"), ", and the ",
        Text(inner), " inside of it may cut them off by the time of ",
        CountText(inner.info.learns_after, "call"), ": make its min_samples at least as many");
  }
  return {};
}

}  // namespace

std::string DescribeStack(Stacked stack) {
  std::string text;
  for (const NamedInfo& policy : stack) {
    absl::StrAppend(&text, text.empty() ? "" : " > ", Text(policy));
  }
  return text;
}

absl::Status ValidateStack(Stacked stack) {
  const NamedInfo* timeout = nullptr;
  for (std::size_t i = 0; i < stack.size(); ++i) {
    const Place place{.policy = stack[i], .timeout = timeout, .below = stack.subspan(i + 1)};
    for (const auto fault :
         {AttemptTooLong, AttemptsTooLong, HedgesTooLate, WaitTooLong, WaitsForever, WaitsInVain,
          WindowTooShort, LeaseTooShort, TooManyProbes, ProbesJudgedByProbes}) {
      if (const Fault found = fault(place)) {
        return absl::InvalidArgumentError(absl::StrCat("Stack: ", *found));
      }
    }
    const Duration limit = stack[i].info.timeout;
    if (limit < (timeout == nullptr ? kUnknown : timeout->info.timeout)) timeout = &stack[i];
  }
  return absl::OkStatus();
}

}  // namespace holdfast::internal
