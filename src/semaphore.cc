#include "holdfast/semaphore.h"

#include <absl/strings/str_cat.h>

#include "holdfast/internal/validate.h"

namespace holdfast {

absl::Status Validate(const Semaphore::Options& options) {
  if (options.limit < 1 || options.limit > Semaphore::kMaxLimit) {
    return absl::InvalidArgumentError(absl::StrCat(
        "Semaphore ", options.name, ": limit must be in [1, 2^31 - 1], not ", options.limit));
  }
  return absl::OkStatus();
}

Semaphore::Semaphore(Options options)
    : word_(static_cast<std::uint64_t>(options.limit) << kLimitShift),
      name_(options.name),
      clock_(internal::NullIfSteady(options.clock)),
      refusals_(RejectionKind::kBulkheadFull, "Bulkhead", options.name, "permit") {
  internal::ThrowIfInvalid(Validate(options));
}

absl::StatusOr<Permit> Semaphore::Acquire(std::int64_t n, const WaitOptions& options) {
  if (n < 1 || n > limit()) return refusals_.impossible;
  if (options.stop.stop_requested()) return refusals_.cancelled;
  Clock* const clock = clock_ == nullptr ? SteadyClock() : clock_;
  if (options.deadline != TimePoint::max() && clock->Now() > options.deadline) {
    return refusals_.deadline;
  }
  if (TryTake(n)) return Permit(this, n);

  Parker parker;
  const std::stop_callback wake(options.stop, [&parker] { parker.Wake(); });
  Waiter waiter;
  waiter.TryEnter(*this, n, parker);
  for (;;) {
    if (auto taken = waiter.Take()) return std::move(*taken);
    if (options.stop.stop_requested()) return refusals_.cancelled;
    if (clock->Now() >= options.deadline) return refusals_.deadline;
    clock->WaitUntil(options.deadline, parker);
  }
}

void Semaphore::SetLimit(std::int64_t limit) {
  internal::ThrowIfInvalid(Validate(Options{.limit = limit, .name = name_}));
  const std::lock_guard lock(mutex_);
  constexpr std::uint64_t kRest = (std::uint64_t{1} << kLimitShift) - 1;
  std::uint64_t word = word_.load(std::memory_order_relaxed);
  while (!word_.compare_exchange_weak(
      word, (static_cast<std::uint64_t>(limit) << kLimitShift) | (word & kRest),
      std::memory_order_acq_rel, std::memory_order_relaxed)) {
  }
  ServeWaitersLocked();
}

std::int64_t Semaphore::queued() const {
  const std::lock_guard lock(mutex_);
  return queued_;
}

void Semaphore::ServeWaiters() {
  const std::lock_guard lock(mutex_);
  ServeWaitersLocked();
}

// Serves the queue from its head as far as permits go, and clears kWaiting when it is empty.
void Semaphore::ServeWaitersLocked() {
  std::uint64_t word = word_.load(std::memory_order_acquire);
  while (first_ != nullptr) {
    Waiter& head = *first_;
    const bool impossible = head.n_ > Limit(word);
    if (!impossible && !Fits(word, head.n_)) return;
    if (!impossible &&
        !word_.compare_exchange_weak(word, word + kOne * static_cast<std::uint64_t>(head.n_),
                                     std::memory_order_acq_rel, std::memory_order_acquire)) {
      continue;
    }
    head.fate_ = impossible ? Waiter::Fate::kImpossible : Waiter::Fate::kServed;
    head.UnlinkLocked();
    head.waker_->Wake();
    word = word_.load(std::memory_order_acquire);
  }
  word_.fetch_and(~kWaiting, std::memory_order_acq_rel);
}

bool Semaphore::Waiter::TryEnter(Semaphore& semaphore, std::int64_t n, Waker& waker,
                                 std::int64_t max_queue) {
  const std::lock_guard lock(semaphore.mutex_);
  if (semaphore.queued_ >= max_queue) return false;
  semaphore_ = &semaphore;
  waker_ = &waker;
  n_ = n;
  fate_ = Fate::kWaiting;
  previous_ = semaphore.last_;
  next_ = nullptr;
  (previous_ != nullptr ? previous_->next_ : semaphore.first_) = this;
  semaphore.last_ = this;
  ++semaphore.queued_;
  semaphore.word_.fetch_or(kWaiting, std::memory_order_acq_rel);
  semaphore.ServeWaitersLocked();
  return true;
}

std::optional<absl::StatusOr<Permit>> Semaphore::Waiter::Take() {
  const std::lock_guard lock(semaphore_->mutex_);
  if (fate_ == Fate::kWaiting) return std::nullopt;
  Semaphore* const semaphore = std::exchange(semaphore_, nullptr);
  if (fate_ == Fate::kImpossible) return semaphore->refusals_.impossible;
  return Permit(semaphore, n_);
}

void Semaphore::Waiter::Leave() {
  const std::lock_guard lock(semaphore_->mutex_);
  if (fate_ == Fate::kWaiting) {
    UnlinkLocked();
  } else if (fate_ == Fate::kServed) {
    semaphore_->word_.fetch_sub(kOne * static_cast<std::uint64_t>(n_), std::memory_order_acq_rel);
  }
  // Those behind it may fit now.
  semaphore_->ServeWaitersLocked();
}

void Semaphore::Waiter::UnlinkLocked() {
  (previous_ != nullptr ? previous_->next_ : semaphore_->first_) = next_;
  (next_ != nullptr ? next_->previous_ : semaphore_->last_) = previous_;
  --semaphore_->queued_;
}

}  // namespace holdfast
