// A TokenBucket limits how often something happens: it holds up to `burst` tokens, is refilled at
// `rate` tokens per second, and each event takes one or more.
//
//   holdfast::TokenBucket bucket({.rate = 100, .burst = 20});
//   if (bucket.Allow()) serve(request);            // now or never
//   absl::Status status = bucket.Wait();           // as soon as there is a token
//
// Most callers want RateLimit (rate_limit.h) in a stack. Use Allow to drop what comes too fast,
// Wait to slow it down, and Reserve to be told when it may happen.
#ifndef HOLDFAST_TOKEN_BUCKET_H_
#define HOLDFAST_TOKEN_BUCKET_H_

#include <absl/status/status.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "holdfast/internal/refusals.h"
#include "holdfast/time.h"

namespace holdfast {

class TokenBucket;

inline constexpr double kInfiniteRate = std::numeric_limits<double>::infinity();  // no limit

// Tokens per second for one event per `interval`; kInfiniteRate for an interval <= 0.
double Every(Duration interval);

// A bucket's promise of tokens at a time: a value. Dropping it keeps the promise, the tokens are
// spent. Not to be used after its bucket is gone.
class [[nodiscard]] Reservation {
 public:
  // False where the bucket can't give the tokens in time; it then holds nothing.
  bool ok() const { return bucket_ != nullptr; }

  // When the tokens may be acted on; TimePoint::max() when !ok().
  TimePoint ready_at() const { return ok() ? ready_at_ : TimePoint::max(); }

  // When !ok(): the time at which they would have been ready, which was too late; TimePoint::max()
  // for never.
  TimePoint too_late_at() const { return ready_at_; }

  // How long until then, at least zero; Duration::max() when !ok().
  Duration Delay() const;
  Duration DelayFrom(TimePoint now) const;

  // Gives the tokens back as far as reservations made later don't already count on their place, as
  // golang.org/x/time/rate does: newest first, all of them. Once for all copies, and not after
  // ready_at() has passed.
  void Cancel();
  void CancelAt(TimePoint now);

 private:
  friend class TokenBucket;
  Reservation() = default;

  TokenBucket* bucket_ = nullptr;
  std::uint64_t number_ = 0;  // among its bucket's reservations
  std::int64_t tokens_ = 0;
  TimePoint ready_at_ = TimePoint::max();
  std::uint64_t end_ = 0;    // the bucket's word just after
  std::uint64_t epoch_ = 0;  // the bucket's epoch in which end_ means something
};

// Thread-safe. Allow, Reserve and Wait take no lock while nobody changes the rate or the burst.
//
// It decides as golang.org/x/time/rate does, in exact arithmetic: a wait is truncated to whole
// nanoseconds, and zero admits; a request for more than the burst is never granted; a rate of zero
// gives the burst once. A `now` older than one already seen mints nothing.
class TokenBucket {
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

  // Takes `n` tokens if they are there now. Zero tokens are there unless the bucket is in debt; a
  // negative `n` is refused.
  bool Allow(std::int64_t n = 1) { return AllowAt(Now(), n); }
  bool AllowAt(TimePoint now, std::int64_t n = 1) {
    return TryAllow(now, n) || ReserveAt(now, n, Duration::zero()).ok();
  }

  // Takes `n` tokens, in advance if need be, and says when they may be acted on. Not ok, with
  // nothing taken, for n < 0 or n > burst(), where that is later than `max_wait` or never, and
  // where the bucket is too deep in debt to count further: by half a billion tokens, or two hundred
  // days of refill, at the least.
  Reservation Reserve(std::int64_t n = 1) { return ReserveAt(Now(), n); }
  Reservation ReserveAt(TimePoint now, std::int64_t n = 1, Duration max_wait = Duration::max());

  // Blocks until `n` tokens may be acted on. Refuses at once, with nothing taken:
  //   kInvalidArgument    n < 0 or n > burst()
  //   kCancelled          stopped; also while waiting, and the tokens go back
  //   kDeadlineExceeded   they would come after the deadline
  //   kResourceExhausted  they would never come
  absl::Status Wait(std::int64_t n = 1, const WaitOptions& options = {});

  // Settles the past at the old values and goes on with the new; debt stays, in tokens, and
  // reservations keep their times. A larger burst adds no tokens, a smaller one caps them. They
  // throw std::invalid_argument for a value that Options would refuse, and may run beside any other
  // call.
  void SetRate(double rate) { SetRateAt(Now(), rate); }
  void SetRateAt(TimePoint now, double rate);
  void SetBurst(std::int64_t burst) { SetBurstAt(Now(), burst); }
  void SetBurstAt(TimePoint now, std::int64_t burst);

  double rate() const { return rate_.load(std::memory_order_acquire); }
  std::int64_t burst() const { return burst_.load(std::memory_order_acquire); }

  // Tokens there are, fractions included; negative while in debt.
  double Tokens() const { return TokensAt(Now()); }
  double TokensAt(TimePoint now) const;

  const std::string& name() const { return name_; }
  const internal::Refusals& refusals() const { return refusals_; }

 private:
  friend class RateLimit;
  friend class Reservation;

  // The state is one word, `spent_`: how much has ever been taken, on an axis of fixed-point tokens
  // on which Generated(now) is how much there has been to take, computed from absolute time with a
  // 128-bit product so that no rate drifts. What can be taken is the difference, at most the burst.
  // The axis is a circle of 63 bits, compared by differences; the lowest bit of the word is
  // kFrozen.
  //
  // What the axis means (the fields below `mutex_`) changes only while the word is frozen, under
  // the mutex, and goes on with a word that was never used before (`Settle`). So a compare-and-swap
  // that succeeds proves that nothing changed since the word was read, and the fields that were
  // read after it belong to it: they are stored with release after the freezing and loaded with
  // acquire, hence who reads a new field also sees the word frozen or newer, and its
  // compare-and-swap fails. The same value comes again only after the whole circle. (A reading of
  // the fields may be of two epochs; Load tells by reading the word once more.)
  static constexpr std::uint64_t kFrozen = 1;

  struct Axis;      // a consistent reading of the fields, and its arithmetic
  struct Decision;  // what a request for tokens comes to

  TimePoint Now() const { return internal::ReadClock(clock_); }
  std::uint64_t Load(Axis& axis) const;  // the word, not frozen, and then the axis
  Axis ReadAxis() const;
  static Decision Decide(const Axis& axis, std::uint64_t word, TimePoint now, std::int64_t n);
  // The usual case of ReserveAt: true if the tokens were there and it took no second look.
  bool TryAllow(TimePoint now, std::int64_t n);
  void Settle(TimePoint now, double new_rate, std::int64_t new_burst);
  void SetAxis(TimePoint begin, double new_rate, std::int64_t new_burst);
  void Cancel(const Reservation& reservation, TimePoint now);

  std::atomic<std::uint64_t> spent_{kFrozen};

  mutable std::mutex mutex_;      // of whoever freezes the word or cancels
  std::uint64_t high_water_ = 0;  // beyond every word that was ever given up by a cancellation
  TimePoint last_cancel_ = TimePoint::min();
  // Reservations that were cancelled, and whose time has not come: by that time, and number.
  std::set<std::pair<TimePoint, std::uint64_t>> cancelled_;

  std::atomic<std::uint64_t> reservations_{0};  // how many there were

  std::atomic<std::uint64_t> multiplier_{0};  // units per nanosecond, times 2^shift_
  std::atomic<int> shift_{0};
  std::atomic<std::uint64_t> carry_{0};  // the fraction of a unit generated before the epoch
  std::atomic<TimePoint::rep> epoch_begin_{0};
  std::atomic<std::uint64_t> epoch_{0};      // counts settlings
  std::atomic<std::uint64_t> generated_{0};  // at the epoch's begin, doubled as the word is
  std::atomic<std::int64_t> units_per_token_{1};
  std::atomic<Duration::rep> horizon_{0};  // how long after its begin the axis may be used
  std::atomic<double> rate_;
  std::atomic<std::int64_t> burst_;

  const std::string name_;
  Clock* const clock_;
  const internal::Refusals refusals_;
};

absl::Status Validate(const TokenBucket::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_TOKEN_BUCKET_H_
