#include "src/rate/token_schedule.h"

#include <algorithm>
#include <utility>

#include "src/rate/token_axis.h"

namespace holdfast::internal {

std::int64_t TokenSchedule::Course::Rise(std::int64_t position, std::int64_t cap) {
  const std::int64_t risen = position > at ? level + (position - at) : level;
  at = std::max(at, position);
  level = std::min(risen, cap);
  return risen - level;
}

// A promise of more than the burst, which was larger then, gathers its tokens all the same.
std::int64_t TokenSchedule::CapBefore(const Promise* next) const {
  return next == nullptr ? burst_ : std::max(burst_, next->units);
}

void TokenSchedule::Changed() {
  walked_ = false;
  known_units_ = -1;
}

void TokenSchedule::Link(std::shared_ptr<Promise> promise) {
  Promise* const added = promise.get();
  Promise* before = tail_;
  while (before != nullptr && before->end > added->end) before = before->previous;
  added->previous = before;
  added->next = std::exchange(before == nullptr ? head_ : before->next, added);
  (added->next == nullptr ? tail_ : added->next->previous) = added;
  added->pending = true;
  promised_ += added->units;
  added->self = std::move(promise);
}

void TokenSchedule::Unlink(Promise& promise) {
  if (first_new_ == &promise) first_new_ = promise.next;
  (promise.previous == nullptr ? head_ : promise.previous->next) = promise.next;
  (promise.next == nullptr ? tail_ : promise.next->previous) = promise.previous;
  promise.pending = false;
  promised_ -= promise.units;
  const std::shared_ptr<Promise> last = std::move(promise.self);
}

void TokenSchedule::Begin(std::int64_t burst, std::int64_t at, std::int64_t spent) {
  Drop(at);
  first_new_ = nullptr;
  burst_ = burst;
  course_ = {.at = at, .level = std::min(at - spent, burst) + promised_};
  queue_ = true;
  Changed();
}

// While nothing is left over, each promise begins where the one before it ended. One that does not
// begins at the end of something that was taken without a promise, hence when its time had come.
std::int64_t TokenSchedule::Reached(std::int64_t spent, std::int64_t known,
                                    std::int64_t early) const {
  std::int64_t reached = kAnyTime;
  std::int64_t end = known;
  for (const Promise* promise = first_new_; promise != nullptr; promise = promise->next) {
    const std::int64_t begin = promise->end - promise->units;
    reached = std::max(reached, promise->made_at);
    if (begin > end) reached = std::max(reached, begin - early);
    end = std::max(end, promise->end);
  }
  return spent > end ? std::max(reached, spent - early) : reached;
}

bool TokenSchedule::IsQueue() {
  if (queue_ || walked_) return queue_;
  walked_ = true;
  queue_ = true;
  Course course = course_;
  for (const Promise* promise = head_; promise != nullptr && queue_; promise = promise->next) {
    const std::int64_t ran_over = course.Rise(promise->end, CapBefore(promise));
    course.level -= promise->units;
    queue_ = ran_over == 0 && course.level <= 0;
    left_at_ = promise->end;
  }
  return queue_;
}

void TokenSchedule::Advance(std::int64_t position) {
  while (head_ != nullptr && head_->end <= position) {
    course_.Rise(head_->end, CapBefore(head_));
    course_.level -= head_->units;
    Unlink(*head_);
  }
  course_.Rise(position, CapBefore(head_));
  if (head_ == nullptr) queue_ = true;
  if (at() >= left_at_) walked_ = false;
}

std::int64_t TokenSchedule::BalanceAt(std::int64_t position) const {
  Course course = course_;
  std::int64_t promised = promised_;
  const Promise* promise = head_;
  for (; promise != nullptr && promise->end <= position; promise = promise->next) {
    course.Rise(promise->end, CapBefore(promise));
    course.level -= promise->units;
    promised -= promise->units;
  }
  course.Rise(position, CapBefore(promise));
  return course.level - promised;
}

std::int64_t TokenSchedule::EarliestFor(std::int64_t units, std::int64_t from) {
  from = std::max(from, at());
  if (units == 0) {
    const std::int64_t first = EarliestFor(1, from);
    return first == from ? first : first - 1;
  }
  if (queue_) return std::max(from, Spent() + units);
  if (units == known_units_ && from >= known_from_ && from <= known_) return known_;

  known_units_ = units;
  known_from_ = from;
  known_ = Search(units, from);
  return known_;
}

// One walk suffices: between two promises the first position with enough tokens is also the best,
// since a later one leaves less time for what was taken to be made up for by what would have run
// over.
std::int64_t TokenSchedule::Search(std::int64_t units, std::int64_t from) const {
  Course course = course_;
  bool found = false;
  std::int64_t where = 0;
  std::int64_t lacking = 0;  // of what is taken there, and not made up for
  const auto look_before = [&](const Promise* promise) {
    where = std::max(from, course.at + std::max<std::int64_t>(units - course.level, 0));
    found = promise == nullptr || where <= promise->end;
    lacking = units;
    if (found) course.Rise(where, CapBefore(promise));
  };
  for (const Promise* promise = head_; promise != nullptr; promise = promise->next) {
    if (!found) look_before(promise);
    const std::int64_t ran_over = course.Rise(promise->end, CapBefore(promise));
    course.level -= promise->units;
    if (!found) continue;
    lacking = std::max<std::int64_t>(lacking - ran_over, 0);
    if (lacking == 0) return where;
    found = course.level >= lacking;
  }
  if (!found) look_before(nullptr);
  return where;
}

void TokenSchedule::Take(std::int64_t units) {
  course_.level -= units;
  Changed();
}

void TokenSchedule::Add(const std::shared_ptr<Promise>& promise) {
  if (queue_) queue_ = promise->end <= Spent() + promise->units;
  Link(promise);
  Changed();
}

void TokenSchedule::Insert(std::shared_ptr<Promise> promise) {
  Promise* const added = promise.get();
  Link(std::move(promise));
  if (first_new_ == nullptr || first_new_ == added->next) first_new_ = added;
}

void TokenSchedule::Cancel(Promise& promise) {
  queue_ = queue_ && promise.next == nullptr;
  Unlink(promise);
  course_.level = std::min(course_.level, CapBefore(head_));
  if (empty()) queue_ = true;
  Changed();
}

std::shared_ptr<Promise> TokenSchedule::Lift(Promise& promise) {
  std::shared_ptr<Promise> lifted = promise.self;
  queue_ = queue_ && promise.next == nullptr;
  Unlink(promise);
  if (empty()) queue_ = true;
  Changed();
  return lifted;
}

void TokenSchedule::Return(std::int64_t units) {
  course_.level = std::max(course_.level, std::min(course_.level + units, CapBefore(head_)));
  queue_ = head_ == nullptr;
  Changed();
}

void TokenSchedule::Forget() {
  course_.level = std::min(balance(), burst_);
  while (head_ != nullptr) Unlink(*head_);
  queue_ = true;
  Changed();
}

void TokenSchedule::ForgetFixed() {
  for (Promise* promise = head_; promise != nullptr;) {
    Promise* const fixed = std::exchange(promise, promise->next);
    if (fixed->moves) continue;
    if (fixed->waker != nullptr) fixed->waker->Wake();
    Unlink(*fixed);
  }
  Changed();
}

void TokenSchedule::Fill() {
  course_.level = burst_;
  queue_ = head_ == nullptr;
  Changed();
}

// A promise of more than the burst, which was larger then, keeps its position: nothing says of it
// what is the earliest.
void TokenSchedule::MoveUp() {
  Promise* moving = nullptr;  // a list of them, the first one first; made from its end
  for (Promise* promise = tail_; promise != nullptr;) {
    Promise* const moved = std::exchange(promise, promise->previous);
    if (!moved->moves || moved->units > burst_) continue;
    moved->self = Lift(*moved);
    Promise** at = &moving;
    while (*at != nullptr && (*at)->ready_at < moved->ready_at) at = &(*at)->next;
    moved->next = std::exchange(*at, moved);
  }
  std::int64_t from = at();
  while (moving != nullptr) {
    Promise* const moved = std::exchange(moving, moving->next);
    from = moved->end = EarliestFor(moved->units, from);
    Add(std::exchange(moved->self, nullptr));
  }
}

bool TokenSchedule::AnyMoves() const {
  const Promise* promise = head_;
  while (promise != nullptr && !promise->moves) promise = promise->next;
  return promise != nullptr;
}

void TokenSchedule::Drop(std::int64_t position) {
  while (head_ != nullptr && head_->end <= position) Unlink(*head_);
}

void TokenSchedule::Rescale(std::int64_t burst, std::int64_t balance,
                            std::int64_t old_units_per_token, std::int64_t units_per_token) {
  // Rounded down, so that what was a queue still is one.
  const auto rescaled = [&](std::int64_t units) {
    return Int128{units} * units_per_token / old_units_per_token;
  };
  if (head_ != nullptr &&
      (rescaled(promised_) > kMaxDebtUnits || rescaled(tail_->end - at()) > kMaxDebtUnits)) {
    Forget();
  }
  promised_ = 0;
  for (Promise* promise = head_; promise != nullptr; promise = promise->next) {
    promise->units = promise->tokens * units_per_token;
    promise->end = static_cast<std::int64_t>(rescaled(promise->end - at()));
    promise->made_at = 0;
    promised_ += promise->units;
  }
  burst_ = burst;
  course_ = {.at = 0, .level = balance + promised_};
  queue_ = head_ == nullptr;
  Changed();
}

}  // namespace holdfast::internal
