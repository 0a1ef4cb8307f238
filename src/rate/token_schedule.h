// The exact token bucket: how many tokens there are, and which of those to come are promised to
// whom. TokenBucket and KeyedTokenBucket use it where one number cannot say that.
//
// Model. Time is a position on an axis (token_axis.h) on which the bucket gains one unit per
// position. The level of the bucket rises with the position, up to the burst, and falls where a
// promise is kept, by the units of that promise. A promise is kept at its `end`: from then on its
// owner may act. The list holds the promises that are still to be kept, in the order of their ends.
// `course_` is the present: the position that Advance has come to, and the level there, with the
// tokens for the promises of the list still in it.
//
// Rule. A request is granted at the earliest position at which the level is enough for it, and
// stays enough for every promise that ends later. It follows that in every window [a, b] of the
// axis at most burst + b - a is acted on, and that nothing is refused or delayed which this bound
// allows.
//
// Queues. As long as nothing is cancelled or given back, each promise takes all tokens that there
// are, and the next one begins where the last one ends. Such a list is a queue, and one number
// describes it: Spent(), the position up to which everything is spent. A new promise then ends at
// Spent() + units, in constant time. A cancellation in the middle leaves tokens between two
// promises; from then on it is no queue, and EarliestFor walks along the promises, once for each
// change, since the last answer is remembered (known_). It is a queue again once the promises
// behind the gap are kept, or the gap is filled: IsQueue finds that out by a walk, once for each
// change, and Advance where it passes the place (left_at_).
//
// Invariants:
//   - promised_ is the sum of the units in the list, and the list is in the order of `end`;
//   - a promise is `pending` exactly while it is in the list;
//   - the level never exceeds the burst; before a promise of more units than the burst (the burst
//     was larger when it was made) it may rise to that promise's units: CapBefore;
//   - at no position at which a promise is kept does the level fall below zero, unless tokens were
//     taken at once and without a promise (Take, a debt);
//   - queue_ is never true of a list that is no queue. It may be false of one that is.
//
// Threads. One at a time: the mutex of the bucket or of the shard. The exception is Promise::state,
// which the maker of a promise stores with release once the other fields are final, and the holder
// of the bucket loads with acquire before it reads them (promise_list.h).
#ifndef HOLDFAST_SRC_RATE_TOKEN_SCHEDULE_H_
#define HOLDFAST_SRC_RATE_TOKEN_SCHEDULE_H_

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>

#include "holdfast/base/time.h"
#include "holdfast/base/waker.h"

namespace holdfast::internal {

// Tokens that will be acted on at a position of the axis. Shared by a schedule, until that position
// is reached, and by the copies of the Reservation.
struct Promise {
  enum class State : signed char { kMaking, kMade, kVoid };

  // All that follows is its maker's until it is made, and then the schedule's.
  std::atomic<State> state{State::kMaking};
  bool cancelled = false;
  bool pending = false;  // in a schedule, and to be kept
  std::int64_t tokens = 0;
  std::int64_t units = 0;
  std::int64_t end = 0;        // the position at which they are acted on
  std::int64_t made_at = 0;    // the position at which it was made
  std::uint32_t forgiven = 0;  // how often its bucket had forgiven its debt
  std::uint64_t key = 0;       // whose it is, in a KeyedTokenBucket

  // When it may be acted on, under the bucket's mutex. That of a promise that moves, which is one
  // of a waiting call, may come nearer.
  bool moves = false;
  TimePoint ready_at = {};
  Waker* waker = nullptr;  // rung where it may be acted on earlier; null: nobody asks

  // Of one that may be given back after it was acted on: how much had been when it was made, or
  // moved, and the number of the axis; 0: it can't. `end` then is the position up to which all was
  // spent with it.
  std::uint64_t returned = 0;
  std::uint32_t axis = 0;

  void BringForward(TimePoint to) {
    if (moves && to >= ready_at) return;
    if (moves) ready_at = to;
    if (waker != nullptr) waker->Wake();
  }

  Promise* next = nullptr;
  Promise* previous = nullptr;    // in a schedule
  std::shared_ptr<Promise> self;  // while it is in a list
};

// Positions and tokens are in units of a token_axis.h. The model is at the top of this file.
class TokenSchedule {
 public:
  static constexpr std::int64_t kAnyTime = std::numeric_limits<std::int64_t>::min();

  TokenSchedule() = default;
  TokenSchedule(const TokenSchedule&) = delete;
  TokenSchedule& operator=(const TokenSchedule&) = delete;
  ~TokenSchedule() { Forget(); }

  // Takes over from a queue that was kept as one number elsewhere, with its promises in Insert.
  void Begin(std::int64_t burst, std::int64_t at, std::int64_t spent);
  // Before it: the latest position that what was taken meanwhile proves to have been reached, since
  // nothing is taken at once by more than `early` before its time. That all was spent up to
  // `known`, when the queue was last here, proves nothing.
  std::int64_t Reached(std::int64_t spent, std::int64_t known, std::int64_t early) const;
  bool IsQueue();
  bool empty() const { return head_ == nullptr; }
  std::int64_t Spent() const { return at() - balance(); }  // of a queue
  // Of what was to be acted on by now.
  std::int64_t SpentByNow() const { return at() - course_.level; }

  // Keeps the promises up to `position`, if that is later than at().
  void Advance(std::int64_t position);
  std::int64_t at() const { return course_.at; }

  // The tokens there are, less those promised: at present, and at a position not before it.
  std::int64_t balance() const { return course_.level - promised_; }
  std::int64_t BalanceAt(std::int64_t position) const;

  // The earliest position, not before at() and `from`, for no more units than the burst; for none,
  // the one where the next would begin to come.
  std::int64_t EarliestFor(std::int64_t units, std::int64_t from = kAnyTime);
  void Take(std::int64_t units);                      // at once; there may be debt after it
  void Add(const std::shared_ptr<Promise>& promise);  // at its end, as EarliestFor said

  void Cancel(Promise& promise);  // which is pending
  // Takes one out that is to be added again, with the tokens that it holds.
  std::shared_ptr<Promise> Lift(Promise& promise);
  void Return(std::int64_t units);  // as far as there is room for them
  void Forget();                    // all promises; the balance stays

  // For new limits. Forgets the promises that don't move, and begins full, but for those that do.
  void ForgetFixed();
  void Fill();
  // Gives each promise that moves the earliest position there is for it, as if it was made now, in
  // the order of the times at which they were to be acted on, and of their positions where these
  // are equal. (Their positions may be in another one: a place that was given up goes to who comes
  // next, at the rate of that time.)
  void MoveUp();
  bool AnyMoves() const;
  template <class F>
  void ForEach(F f) {
    for (Promise* promise = head_; promise != nullptr; promise = promise->next) f(*promise);
  }

  // Goes on at position 0 of another axis, with `balance`: promises keep their tokens.
  void Rescale(std::int64_t burst, std::int64_t balance, std::int64_t old_units_per_token,
               std::int64_t units_per_token);

  // While the queue is kept elsewhere: its promises, and those to be dropped because their position
  // is reached.
  void Insert(std::shared_ptr<Promise> promise);
  void Drop(std::int64_t position);

 private:
  // A level on its way along the axis.
  struct Course {
    std::int64_t at;
    std::int64_t level;

    // Rises up to `position`, if that is ahead, but not above `cap`; returns what ran over.
    std::int64_t Rise(std::int64_t position, std::int64_t cap);
  };

  std::int64_t Search(std::int64_t units, std::int64_t from) const;
  std::int64_t CapBefore(const Promise* next) const;
  void Link(std::shared_ptr<Promise> promise);
  void Unlink(Promise& promise);
  void Changed();

  std::int64_t burst_ = 0;
  Course course_{.at = 0, .level = 0};  // at present, with the tokens for the next promises
  std::int64_t promised_ = 0;           // the sum of the list
  Promise* head_ = nullptr;             // in the order of their ends
  Promise* tail_ = nullptr;
  Promise* first_new_ = nullptr;  // since Begin, from Insert
  bool queue_ = true;  // no promise leaves tokens behind, and nothing runs over before it
  // If not queue_: that was found out since the last change, by what is left or runs over there.
  bool walked_ = false;
  std::int64_t left_at_ = 0;
  // The last answer, since the last change; for -1 units: none.
  std::int64_t known_units_ = -1;
  std::int64_t known_from_ = 0;
  std::int64_t known_ = 0;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_TOKEN_SCHEDULE_H_
