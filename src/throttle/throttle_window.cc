#include "holdfast/throttle/internal/throttle_window.h"

#include <algorithm>
#include <numeric>
#include <span>

namespace holdfast::internal {
namespace {

std::uint64_t Sum(std::span<const std::uint64_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

// A reader may find counters of different moments, and so a difference below zero.
std::uint64_t NotNegative(std::uint64_t count) {
  return static_cast<std::int64_t>(count) < 0 ? 0 : count;
}

ThrottleCounts Minus(ThrottleCounts counts, const ThrottleCounts& less) {
  for (std::size_t i = 0; i < kPriorities; ++i) counts.requests[i] -= less.requests[i];
  counts.accepts -= less.accepts;
  counts.refused -= less.refused;
  return counts;
}

}  // namespace

double ThrottleRule::Overall(std::uint64_t requests, std::uint64_t accepts) const {
  if (requests < min_requests) return 0;
  const auto n = static_cast<double>(requests);
  return std::clamp((n - k * static_cast<double>(accepts)) / (n + 1), 0.0, max_rejection);
}

double ThrottleRule::Overall(const ThrottleCounts& counts) const {
  return Overall(Sum(counts.requests), counts.accepts);
}

double ThrottleRule::Of(Priority priority, const ThrottleCounts& counts) const {
  const auto index = static_cast<std::size_t>(priority);
  const std::span<const std::uint64_t> requests = counts.requests;
  const std::uint64_t lower = Sum(requests.first(index));
  const std::uint64_t mine = requests[index];
  const std::uint64_t all = lower + Sum(requests.subspan(index));
  const double to_refuse =
      Overall(all, counts.accepts) * static_cast<double>(all) - static_cast<double>(lower);
  if (to_refuse <= 0) return 0;
  // The first call of a priority cannot exceed what is to be rejected.
  if (to_refuse >= static_cast<double>(mine)) return 1;
  return to_refuse / static_cast<double>(mine);
}

bool ThrottleRule::Calm(const ThrottleCounts& counts) const {
  return k * static_cast<double>(counts.accepts) >= static_cast<double>(Sum(counts.requests));
}

ThrottleWindow::ThrottleWindow(const ThrottleRule& rule, Duration period, std::int64_t buckets)
    : k_(rule.k),
      max_rejection_(rule.max_rejection),
      min_requests_(rule.min_requests),
      mask_(StripeCount() - 1),
      stripes_(std::make_unique<Stripe[]>(mask_ + 1)),
      period_(period),
      starts_(static_cast<std::size_t>(buckets)) {}

ThrottleCounts ThrottleWindow::Present() const {
  constexpr auto kOrder = std::memory_order_seq_cst;
  ThrottleCounts counts;
  counts.accepts = accepts_offset_.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < kPriorities; ++i) {
    const std::uint64_t accepted = accepted_[i].load(kOrder);
    counts.accepts += accepted;
    counts.requests[i] = NotNegative(accepted + failed_[i].load(kOrder) + refused_[i].load(kOrder) +
                                     requests_offset_[i].load(std::memory_order_relaxed));
  }
  counts.accepts = NotNegative(counts.accepts);
  return counts;
}

void ThrottleWindow::AcceptTense(Priority priority) {
  Count(accepted_, priority, std::memory_order_seq_cst);
  if (!rule().Calm(Present())) return;
  const std::lock_guard lock(mutex_);
  Reassess();
}

void ThrottleWindow::CountAgainst(Counters& counters, Priority priority) {
  Count(counters, priority, std::memory_order_seq_cst);
  if (!calm()) return;
  const std::lock_guard lock(mutex_);
  Reassess();
}

// Begins a later bucket, unless another thread has. With the first time ever, and with the first
// one after a change of the buckets, the present bucket begins.
void ThrottleWindow::Turn(TimePoint now) {
  const std::lock_guard lock(mutex_);
  const std::optional<Turning> turning = TurningAt(now);
  if (!turning) return;
  begun_ = true;
  era_ += turning->turns;
  const ThrottleCounts everything = Everything();
  // All buckets that began meanwhile, as far as they are in the window.
  const std::uint64_t begun = std::min<std::uint64_t>(turning->turns, starts_.size());
  for (std::uint64_t i = 0; i < begun; ++i) StartOf(era_ - i) = everything;
  Reassess();
  ends_ = turning->ends;
  turns_at_.store(ends_.time_since_epoch().count(), std::memory_order_release);
}

// Nullopt: the bucket of `now` has begun.
std::optional<ThrottleWindow::Turning> ThrottleWindow::TurningAt(TimePoint now) const {
  const bool begins = turns_at_.load(std::memory_order_relaxed) == kAtOnce;
  const TimePoint ends = begins ? std::min(now, ends_) : ends_;
  const bool no_time = begun_ && now == TimePoint::min();  // a success that read no clock
  if (now < ends || no_time || (!begins && ends == TimePoint::max())) return std::nullopt;
  const Duration::rep over = SaturatingSub(now, ends) / period_;  // whole buckets
  return Turning{.turns = static_cast<std::uint64_t>(over) + (begins ? 0 : 1),
                 .ends = SaturatingAdd(SaturatingAdd(ends, SaturatingMul(period_, over)), period_)};
}

void ThrottleWindow::Change(const ThrottleRule& rule, Duration period,
                            std::vector<ThrottleCounts>& starts) {
  const std::lock_guard lock(mutex_);
  SetRule(rule);
  if (period != period_ || starts.size() != starts_.size()) SetBuckets(period, starts);
  Reassess();
}

void ThrottleWindow::SetRule(const ThrottleRule& rule) {
  k_.store(rule.k, std::memory_order_relaxed);
  max_rejection_.store(rule.max_rejection, std::memory_order_relaxed);
  min_requests_.store(rule.min_requests, std::memory_order_relaxed);
}

// The start of a new bucket is what had been counted when the old bucket began that contains its
// beginning, both counted back from the end of the present one. Where the old buckets go back no
// further, it is what had been counted when the oldest of them began.
void ThrottleWindow::SetBuckets(Duration period, std::vector<ThrottleCounts>& starts) {
  const std::uint64_t old_size = starts_.size();
  for (std::uint64_t i = 0; i < starts.size(); ++i) {
    const Duration ago = SaturatingMul(period, static_cast<Duration::rep>(i + 1));
    const auto old = static_cast<std::uint64_t>((ago - Duration(1)) / period_);
    starts[starts.size() - 1 - i] = StartOf(era_ + old_size - std::min(old, old_size - 1));
  }
  starts_.swap(starts);
  period_ = period;
  era_ = starts_.size() - 1;
  turns_at_.store(kAtOnce, std::memory_order_release);
}

ThrottleTotals ThrottleWindow::Totals() const {
  ThrottleTotals totals;
  for (std::size_t i = 0; i < kPriorities; ++i) {
    totals.accepted[i] = accepted_[i].load(std::memory_order_seq_cst) + InStripes(i);
    totals.failed[i] = failed_[i].load(std::memory_order_seq_cst);
    totals.refused[i] = refused_[i].load(std::memory_order_seq_cst);
  }
  return totals;
}

// What the stripes have accepted of one priority.
std::uint64_t ThrottleWindow::InStripes(std::size_t priority) const {
  std::uint64_t accepted = 0;
  for (std::size_t stripe = 0; stripe <= mask_; ++stripe) {
    accepted += stripes_[stripe].accepted[priority].load(std::memory_order_relaxed);
  }
  return accepted;
}

ThrottleCounts ThrottleWindow::Everything() const {
  const ThrottleTotals totals = Totals();
  ThrottleCounts counts{.accepts = Sum(totals.accepted), .refused = Sum(totals.refused)};
  for (std::size_t i = 0; i < kPriorities; ++i) counts.requests[i] = totals.Requests(i);
  return counts;
}

void ThrottleWindow::Reassess() {
  const ThrottleCounts& start = StartOf(era_ + 1);  // of era_ - size + 1
  std::uint64_t accepts_offset = 0 - start.accepts;
  for (std::size_t i = 0; i < kPriorities; ++i) {
    const std::uint64_t accepted = InStripes(i);
    accepts_offset += accepted;
    requests_offset_[i].store(accepted - start.requests[i], std::memory_order_relaxed);
  }
  accepts_offset_.store(accepts_offset, std::memory_order_relaxed);
  const bool calm = rule().Calm(Present());
  calm_.store(calm, std::memory_order_seq_cst);
  if (calm && !rule().Calm(Present())) calm_.store(false, std::memory_order_seq_cst);
}

ThrottleCounts ThrottleWindow::CountsAt(TimePoint now) const {
  const std::lock_guard lock(mutex_);
  const std::optional<Turning> turning = TurningAt(now);
  const std::uint64_t turns = turning ? turning->turns : 0;
  if (turns >= starts_.size()) return {};
  return Minus(Everything(), StartOf(era_ + turns + 1));
}

}  // namespace holdfast::internal
