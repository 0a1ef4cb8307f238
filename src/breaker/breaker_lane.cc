#include "holdfast/breaker/internal/breaker_lane.h"

namespace holdfast::internal {

BreakerLane::BreakerLane()
    : mask_(StripeCount() - 1), stripes_(std::make_unique<Stripe[]>(mask_ + 1)) {}

template <class Do>
void BreakerLane::ForEachWord(Do act) {
  for (std::size_t i = 0; i <= mask_; ++i) {
    act(stripes_[i].admitted);
    act(stripes_[i].succeeded[0]);
    act(stripes_[i].succeeded[1]);
  }
}

std::uint64_t BreakerLane::Admitted() const {
  std::uint64_t admitted = 0;
  for (std::size_t i = 0; i <= mask_; ++i) {
    admitted += stripes_[i].admitted.load(std::memory_order_acquire) / kOne;
  }
  return admitted;
}

void BreakerLane::ReadSucceeded(Sums& sums) const {
  for (std::size_t i = 0; i <= mask_; ++i) {
    for (std::size_t word = 0; word < 2; ++word) {
      sums.succeeded[word] += stripes_[i].succeeded[word].load(std::memory_order_acquire) / kOne;
    }
  }
}

BreakerLane::Count BreakerLane::SinceTake(const Sums& sums) const {
  const std::size_t present = era_.load(std::memory_order_relaxed) % 2;
  const std::size_t before = 1 - present;
  return {.admitted = sums.admitted - taken_.admitted,
          .succeeded = sums.succeeded[present] - taken_.succeeded[present],
          .succeeded_before = sums.succeeded[before] - taken_.succeeded[before]};
}

BreakerLane::Count BreakerLane::Take() {
  constexpr int kPatience = 3;
  const auto read = [this] {
    Sums sums{.admitted = Admitted()};
    ReadSucceeded(sums);
    return sums;
  };
  Sums sums = read();
  int again = 0;
  for (; Admitted() != sums.admitted; ++again) {  // equal at once if the lane is shut
    if (again == kPatience) Shut();
    sums = read();
  }
  const Count count = SinceTake(sums);
  taken_ = sums;
  if (again > kPatience) Open(era_.load(std::memory_order_relaxed), until());
  return count;
}

// The admissions are read last, so that no success is read without its admission.
BreakerLane::Count BreakerLane::Peek() const {
  Sums sums;
  ReadSucceeded(sums);
  sums.admitted = Admitted();
  return SinceTake(sums);
}

BreakerLane::Totals BreakerLane::totals() const {
  Sums sums;
  ReadSucceeded(sums);
  Totals totals;
  totals.outcomes[Place(Outcome::kSuccess)] = sums.succeeded[0] + sums.succeeded[1] - 2 * raised_;
  for (std::size_t i = 0; i <= mask_; ++i) {
    const Stripe& stripe = stripes_[i];
    for (std::size_t place = 0; place < totals.outcomes.size(); ++place) {
      totals.outcomes[place] += stripe.ended[place].load(std::memory_order_relaxed);
    }
    totals.slow += stripe.slow.load(std::memory_order_relaxed);
    totals.refused += stripe.refused.load(std::memory_order_relaxed);
  }
  return totals;
}

void BreakerLane::Shut() {
  ForEachWord([](std::atomic<std::uint64_t>& word) {
    word.fetch_and(~kMayCount, std::memory_order_acq_rel);
  });
}

void BreakerLane::Open(std::uint64_t era, TimePoint until) {
  era_.store(era, std::memory_order_release);
  until_.store(until.time_since_epoch().count(), std::memory_order_release);
  ForEachWord([](std::atomic<std::uint64_t>& word) {
    word.store((word.load(std::memory_order_relaxed) + kOne) | kMayCount,
               std::memory_order_release);
  });
  const std::uint64_t stripes = mask_ + 1;  // every word of each was raised by one
  raised_ += stripes;
  taken_.admitted += stripes;
  for (std::uint64_t& taken : taken_.succeeded) taken += stripes;
}

}  // namespace holdfast::internal
