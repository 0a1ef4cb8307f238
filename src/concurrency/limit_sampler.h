// Which calls an AdaptiveLimiter measures, and when they are enough to set the limit anew.
#ifndef HOLDFAST_SRC_CONCURRENCY_LIMIT_SAMPLER_H_
#define HOLDFAST_SRC_CONCURRENCY_LIMIT_SAMPLER_H_

#include <chrono>
#include <cstdint>

#include "holdfast/base/time.h"
#include "holdfast/call/outcome.h"
#include "src/concurrency/limit_window.h"

namespace holdfast::internal {

// A window is the calls that began in it. The first call after the one before was taken opens it;
// it takes calls for its length, and until there are enough; and it is ready when nineteen of
// twenty have ended, or long after. What began before, or between two windows, is of none.
//
// So every call of a window began under the limit that the window judges; and slow calls are in it
// as the quick ones are: in calls that both begin and end within some time, they would be missing.
//
// One thread at a time. Times may come out of order.
class LimitSampler {
 public:
  LimitSampler(Duration length, std::int64_t min_samples)
      : min_length_(length), length_(length), min_samples_(min_samples) {}

  // The number of the window that the call belongs to; 0: none.
  std::uint64_t Join(TimePoint now, std::int64_t in_flight);
  // What came of a call of window `number`. Those of an older one are ignored.
  void End(std::uint64_t number, Duration latency, Outcome outcome);

  bool Ready(TimePoint now) const;
  // The window, of which more than `drop_share` dropped is dropped. The next call opens another.
  LimitWindow Take(double drop_share);

  // What is measured now goes on to be, unless the least length or min_samples are others.
  void Change(Duration length, std::int64_t min_samples);
  // Forgets the window, and the calls in it are of none. The next call opens another.
  void Drop() { open_ = closed_ = false; }

  // From the one to the other no call can join, and only the end of one can make it ready. Before
  // the first the clock has gone back.
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
  bool open_ = false;    // there is a window, which was not taken
  bool closed_ = false;  // it takes no more calls
  TimePoint opened_at_ = TimePoint::min();
  TimePoint until_ = TimePoint::min();
  std::int64_t joined_ = 0;
  std::int64_t succeeded_ = 0;
  std::int64_t dropped_ = 0;
  std::int64_t ignored_ = 0;
  std::int64_t in_flight_ = 0;
  double latencies_ = 0;  // the sum, in nanoseconds
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_CONCURRENCY_LIMIT_SAMPLER_H_
