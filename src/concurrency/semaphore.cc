#include "holdfast/concurrency/semaphore.h"

#include <absl/strings/str_cat.h>

#include <ranges>

#include "holdfast/base/internal/validate.h"

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
      clock_(options.clock),
      refusals_(RejectionKind::kBulkheadFull, "Bulkhead", options.name, "permit") {
  internal::ThrowIfInvalid(Validate(options));
}

absl::StatusOr<Permit> Semaphore::Acquire(std::int64_t n, const WaitOptions& options) {
  if (n < 1 || n > limit()) return refusals_.impossible;
  if (options.stop.stop_requested()) return refusals_.cancelled;
  Clock* const clock = clock_.get() == nullptr ? SteadyClock() : clock_.get();
  if (options.deadline != TimePoint::max() && clock->Now() > options.deadline) {
    return refusals_.deadline;
  }
  if (TryTake(n)) return Permit(this, n);

  Parker parker;
  const std::stop_callback wake(options.stop, [&parker] { parker.Wake(); });
  Waiter waiter;
  waiter.TryEnter(*this, parker, {.n = n, .now = clock->Now()});
  for (;;) {
    if (auto taken = waiter.Take()) return std::move(*taken);
    if (options.stop.stop_requested()) return refusals_.cancelled;
    if (clock->Now() >= options.deadline) return refusals_.deadline;
    clock->WaitUntil(options.deadline, parker);
  }
}

void Semaphore::SetLimit(std::int64_t limit) {
  internal::ThrowIfInvalid(Validate(Options{.limit = limit, .name = name_}));
  ChangeLimit(limit);
}

absl::StatusOr<internal::Commit> Semaphore::PrepareUpdate(Options options) {
  if (absl::Status status =
          internal::CheckSame("Semaphore", name_, options.name, clock_.given(), options.clock);
      !status.ok()) {
    return status;
  }
  options.name = name_;
  if (absl::Status status = Validate(options); !status.ok()) return status;
  return [this, limit = options.limit] { ChangeLimit(limit); };
}

void Semaphore::ChangeLimit(std::int64_t limit) {
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

// Who is served next; null if nobody waits.
Semaphore::Waiter* Semaphore::NextLocked() const {
  for (const Line& line : std::views::reverse(lines_)) {
    if (line.first != nullptr) return line.first;
  }
  return nullptr;
}

// Serves the queue from its head as far as permits go, and clears kWaiting when it is empty.
void Semaphore::ServeWaitersLocked() {
  std::uint64_t word = word_.load(std::memory_order_acquire);
  while (Waiter* const head = NextLocked()) {
    const std::int64_t n = head->place_.n;
    const bool impossible = n > Limit(word);
    if (!impossible && !Fits(word, n)) return;
    if (!impossible &&
        !word_.compare_exchange_weak(word, word + kOne * static_cast<std::uint64_t>(n),
                                     std::memory_order_acq_rel, std::memory_order_acquire)) {
      continue;
    }
    head->EndLocked(impossible ? Waiter::Fate::kExceedsCapacity : Waiter::Fate::kServed);
    word = word_.load(std::memory_order_acquire);
  }
  word_.fetch_and(~kWaiting, std::memory_order_acq_rel);
}

// For one more in the queue.
bool Semaphore::MakeRoomLocked(const Place& place) {
  if (queued_ < place.max_queue) return true;
  for (std::size_t p = 0; p <= static_cast<std::size_t>(place.priority); ++p) {
    Waiter* const last = lines_[p].last;
    if (last == nullptr) continue;
    if (last->place_.priority == place.priority && !place.newest_first) return false;
    last->EndLocked(Waiter::Fate::kGaveWay);
    return true;
  }
  return false;
}

bool Semaphore::Waiter::TryEnter(Semaphore& semaphore, Waker& waker, const Place& place) {
  const std::lock_guard lock(semaphore.mutex_);
  const bool first = semaphore.queued_ == 0;  // not so where another gives way to it
  if (place.max_queue < 1 || !semaphore.MakeRoomLocked(place)) return false;
  semaphore_ = &semaphore;
  waker_ = &waker;
  place_ = place;
  fate_ = Fate::kWaiting;
  if (first) semaphore.waiting_since_ = place.now;
  queue_age_ = SaturatingSub(place.now, semaphore.waiting_since_);
  LinkLocked();
  semaphore.word_.fetch_or(kWaiting, std::memory_order_acq_rel);
  semaphore.ServeWaitersLocked();
  return true;
}

std::optional<absl::StatusOr<Permit>> Semaphore::Waiter::Take() {
  const std::lock_guard lock(semaphore_->mutex_);
  if (fate_ == Fate::kWaiting) return std::nullopt;
  Semaphore* const semaphore = std::exchange(semaphore_, nullptr);
  if (fate_ == Fate::kExceedsCapacity) return semaphore->refusals_.impossible;
  if (fate_ == Fate::kGaveWay) return semaphore->refusals_.exhausted;
  return Permit(semaphore, place_.n);
}

void Semaphore::Waiter::Leave() {
  const std::lock_guard lock(semaphore_->mutex_);
  if (fate_ == Fate::kWaiting) {
    UnlinkLocked();
  } else if (fate_ == Fate::kServed) {
    semaphore_->word_.fetch_sub(kOne * static_cast<std::uint64_t>(place_.n),
                                std::memory_order_acq_rel);
  }
  // Those behind it may fit now.
  semaphore_->ServeWaitersLocked();
}

// Ends its waiting; Take says how.
void Semaphore::Waiter::EndLocked(Fate fate) {
  fate_ = fate;
  UnlinkLocked();
  waker_->Wake();
}

void Semaphore::Waiter::LinkLocked() {
  Line& line = semaphore_->lines_[static_cast<std::size_t>(place_.priority)];
  previous_ = place_.newest_first ? nullptr : line.last;
  next_ = place_.newest_first ? line.first : nullptr;
  (previous_ != nullptr ? previous_->next_ : line.first) = this;
  (next_ != nullptr ? next_->previous_ : line.last) = this;
  ++semaphore_->queued_;
}

void Semaphore::Waiter::UnlinkLocked() {
  Line& line = semaphore_->lines_[static_cast<std::size_t>(place_.priority)];
  (previous_ != nullptr ? previous_->next_ : line.first) = next_;
  (next_ != nullptr ? next_->previous_ : line.last) = previous_;
  --semaphore_->queued_;
}

}  // namespace holdfast
