// A TokenBucket is a rate limiter: it holds up to `burst` tokens, gains `rate` tokens per second,
// and each event takes one token or more.
//
//   holdfast::TokenBucket bucket({.rate = 100, .burst = 20});
//   if (bucket.Allow()) serve(request);            // now or never
//   absl::Status status = bucket.Wait();           // as soon as there is a token
//
// To limit the calls of a stack use RateLimit (rate_limit.h). By hand: Allow drops events that come
// too fast, Wait delays them, Reserve says when they may happen.
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
#include "holdfast/base/time.h"
#include "holdfast/rate/internal/bucket_tally.h"
#include "holdfast/rate/internal/limit_totals.h"
#include "holdfast/rate/reservation.h"

namespace holdfast {

class Collector;

inline constexpr double kInfiniteRate = std::numeric_limits<double>::infinity();  // no limit

// The default burst: as many tokens as `rate` gives in one second, rounded up, so at least one for
// every rate > 0; one token for kInfiniteRate.
inline constexpr std::int64_t kBurstOfOneSecond = std::numeric_limits<std::int64_t>::min();

// The rate, in tokens per second, of one event per `interval`; kInfiniteRate for an interval <= 0.
[[nodiscard]] double Every(TimeSpan interval);

namespace internal {

class PromiseList;
class RateLimitPlan;
struct TokenAxis;
class TokenHold;
class TokenSchedule;
class TokenWait;

// Who takes tokens: a reservation; a call, which may wait for them; or a call that also gives them
// back if a policy below refuses it.
enum class TakenFor { kReservation, kCall, kRefundableCall };

}  // namespace internal

// What a bucket does with its tokens when its rate or burst changes: the four strategies of
// Bucket4j's TokensInheritanceStrategy.
enum class TokenCarryOver {
  kAsIs,          // keeps the tokens, up to the new burst, and keeps debt
  kProportional,  // fills the new burst to the same share as the old one; keeps debt
  kAdditive,      // keeps the tokens and adds what the burst grows by, to debt as well
  kReset,         // starts full, without debt
};

// Thread-safe. Semantics are those of golang.org/x/time/rate, in exact arithmetic: a wait is
// truncated to whole nanoseconds, and a wait of zero admits; a request for more than the burst is
// never granted; a rate of zero gives the burst once. A `now` older than one already seen adds no
// tokens.
//
// Guarantee: in every window of time from a to b, the events that happen take at most
// burst + rate * (b - a) tokens. This holds where reservations are cancelled, too: the cancelled
// tokens go to the next request for which the bound leaves room there. If rate or burst change
// within the window, tokens promised before the change come on top.
//
// Allow, Reserve and Wait are lock-free in the usual case. They take a mutex while another thread
// changes or cancels something, and while tokens cancelled ahead of other reservations wait for
// reuse; in the latter case a decision takes time linear in the number of pending reservations. A
// pending reservation uses about a hundred bytes until its time has come.
class TokenBucket final : internal::Promiser {
 public:
  struct Options {
    // Tokens per second, in [0, 1e18], or kInfiniteRate: admit all. Required: 0, the default, is
    // refused unless burst is given as well (then the bucket gives its burst once).
    double rate = 0;
    // How many tokens the bucket holds, 1 to kMaxBurst. Default: one second of `rate`, as in Guava
    // and governor. 0, which admits nothing, is refused unless the rate is infinite; to stop a
    // bucket use SetBurst(0).
    std::int64_t burst = kBurstOfOneSecond;
    std::string name = {};   // for messages
    Clock* clock = nullptr;  // of the methods without At; null: its stack's, or the steady one
  };
  static constexpr std::int64_t kMaxBurst = std::int64_t{1} << 50;

  // The bucket starts full. Its clock must outlive it. Throws std::invalid_argument with the text
  // of Validate.
  explicit TokenBucket(Options options);
  TokenBucket(const TokenBucket&) = delete;
  TokenBucket& operator=(const TokenBucket&) = delete;
  ~TokenBucket();

  // Takes `n` tokens if the bucket has them now, and returns whether it did. Zero tokens are
  // granted unless the bucket is in debt; a negative `n` is refused.
  [[nodiscard]] bool Allow(std::int64_t n = 1) { return AllowAt(Now(), n); }
  [[nodiscard]] bool AllowAt(TimePoint now, std::int64_t n = 1);

  // Takes `n` tokens, ahead of time if need be, and says from when on the caller may act. The
  // reservation is not ok, and nothing is taken, if:
  //   - n < 0 or n > burst();
  //   - the tokens would come more than `max_wait` after now, or never;
  //   - the debt would be too large to count: at least half a billion tokens or 200 days of refill.
  Reservation Reserve(std::int64_t n = 1) { return ReserveAt(Now(), n); }
  Reservation ReserveAt(TimePoint now, std::int64_t n = 1, TimeSpan max_wait = Duration::max());

  // Blocks until the caller may act on `n` tokens. Refuses at once, with nothing taken:
  //   kInvalidArgument    n < 0 or n > burst()
  //   kCancelled          the caller stopped; also while waiting, and then the tokens go back
  //   kDeadlineExceeded   the tokens would come after the deadline
  //   kResourceExhausted  the tokens would never come
  // Without a deadline it waits as long as it takes: the bound of RateLimit's max_wait is not here.
  [[nodiscard]] absl::Status Wait(std::int64_t n = 1, const WaitOptions& options = {});

  // For costs that are known only afterwards. Charge takes `n` tokens that were used already, even
  // more than the bucket has: later requests wait for the debt, as far as Reserve can count it.
  // Refund gives back `n` tokens that were not used, up to the burst. Both throw
  // std::invalid_argument for n < 0.
  void Charge(std::int64_t n) { ChargeAt(Now(), n); }
  void ChargeAt(TimePoint now, std::int64_t n);
  void Refund(std::int64_t n) { RefundAt(Now(), n); }
  void RefundAt(TimePoint now, std::int64_t n);

  // Changes rate, burst or both, while calls run. Time until `now` counts at the old values. Tokens
  // are carried over as TokenCarryOver says; SetRate and SetBurst use kAsIs: a larger burst adds no
  // tokens, a smaller one caps them. Debt stays, in tokens, and reservations keep their times.
  //
  // A Wait, or a call that waits in a stack, goes as soon as the new values let it: in order of
  // arrival, before requests that come after the change, and never later than it was promised. With
  // kReset it takes its tokens from the refilled bucket.
  //
  // SetBurst(0) stops a bucket: it admits nothing until the burst is raised. They throw
  // std::invalid_argument for any other value that Validate refuses. (kBurstOfOneSecond is one
  // second of the rate at that moment; a later SetRate leaves the burst as it is.)
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

  // Replaces all options, while calls run: rate and burst as SetLimits does with
  // TokenCarryOver::kAsIs. An option that is left out gets its default, so Update({.rate = 200})
  // also sets the burst to 200. Name and clock cannot change: left out they stay, and other values
  // are refused. Returns kInvalidArgument, and changes nothing, for options that Validate refuses.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // The present options, with the burst in tokens. To change one option, change it in a copy.
  Options options() const;
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  double rate() const { return rate_.load(std::memory_order_acquire); }
  std::int64_t burst() const { return burst_.load(std::memory_order_acquire); }

  // The tokens in the bucket, fractions included, minus those promised for later: negative while
  // the bucket is in debt.
  double Tokens() const { return TokensAt(Now()); }
  double TokensAt(TimePoint now) const;

  const std::string& name() const { return name_; }

  // Tells rate, burst and tokens; and since the bucket was made: how many calls were refused and
  // why, and how many tokens were charged and refunded.
  void Collect(Collector& collector) const;

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }
  const internal::CountedRefusals& refusals() const { return refusals_; }

 private:
  friend class internal::RateLimitPlan;
  friend class internal::TokenHold;
  friend class internal::TokenWait;

  // The state is one word, `spent_`: the position up to which all tokens are spent, on an axis on
  // which Position(now) is how many the bucket has gained by then, in fixed-point units. What can
  // be taken is the difference, at most the burst. The word has 63 bits for the position, on a
  // circle, and one bit, kHeld, that says whether somebody has locked the bucket.
  //
  // Allow, Reserve and Wait usually read the word and the fields below, decide, and replace the
  // word by a compare-and-swap. What one number cannot say (cancellations, charges, new limits) is
  // done under the mutex, with the word held: then no compare-and-swap succeeds, and a call that
  // finds the word held comes to the mutex as well (TokenHold). The fields that say what the axis
  // means change only then, and the next word is one that was never used before. So a
  // compare-and-swap that succeeds proves that neither the word nor the fields have changed since
  // they were read.
  //
  // A reservation for later lists its promise (PromiseList) before its compare-and-swap, so whoever
  // holds the word finds all promises.
  //
  // The invariants, and why the memory orders suffice, are at the top of src/rate/token_bucket.cc.
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
  // The usual cases of Allow; none where it takes a second look. Counts a refusal if `counts`.
  std::optional<bool> TryAllow(TimePoint now, std::int64_t n, bool counts = false);
  std::optional<bool> TryRefuse(std::uint64_t word, std::uint64_t lacking, std::uint64_t fraction,
                                bool counts) const;
  // All cases of Allow; counts none.
  bool TakeAtOnce(TimePoint now, std::int64_t n);
  bool Impossible(std::int64_t n) const {
    return n < 0 || (n > burst() && rate() != kInfiniteRate);
  }

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

  std::atomic<std::uint64_t> spent_{kHeld};
  std::atomic<TimePoint::rep> latest_{TimePoint::min().time_since_epoch().count()};

  // It changes with the word held, and is read before it: so what is taken afterwards is later than
  // all that it tells of.
  internal::BucketTally tally_;

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
  const internal::CountedRefusals refusals_;
  internal::ChargeTotals charges_;
};

absl::Status Validate(const TokenBucket::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_RATE_TOKEN_BUCKET_H_
