#include "holdfast/metrics/recent_events.h"

#include <algorithm>
#include <mutex>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/internal/validate.h"
#include "src/metrics/worst_keys.h"

namespace holdfast {
namespace {

// How far back an equal event is looked for, and how old it may be.
constexpr std::size_t kLookedAt = 32;
constexpr std::chrono::seconds kTogether{1};
constexpr std::size_t kCountersPerKey = 8;
constexpr std::size_t kMostEvents = 10'000;
constexpr std::size_t kMostWorstKeys = 100;

// The name of a key's breaker without the key that it ends with.
std::string_view NameWithoutKey(const Event& event) {
  if (event.kind != EventKind::kBreakerChanged || event.key.empty()) return event.name;
  std::string_view name = event.name;
  name.remove_suffix(std::min(name.size(), event.key.size()));
  if (name.ends_with('/')) name.remove_suffix(1);
  return name;
}

RecentEvent Kept(const Event& event, const RecentEventsOptions& options) {
  const auto text = [](std::string_view whole) {
    return internal::KeptText(whole, internal::kMostOfEventText);
  };
  RecentEvent kept = {.kind = event.kind,
                      .severity = event.severity,
                      .stack = text(event.stack),
                      .policy = text(event.policy),
                      .name = text(options.keys ? event.name : NameWithoutKey(event)),
                      .key = options.keys ? text(event.key) : std::string(),
                      .state = text(event.state),
                      .reason = text(event.reason),
                      .code = event.status.code(),
                      .attempt = event.attempt,
                      .took = event.took,
                      .waited = event.waited};
  if (options.messages) kept.message = text(internal::ToStd(event.status.message()));
  if (event.until != TimePoint::min() && event.until != TimePoint::max()) {
    kept.until = std::max(SaturatingSub(event.until, event.at), Duration::zero());
  }
  kept.time = kept.last = options.now();
  return kept;
}

bool AreOne(const RecentEvent& a, const RecentEvent& b) {
  return a.kind == b.kind && a.severity == b.severity && a.code == b.code && a.stack == b.stack &&
         a.policy == b.policy && a.name == b.name && a.key == b.key && a.state == b.state &&
         a.reason == b.reason;
}

}  // namespace

absl::Status Validate(const RecentEventsOptions& options) {
  internal::OptionsChecker check("RecentEvents");
  check(options.capacity >= 1 && options.capacity <= kMostEvents,
        "capacity must be in [1, 10000], not ", options.capacity);
  check(options.worst_keys >= 1 && options.worst_keys <= kMostWorstKeys,
        "worst_keys must be in [1, 100], not ", options.worst_keys);
  check(options.now != nullptr, "now must be a function");
  return check.status();
}

struct RecentEvents::Impl {
  explicit Impl(RecentEventsOptions o)
      : options(internal::Validated(std::move(o))),
        next_wants(options.next == nullptr ? Severity::kWarning : options.next->least_severity()),
        worst(options.worst_keys * kCountersPerKey) {}

  // With the mutex held: the i-th newest.
  RecentEvent& Newest(std::size_t i) { return ring[(end + ring.size() - 1 - i) % ring.size()]; }

  // With the mutex held. One that stands for this one, too.
  RecentEvent* Equal(const RecentEvent& event) {
    if (event.kind == EventKind::kBreakerChanged) return nullptr;
    for (std::size_t i = 0; i < std::min(ring.size(), kLookedAt); ++i) {
      RecentEvent& one = Newest(i);
      if (event.time - one.time >= kTogether) return nullptr;
      if (AreOne(one, event)) return &one;
    }
    return nullptr;
  }

  // What it pushes out is left in `event`, to be destroyed with nothing locked.
  void Add(RecentEvent& event, const Event& told) {
    const std::lock_guard lock(mutex);
    ++total;
    if (options.keys && event.kind == EventKind::kRefused && !told.key.empty()) {
      worst.Add(told, event.time);
    }
    if (RecentEvent* const equal = Equal(event)) {
      ++equal->count;
      equal->last = std::max(equal->last, event.time);
      return;
    }
    event.number = ++numbered;
    if (ring.size() < options.capacity) {
      ring.push_back(std::move(event));
      end = ring.size() % options.capacity;
      return;
    }
    std::swap(ring[end], event);
    end = (end + 1) % ring.size();
  }

  const RecentEventsOptions options;
  const Severity next_wants;
  mutable std::mutex mutex;
  std::vector<RecentEvent> ring;  // once it is full, `end` is the oldest
  std::size_t end = 0;
  std::uint64_t total = 0;
  std::uint64_t numbered = 0;
  internal::WorstKeyCounters worst;
};

RecentEvents::RecentEvents(RecentEventsOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}
RecentEvents::~RecentEvents() = default;

Severity RecentEvents::least_severity() const {
  return std::min(impl_->options.least_severity, impl_->next_wants);
}

void RecentEvents::OnEvent(const Event& event) {
  if (event.severity >= impl_->options.least_severity) {
    RecentEvent kept = Kept(event, impl_->options);
    impl_->Add(kept, event);
  }
  if (impl_->options.next != nullptr && event.severity >= impl_->next_wants) {
    impl_->options.next->OnEvent(event);
  }
}

std::vector<RecentEvent> RecentEvents::Events() const {
  const std::lock_guard lock(impl_->mutex);
  std::vector<RecentEvent> events;
  events.reserve(impl_->ring.size());
  for (std::size_t i = 0; i < impl_->ring.size(); ++i) events.push_back(impl_->Newest(i));
  return events;
}

std::uint64_t RecentEvents::total() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->total;
}

std::vector<WorstKey> RecentEvents::WorstKeys() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->worst.Worst(impl_->options.worst_keys);
}

bool RecentEvents::keeps_keys() const { return impl_->options.keys; }

}  // namespace holdfast
