// A counting semaphore with a queue of waiters, whose fast path is one compare-and-swap.
//
// Model. The state is one 64-bit word and a queue. The word holds the limit, the permits in use and
// the flag kWaiting; the queue (lines_, one intrusive list for each priority) is guarded by mutex_.
// As limit, use and flag are one word, taking permits is one compare-and-swap against all three, so
// no interleaving can pass the limit or overtake a waiter.
//
//   acquire   TryTake: while kWaiting is clear and n permits fit, add n to the word.
//             Otherwise a Waiter enters the queue, under the mutex.
//   release   GiveBack: subtract n. If kWaiting was set, serve the queue, under the mutex.
//   limit     ChangeLimit: replace the limit's bits, then serve the queue, under the mutex.
//   serve     ServeWaitersLocked: give permits to the head of the queue while they fit; clear
//             kWaiting when the queue is empty.
//
// Invariants.
//   1. Permits in use exceed the limit only after the limit was lowered: every addition happens in
//      a compare-and-swap that has checked both.
//   2. Only holders of mutex_ change kWaiting and the queue, and whenever the mutex is free
//      kWaiting is set exactly if the queue is not empty.
//   3. Whenever the mutex is free, the head of the queue does not fit, unless a release that saw
//      kWaiting is about to take the mutex and serve.
//   4. Each waiter's fate changes once, from kWaiting, under the mutex; then it is in no list.
//
// No wake-up is lost. TryEnter sets kWaiting first and then tries to serve. Consider a release that
// runs at the same time. All changes of the word are read-modify-writes, so they have one order. If
// the subtraction comes before the setting of kWaiting, then TryEnter's attempt to serve sees the
// permits. If it comes after, the release sees kWaiting in the value that it replaced, and serves
// the queue itself, once it gets the mutex. Either way somebody looks at the queue with the permits
// free.
//
// Why the memory orders suffice. A permit is a right to touch what the semaphore protects, so what
// its last holder did must be visible to the next one. The release is a read-modify-write with
// acq_rel (release part); a taker's compare-and-swap has acquire, and reads from that release or
// from a later read-modify-write, which continues its release sequence. A failed compare-and-swap,
// and the first load in TryTake, are relaxed: their value is only the expectation of the next
// compare-and-swap. Where a waiter is served, the server acquires through its own acq_rel operation
// and passes that on to the waiter by the mutex, which Take locks. limit() and in_use() are loads
// of a moment and order nothing that a caller could rely on.
//
// Refusals are counted by those who decide them, each once: a waiter's where its fate becomes one
// (EndLocked), or where it leaves without its permits (Leave). The counters order nothing.
//
// Wakers are called with the mutex held, so that a waiter that leaves cannot be woken afterwards; a
// Waker must not call back.
#include "holdfast/concurrency/semaphore.h"

#include <ranges>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/validate.h"

namespace holdfast {

using internal::PermitRefusal;

absl::Status Validate(const Semaphore::Options& options) {
  internal::OptionsChecker check("Semaphore", options.name);
  check(options.limit != 0, "limit is missing; set it to the most permits at once");
  check(options.limit >= 1 && options.limit <= Semaphore::kMaxLimit,
        "limit must be in [1, 2^31 - 1], not ", options.limit);
  return check.status();
}

Semaphore::Semaphore(Options options) : Semaphore(std::move(options), "Bulkhead") {}

Semaphore::Semaphore(Options options, std::string_view policy)
    : word_(static_cast<std::uint64_t>(internal::Validated(options).limit) << kLimitShift),
      name_(options.name),
      clock_(options.clock),
      refusals_(RejectionKind::kBulkheadFull, policy, options.name, "permit") {}

absl::StatusOr<Permit> Semaphore::Acquire(std::int64_t n, const WaitOptions& options) {
  const auto refuse = [this](PermitRefusal why, const absl::Status& status) {
    refused_.Count(why, Priority::kNormal);
    return status;
  };
  if (n < 1 || n > limit()) return refuse(PermitRefusal::kExceedsCapacity, refusals_.impossible);
  if (options.stop.stop_requested()) return refuse(PermitRefusal::kCancelled, refusals_.cancelled);
  Clock* const clock = clock_.get() == nullptr ? SteadyClock() : clock_.get();
  if (options.deadline != TimePoint::max() && clock->Now() > options.deadline) {
    return refuse(PermitRefusal::kDeadline, refusals_.deadline);
  }
  if (TryTake(n)) return Permit(this, n);

  Parker parker;
  const std::stop_callback wake(options.stop, [&parker] { parker.Wake(); });
  Waiter waiter;
  // Never false: its queue has no bound but the number of threads.
  (void)waiter.TryEnter(*this, parker, {.n = n, .now = clock->Now()});
  for (;;) {
    if (auto taken = waiter.Take()) return std::move(*taken);
    if (options.stop.stop_requested()) return refusals_.cancelled;
    if (clock->Now() >= options.deadline) {
      waiter.Leave(PermitRefusal::kDeadline);
      return refusals_.deadline;
    }
    clock->WaitUntil(options.deadline, parker);
  }
}

void Semaphore::SetLimit(std::int64_t limit) {
  internal::ThrowIfInvalid(Validate(Options{.limit = limit, .name = name_}));
  ChangeLimit(limit);
}

absl::StatusOr<internal::Commit> Semaphore::PrepareUpdate(Options options) {
  if (absl::Status status =
          internal::KeepNameAndValidate("Semaphore", name_, clock_.given(), options);
      !status.ok()) {
    return status;
  }
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

// The waiter to serve next; null if nobody waits.
Semaphore::Waiter* Semaphore::NextLocked() const {
  for (const Line& line : std::views::reverse(lines_)) {
    if (line.first != nullptr) return line.first;
  }
  return nullptr;
}

// Serves the queue from its head while permits suffice, and clears kWaiting when it is empty.
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

// Makes room for one more waiter; false if the queue is full and nobody must make room for it.
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
  const bool first = semaphore.queued_ == 0;  // not so if another was refused to make room
  if (place.max_queue < 1 || !semaphore.MakeRoomLocked(place)) {
    semaphore.refused_.Count(PermitRefusal::kQueueFull, place.priority);
    return false;
  }
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

void Semaphore::Waiter::Leave(PermitRefusal why) {
  Semaphore& semaphore = *semaphore_;
  const std::lock_guard lock(semaphore.mutex_);
  if (fate_ == Fate::kWaiting) {
    UnlinkLocked();
  } else if (fate_ == Fate::kServed) {
    semaphore.word_.fetch_sub(kOne * static_cast<std::uint64_t>(place_.n),
                              std::memory_order_acq_rel);
  }
  if (fate_ == Fate::kWaiting || fate_ == Fate::kServed) {
    semaphore.refused_.Count(why, place_.priority);
  }
  semaphore_ = nullptr;
  // The waiters behind it may fit now.
  semaphore.ServeWaitersLocked();
}

// Ends the waiting; Take returns how.
void Semaphore::Waiter::EndLocked(Fate fate) {
  fate_ = fate;
  if (fate == Fate::kExceedsCapacity) {
    semaphore_->refused_.Count(PermitRefusal::kExceedsCapacity, place_.priority);
  } else if (fate == Fate::kGaveWay) {
    semaphore_->refused_.Count(PermitRefusal::kGaveWay, place_.priority);
  }
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
