// Which calls an AdaptiveLimiter measures, and when they are enough to set the limit anew.
//
// Model. A limit is judged by a window: a set of calls that all began while that limit held. The
// life of a window:
//
//   none     no window is open. The first call that joins opens one.
//   open     calls join it, until `length` is over and min_samples calls have joined.
//   closed   no call joins; the calls in it end one by one.
//   ready    the length is over, min_samples have ended, and 19 of 20 have ended or the patience is
//            over (4 mean latencies after the length). Take returns the window, then: none.
//
// Calls that begin while a window is closed belong to none: they began under the limit that is
// about to be replaced. Slow calls are in a window like quick ones, because membership is decided
// where a call begins; were a window the calls that end within some time, or that both begin and
// end in it, slow calls would be missing from it just when the service slows down, and the mean
// would lie.
//
// `length` is twice the last mean latency, at least the option and at most 10 s, so that most calls
// of a window overlap with others of it.
//
// Hanging calls. A window of which more than 1 in 20 hang would never be ready, hence the patience.
// If so many hang that fewer than min_samples end at all, calls join again after the patience,
// instead of those that hang; and if kMaxCalls have joined and still too few have ended, a new
// window is opened.
//
// Sampling. At high rates not all calls need be measured: `shift` says that one in 2^shift should
// ask to join. AdaptShift steers it so that a window has kFewCalls to kManyCalls calls: up by steps
// when the window was full, since many calls at once may have been a burst, and down at once.
//
// Invariants.
//   - succeeded_ + dropped_ + ignored_ <= joined_; only calls with the number of the present window
//     are counted, so a call that ends late, after Take or Drop, changes nothing (numbers grow).
//   - closed_ implies open_.
//   - Between busy_from() and busy_until() no Join succeeds, and only an End can make the window
//     ready. The limiter publishes both, so that calls need not take its mutex to be turned away
//     (internal/limit_picker.h).
//
// Threads. Not thread-safe: the limiter's mutex guards it. The times of different threads may come
// out of order by kDisorder; a time that is earlier than the window by more means that the clock
// went back, and opens a new window, which would otherwise be closed until the clock has caught up.
#ifndef HOLDFAST_SRC_CONCURRENCY_LIMIT_SAMPLER_H_
#define HOLDFAST_SRC_CONCURRENCY_LIMIT_SAMPLER_H_

#include <chrono>
#include <cstdint>

#include "holdfast/base/time.h"
#include "holdfast/call/outcome.h"

namespace holdfast::internal {

// What a window of calls says of the service.
struct LimitWindow {
  double latency = 0;          // the mean of the calls that succeeded, in nanoseconds, >= 1
  std::int64_t succeeded = 0;  // 0: there is no latency
  std::int64_t calls = 0;      // admitted meanwhile: those measured times 2^shift
  std::int64_t in_flight = 0;  // the most at once, as far as was seen
  bool dropped = false;        // more calls were dropped than the limiter tolerates
};

class LimitSampler {
 public:
  LimitSampler(Duration length, std::int64_t min_samples)
      : min_length_(length), length_(length), min_samples_(min_samples) {}

  // The number of the window that the call belongs to from now on; 0: none.
  std::uint64_t Join(TimePoint now, std::int64_t in_flight);
  // Counts the end of a call that belongs to window `number`.
  void End(std::uint64_t number, Duration latency, Outcome outcome);

  bool Ready(TimePoint now) const;
  // The window, with `dropped` set if more than the share `drop_share` of its calls were dropped.
  // The next call opens another window.
  LimitWindow Take(double drop_share);

  // The present window goes on, unless the shortest length or min_samples change.
  void Change(Duration length, std::int64_t min_samples);
  // Forgets the window; its calls belong to none. The next call opens another window.
  void Drop() { open_ = closed_ = false; }

  // From busy_from() to busy_until() no call can join. Before busy_from() the clock has gone back.
  TimePoint busy_from() const { return SaturatingAdd(opened_at_, -kDisorder); }
  TimePoint busy_until() const;

  int shift() const { return shift_; }  // one call in 2^shift should ask to join

 private:
  static constexpr Duration kDisorder = std::chrono::seconds(1);  // of different threads' times
  static constexpr Duration kMaxLength = std::chrono::seconds(10);
  static constexpr std::int64_t kMaxCalls = 4096;  // in a window
  static constexpr std::int64_t kManyCalls = 1024;
  static constexpr std::int64_t kFewCalls = 256;
  static constexpr int kMaxShift = 20;

  void Open(TimePoint now);
  std::int64_t judged() const { return joined_ - ignored_; }
  std::int64_t ended() const { return succeeded_ + dropped_; }
  bool TakesCalls(TimePoint now) const;
  TimePoint Patience() const;
  void AdaptShift();

  Duration LengthFor(double latency) const;

  Duration min_length_;
  Duration length_;
  std::int64_t min_samples_;
  double latency_ = 0;  // the last mean, in nanoseconds; 0: none yet
  int shift_ = 0;

  // Of the present window; its number is 0 until there is one.
  std::uint64_t number_ = 0;
  bool open_ = false;    // there is a window that was not taken
  bool closed_ = false;  // no call joins it
  TimePoint opened_at_ = TimePoint::min();
  TimePoint until_ = TimePoint::min();
  std::int64_t joined_ = 0;  // calls; the next four likewise
  std::int64_t succeeded_ = 0;
  std::int64_t dropped_ = 0;
  std::int64_t ignored_ = 0;
  std::int64_t in_flight_ = 0;
  double latencies_ = 0;  // the sum, in nanoseconds
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_CONCURRENCY_LIMIT_SAMPLER_H_
