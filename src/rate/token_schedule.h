// The exact bucket: the tokens there are, and what of those to come is promised to whom. One thread
// at a time; TokenBucket and KeyedTokenBucket stand before it.
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

  // Of a call that waits for it, under the bucket's mutex. One that moves is acted on at
  // `ready_at`, which new limits may bring nearer; any other when it was promised.
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

// The model: a bucket whose level rises with the position, up to the burst, and falls where a
// promise is kept. A request is granted at the earliest position at which the level suffices and,
// with it, still does for every promise behind. So in every window [a, b] of the axis no more than
// burst + b - a is acted on, and nothing that this bound allows is refused or delayed.
//
// As long as nothing is cancelled that makes a queue: each promise takes all the tokens there are,
// and who comes last waits for everything promised before. A queue needs no schedule, only one
// number: the position up to which all is spent. Questions to a queue take constant time; with
// tokens left between promises they take a walk along these, once for each change.
//
// Positions and tokens are in units of a token_axis.h.
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
