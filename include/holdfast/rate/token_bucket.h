// A TokenBucket limits how often something happens: it holds up to `burst` tokens, is refilled at
// `rate` tokens per second, and each event takes one or more.
//
//   holdfast::TokenBucket bucket({.rate = 100, .burst = 20});
//   if (bucket.Allow()) serve(request);            // now or never
//   absl::Status status = bucket.Wait();           // as soon as there is a token
//
// Most callers want RateLimit (rate_limit.h) in a stack. Use Allow to drop what comes too fast,
// Wait to slow it down, and Reserve to be told when it may happen.
#ifndef HOLDFAST_RATE_TOKEN_BUCKET_H_
#define HOLDFAST_RATE_TOKEN_BUCKET_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/time.h"
#include "holdfast/rate/reservation.h"

namespace holdfast {

inline constexpr double kInfiniteRate = std::numeric_limits<double>::infinity();  // no limit

// Tokens per second for one event per `interval`; kInfiniteRate for an interval <= 0.
double Every(TimeSpan interval);

namespace internal {

class PromiseList;
class RateLimitPlan;
struct TokenAxis;
class TokenHold;
class TokenSchedule;
class TokenWait;

// Who takes tokens: a reservation, a call that waits for them if need be, or one that also gives
// them back where it is refused behind.
enum class TakenFor { kReservation, kCall, kRefundableCall };

}  // namespace internal

// What becomes of the tokens in a bucket when its rate and burst change; in these four ways
// Bucket4j does it.
enum class TokenCarryOver {
  kAsIs,          // they are kept, as far as they fit, and so is debt
  kProportional,  // the new burst is as full as the old one was; debt is kept
  kAdditive,      // they are kept, and what the burst grows by is added, to debt as well
  kReset,         // a full bucket, and no debt
};

// Thread-safe. It decides as golang.org/x/time/rate does, in exact arithmetic: a wait is truncated
// to whole nanoseconds, and zero admits; a request for more than the burst is never granted; a rate
// of zero gives the burst once. A `now` older than one already seen mints nothing.
//
// In every window of time from a to b, the tokens acted on are at most burst + rate * (b - a), also
// where reservations are cancelled: a cancelled place goes to the next request that this bound
// allows there. (Where rate or burst change in between, what was promised before is kept as well.)
//
// Allow, Reserve and Wait take no lock, except while a place that was cancelled between others
// waits to be used again, or another thread is just changing or cancelling something. While such a
// place is there, a decision may take time in proportion to the reservations that wait. A
// reservation has some hundred bytes of memory, until its time has come.
class TokenBucket final : internal::Promiser {
 public:
  struct Options {
    double rate = 0;         // tokens per second, >= 0; kInfiniteRate: admit all
    std::int64_t burst = 0;  // how many tokens it holds, 0 to kMaxBurst
    std::string name = {};   // for messages
    Clock* clock = nullptr;  // of the methods without At; must outlive the bucket
  };
  static constexpr std::int64_t kMaxBurst = std::int64_t{1} << 50;

  // Starts full. Throws std::invalid_argument with the text of Validate.
  explicit TokenBucket(Options options);
  TokenBucket(const TokenBucket&) = delete;
  TokenBucket& operator=(const TokenBucket&) = delete;
  ~TokenBucket();

  // Takes `n` tokens if they are there now. Zero tokens are there unless the bucket is in debt; a
  // negative `n` is refused.
  bool Allow(std::int64_t n = 1) { return AllowAt(Now(), n); }
  bool AllowAt(TimePoint now, std::int64_t n = 1);

  // Takes `n` tokens, in advance if need be, and says when they may be acted on. Not ok, with
  // nothing taken, for n < 0 or n > burst(), where that is later than `max_wait` or never, and
  // where the bucket is too deep in debt to count further: by half a billion tokens, or two hundred
  // days of refill, at the least.
  Reservation Reserve(std::int64_t n = 1) { return ReserveAt(Now(), n); }
  Reservation ReserveAt(TimePoint now, std::int64_t n = 1, TimeSpan max_wait = Duration::max());

  // Blocks until `n` tokens may be acted on. Refuses at once, with nothing taken:
  //   kInvalidArgument    n < 0 or n > burst()
  //   kCancelled          stopped; also while waiting, and the tokens go back
  //   kDeadlineExceeded   they would come after the deadline
  //   kResourceExhausted  they would never come
  absl::Status Wait(std::int64_t n = 1, const WaitOptions& options = {});

  // Takes `n` tokens that were used already, also more than there are: what comes next waits for
  // the debt, as far as Reserve can count it. And gives `n` back that were not used, as far as
  // there is room for them. For costs that are known only afterwards. Both throw
  // std::invalid_argument for n < 0.
  void Charge(std::int64_t n) { ChargeAt(Now(), n); }
  void ChargeAt(TimePoint now, std::int64_t n);
  void Refund(std::int64_t n) { RefundAt(Now(), n); }
  void RefundAt(TimePoint now, std::int64_t n);

  // Settles the past at the old values and goes on with the new, by TokenCarryOver::kAsIs where it
  // isn't said: a larger burst adds no tokens, a smaller one caps them. Debt stays, in tokens, and
  // reservations keep their times. A Wait, or a call that waits in a stack, goes as soon as the new
  // values let it: in the order in which they came, before whoever comes after the change, and
  // never later than it was to. With kReset it takes its tokens from the bucket that is filled.
  // They throw std::invalid_argument for a value that Options would refuse, and may run beside any
  // other call.
  void SetRate(double rate) { SetRateAt(Now(), rate); }
  void SetRateAt(TimePoint now, double rate);
  void SetBurst(std::int64_t burst) { SetBurstAt(Now(), burst); }
  void SetBurstAt(TimePoint now, std::int64_t burst);
  void SetLimits(double rate, std::int64_t burst,
                 TokenCarryOver carry_over = TokenCarryOver::kAsIs) {
    SetLimitsAt(Now(), rate, burst, carry_over);
  }
  void SetLimitsAt(TimePoint now, double rate, std::int64_t burst,
                   TokenCarryOver carry_over = TokenCarryOver::kAsIs);

  // Replaces the options, all of them, while calls run: rate and burst, as SetLimits does with
  // TokenCarryOver::kAsIs. Name and clock stay: left out they are as before, and others are
  // refused. kInvalidArgument, with nothing changed, for what Validate refuses.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // Those of now: to change one, change a copy of them.
  Options options() const;
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  double rate() const { return rate_.load(std::memory_order_acquire); }
  std::int64_t burst() const { return burst_.load(std::memory_order_acquire); }

  // Tokens there are, fractions included, less those promised for later: negative while in debt.
  double Tokens() const { return TokensAt(Now()); }
  double TokensAt(TimePoint now) const;

  const std::string& name() const { return name_; }

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }
  const internal::Refusals& refusals() const { return refusals_; }

 private:
  friend class internal::RateLimitPlan;
  friend class internal::TokenHold;
  friend class internal::TokenWait;

  // The state is one word, `spent_`: how much has ever been taken, on an axis of fixed-point tokens
  // on which Generated(now) is how much there has been to take, computed from absolute time with a
  // 128-bit product so that no rate drifts. What can be taken is the difference, at most the burst.
  // The axis is a circle of 63 bits, compared by differences; the lowest bit of the word is kHeld.
  //
  // All that one number can't say is done under the mutex, with the word held: then no
  // compare-and-swap succeeds, and who finds it so comes to the mutex as well (TokenHold). What the
  // axis means (the fields below) changes only then, and goes on with a word that was never used
  // before. So a compare-and-swap that succeeds proves that nothing changed since the word was
  // read, and the fields that were read after it belong to it: they are stored with release after
  // the word was held and loaded with acquire, hence who reads a new field also sees the word held
  // or newer, and its compare-and-swap fails. The same value comes again with other fields only
  // after the whole circle. (A reading of the fields may be of two epochs; Read tells by reading
  // the word once more.)
  //
  // A reservation for later lists its promise before its compare-and-swap (PromiseList), so who
  // holds the word knows all of them.
  static constexpr std::uint64_t kHeld = 1;

  struct Reading;   // the word and what it means, consistently
  struct Decision;  // what a request for tokens comes to

  TimePoint Now() const override { return clock_.Now(); }
  void Cancel(internal::Promise& promise, TimePoint ready_at, TimePoint now) override;
  TimePoint Watch(internal::Promise& promise, TimePoint ready_at, Waker* waker) override;
  void TakeBack(internal::Promise& promise, TimePoint now) override;

  Reservation Reserve(TimePoint now, std::int64_t n, Duration max_wait, internal::TakenFor whom);
  std::optional<Reading> Read() const;  // none while the word is held
  bool Replace(const Reading& reading, std::int64_t spent);
  static Decision Decide(const Reading& reading, TimePoint now, std::int64_t n);
  // The usual cases of Allow; none where it takes a second look.
  std::optional<bool> TryAllow(TimePoint now, std::int64_t n);
  std::optional<bool> TryRefuse(std::uint64_t word, std::uint64_t lacking,
                                std::uint64_t fraction) const;

  internal::TokenAxis ReadAxis() const;
  void SetAxis(const internal::TokenAxis& axis, std::uint64_t generated);
  std::uint64_t Word(std::int64_t spent) const;  // of a position in the present epoch, and back
  std::int64_t Spent(std::uint64_t word) const;

  struct Mark;  // what there was before tokens were taken
  Mark ReadMark() const;
  Reservation Taken(TimePoint now, std::int64_t n, const Mark& mark,
                    std::optional<std::int64_t> spent = std::nullopt);
  void Prune(TimePoint now);
  // For TokenHold, under the mutex.
  std::optional<std::uint64_t> Hold();
  void LetGo(std::int64_t spent);
  void BeginEpoch(const internal::TokenAxis& axis, double new_rate);

  // A hint for who reads the clock and comes late: of threads that take tokens at the same moment
  // it may keep the older time. What that can't say, the word mostly does (TokenSchedule::Reached).
  void Saw(TimePoint now) {
    const TimePoint::rep count = now.time_since_epoch().count();
    if (latest_.load(std::memory_order_relaxed) < count) {
      latest_.store(count, std::memory_order_relaxed);
    }
  }
  TimePoint Latest() const { return TimePoint(Duration(latest_.load(std::memory_order_relaxed))); }

  std::uint32_t forgiven() const { return forgiven_.load(std::memory_order_relaxed); }
  void Forgive() { forgiven_.fetch_add(1, std::memory_order_relaxed); }

  std::atomic<std::uint64_t> spent_{kHeld};
  std::atomic<TimePoint::rep> latest_{TimePoint::min().time_since_epoch().count()};

  std::atomic<std::uint32_t> forgiven_{0};  // how often debt was
  // What was ever given back, in units, and the number of the axis, from 1. They change with the
  // word held, and are read before it, with acquire: so what is taken afterwards is later than all
  // that they tell of.
  std::atomic<std::uint64_t> returned_{0};
  std::atomic<std::uint32_t> axis_number_{0};

  mutable std::mutex mutex_;                               // of whoever holds the word, or prunes
  const std::unique_ptr<internal::PromiseList> promises_;  // made since the word was last held
  const std::unique_ptr<internal::TokenSchedule> schedule_;
  std::uint64_t high_water_ = 0;  // no word was ever beyond it
  std::int64_t known_spent_ = 0;  // when the word was last let go
  std::int64_t reached_ = 0;      // the position then, or a later one that was pruned up to

  std::atomic<std::uint64_t> multiplier_{0};  // units per nanosecond, times 2^shift_
  std::atomic<int> shift_{0};
  std::atomic<std::uint64_t> carry_{0};  // the fraction of a unit generated before the epoch
  std::atomic<TimePoint::rep> epoch_begin_{0};
  std::atomic<std::uint64_t> generated_{0};  // at the epoch's begin, doubled as the word is
  std::atomic<std::int64_t> units_per_token_{1};
  std::atomic<Duration::rep> horizon_{0};  // how long after its begin the axis may be used
  std::atomic<double> rate_;
  std::atomic<std::int64_t> burst_;

  const std::string name_;
  internal::ObjectClock clock_;
  const internal::Refusals refusals_;
};

absl::Status Validate(const TokenBucket::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_RATE_TOKEN_BUCKET_H_
