// A Pacer is a leaky bucket: it spaces events out evenly, in slots that are 1/rate apart.
//
//   holdfast::Pacer pacer({.rate = 100});
//   while (pacer.Take().ok()) client.GetOrder(id);   // one every 10 ms
//
// To pace the calls of a stack use Pace (pace.h). Where bursts are welcome, or reservations are to
// be cancelled in any order, use a TokenBucket (token_bucket.h).
#ifndef HOLDFAST_RATE_PACER_H_
#define HOLDFAST_RATE_PACER_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/versions.h"
#include "holdfast/base/time.h"
#include "holdfast/rate/internal/limit_totals.h"
#include "holdfast/rate/token_bucket.h"

namespace holdfast {

// Thread-safe. A leaky bucket with slack, as go.uber.org/ratelimit has it: each event takes the
// next slot. A slot whose time passes unused is kept, up to `slack` of them, and a late caller may
// use kept slots at once: so a caller that is held up now and then keeps its rate. The first event
// goes at once, and there is no slack before it. (go.uber.org/ratelimit cuts an interval to whole
// nanoseconds; here it is exact.)
//
// Guarantees:
//   - In a time of n intervals at most n + slack + 1 events happen.
//   - Errors do not add up, however long it runs: n slots take n / rate, in exact arithmetic for a
//     whole rate and for an interval of whole nanoseconds (see Every); for any other rate the error
//     is less than a nanosecond in 146 years. Only the resulting times are truncated to
//     nanoseconds.
//   - A schedule that starts again after an idle time counts from `now`, or from less than 2 ns
//     after it where an interval is no whole number of nanoseconds.
//   - A `now` older than one already seen brings no slot back.
//   - After an Update the schedule goes on: each slot is at least one interval behind the one
//     before, by the interval that holds when the slot is taken. (An Update may move the schedule
//     on by less than 2 ns where an interval is no whole number of nanoseconds.) So slots taken
//     under the same options keep the first guarantee, and two events taken under different options
//     are as far apart as the intervals of all slots between them, less the slack of the first.
// It takes no lock, except while another thread is changing the options.
class Pacer {
 public:
  struct Options {
    double rate = 0;  // events per second, in (0, kMaxRate], or kInfiniteRate: no pacing. Required
    std::int64_t slack = 10;  // unused slots that are kept, >= 0; 0: strict spacing
    std::string name = {};    // for messages
    Clock* clock = nullptr;   // of the methods without At; null: its stack's, or the steady one
  };
  static constexpr double kMaxRate = 1e9;  // one a nanosecond

  // The clock must outlive the pacer. Throws std::invalid_argument with the text of Validate. A
  // rate of less than one event in 292 years counts as one in 292 years.
  explicit Pacer(Options options);
  Pacer(const Pacer&) = delete;
  Pacer& operator=(const Pacer&) = delete;

  // Takes the next slot and returns when to act, which is `now` or later. Returns TimePoint::max(),
  // and takes nothing, if that is never: the schedule ends where TimePoint does. Does not block: it
  // is the twin of TryTakeAt without a bound, and not of Take.
  [[nodiscard]] TimePoint TakeAt(TimePoint now) {
    return TryTakeAt(now, Duration::max()).value_or(TimePoint::max());
  }

  // The same, but returns nullopt, and takes nothing, if the slot is later than `max_wait` from
  // now.
  [[nodiscard]] std::optional<TimePoint> TryTake(TimeSpan max_wait = Duration::zero()) {
    return TryTakeAt(clock_.Now(), max_wait);
  }
  [[nodiscard]] std::optional<TimePoint> TryTakeAt(TimePoint now,
                                                   TimeSpan max_wait = Duration::zero());

  // Takes the next slot and blocks until its time. Refuses at once, with nothing taken:
  //   kCancelled          the caller stopped; also while waiting
  //   kDeadlineExceeded   the slot would come after the deadline
  //   kResourceExhausted  the slot would never come
  // A caller that stops while it waits gives the slot back if no later slot was taken; otherwise
  // the slot stays empty, and later ones keep their times.
  [[nodiscard]] absl::Status Take(const WaitOptions& options = {});

  // Replaces all options, while calls run. Slots that are taken keep their times, also where a call
  // still waits; later slots have the new rate. At most the new slack is kept; it counts new
  // intervals, also of the time before. A slot that was taken before the Update cannot be given
  // back: it stays empty. After an infinite rate the schedule starts anew, behind what was taken
  // before that.
  //
  // An option that is left out gets its default. Name and clock cannot change: left out they stay,
  // and other values are refused. Returns kInvalidArgument, and changes nothing, for options that
  // Validate refuses.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // The present options: to change one, change it in a copy.
  Options options() const;
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options);

  double rate() const { return rows_.Read()->rate; }
  std::int64_t slack() const { return rows_.Read()->slack; }
  const std::string& name() const { return name_; }

  // Tells the rate, how many events were refused and why, and what the burst and the tokens of a
  // TokenBucket with the same bound would be: slack + 1, and the slots that may be used at once
  // (negative where slots ahead of time are taken).
  void Collect(Collector& collector) const;

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }
  const internal::CountedRefusals& refusals() const { return refusals_; }

 private:
  friend class Pace;

  // What a word says instead of a slot: none was taken, and none may be.
  static constexpr std::int64_t kUnused = std::numeric_limits<std::int64_t>::min();
  static constexpr std::int64_t kClosed = std::numeric_limits<std::int64_t>::max();

  struct Place {
    bool taken;
    TimePoint ready_at;   // when to act; if not taken, when it would have been
    std::uint64_t row;    // the number of its row
    std::int64_t before;  // the word that it found
    std::int64_t after;   // and left
  };

  // The slots under the same options. Its state is one word, `last`: the slot that was taken last.
  // The next one is `interval` behind it, or less where the slack has no room for one that old.
  //
  // Slots lie on an axis of absolute time: its zero is the clock's, and there are `interval` units
  // between two slots, as many as an interval has whole nanoseconds. So a unit is a nanosecond or a
  // little more, every TimePoint fits the word, nothing wraps, and there is nothing to settle after
  // an idle time. Times become units, and units times, by one exact 128-bit product and quotient of
  // the absolute value, so no error adds up. (With an infinite rate a unit is a nanosecond, and the
  // word says what was taken before.)
  //
  // Memory orders: every operation on the word is relaxed, since threads agree on nothing else. A
  // compare-and-swap that succeeds proves that the decision was made from the present word; the
  // other fields do not change once the row can be found; and taking a slot hands over no other
  // data. The word rises with each slot and falls only where the last slot is given back, like a
  // stack: while it still has the value that a slot left, that slot is the last one, and putting
  // back the value that it found undoes it.
  //
  // An Update takes the word out, under the mutex, and leaves kClosed. So each slot lies in the old
  // row or behind it in the new one, which begins with that word and can be found when the mutex is
  // free. A call that finds kClosed waits for that.
  struct Row {
    Row(const Options& options, std::uint64_t row_number);
    Row(Row&& other) noexcept;

    // Goes on from a row that was closed at `place`.
    void Begin(const Row& before, std::int64_t place) const;

    std::int64_t UnitsAt(TimePoint now) const;   // rounded up
    TimePoint TimeOf(std::int64_t units) const;  // truncated; TimePoint::max() for what is beyond
    std::int64_t After(std::int64_t place) const;
    // How many slots may be used at once, by the word.
    double Slots(TimePoint now, std::int64_t place) const;
    double most() const { return static_cast<double>(slack) + 1; }  // of them

    const double rate;
    const std::int64_t slack;
    const std::uint64_t number;
    std::int64_t interval = 0;             // in units; 0: an infinite rate
    std::int64_t span_units = 0;           // in as much time as pacer.cc calls kSpan
    mutable std::int64_t fresh = kUnused;  // the word for which there is no slack yet
    mutable std::atomic<std::int64_t> last{kUnused};
  };

  Place Claim(TimePoint now, Duration max_wait);
  Place ClaimInNextRow(TimePoint now, Duration max_wait);
  void GiveBack(const Place& place);
  double SlotsAt(TimePoint now) const;
  void Continue(internal::Versions<Row>::Next next);

  internal::Versions<Row> rows_;
  mutable std::mutex mutex_;               // of whoever changes the options
  std::atomic<std::uint64_t> numbers_{1};  // of rows; a mere count, hence relaxed

  const std::string name_;
  internal::ObjectClock clock_;
  const internal::CountedRefusals refusals_;
};

absl::Status Validate(const Pacer::Options& options);

}  // namespace holdfast

#endif  // HOLDFAST_RATE_PACER_H_
