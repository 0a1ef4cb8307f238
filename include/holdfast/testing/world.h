// A World is a simulation with virtual time: events happen one after another, and an hour takes as
// long as computing its events.
//
//   holdfast::testing::World world(42);                          // the seed of all its randomness
//   holdfast::TokenBucket bucket({.rate = 10, .burst = 5, .clock = world.clock()});
//   world.At(3s, [&] { bucket.SetRate(1); });
//   world.RunFor(1h);
#ifndef HOLDFAST_TESTING_WORLD_H_
#define HOLDFAST_TESTING_WORLD_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/testing/event_queue.h"
#include "holdfast/testing/random.h"

namespace holdfast::testing {

// Deterministic: the seed and the calls of its functions, in their order, decide everything that
// happens. Time begins at TimePoint{}; a Duration that is a point in time counts from there.
//
// For one thread. Servers, populations and other parts of a world must live as long as it runs, and
// what its calls refer to as long as the world itself.
class World {
 public:
  explicit World(std::uint64_t seed = 1) : seed_(seed) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  TimePoint Now() const { return clock_.Now(); }

  // For policy objects. A blocking wait on it throws std::logic_error.
  Clock* clock() { return &clock_; }

  // Calls `happen` at the given time, or now if that has passed.
  void At(TimeSpan time, std::function<void()> happen);
  void After(TimeSpan delay, std::function<void()> happen);

  // The same for an event, without an allocation.
  void Schedule(TimePoint at, Event& event) { queue_.Push(at > Now() ? at : Now(), event); }

  // Schedule in two steps: see EventQueue.
  void Rank(Event& event) { queue_.Rank(event); }
  void ScheduleRanked(TimePoint at, Event& event) {
    queue_.PushRanked(at > Now() ? at : Now(), event);
  }

  // Runs the events up to and including the given time, or until no event is left. False if the
  // callback of OnProgress ended the run. An exception of an event passes through; the run can be
  // continued after it.
  bool RunUntil(TimeSpan time) { return RunUntil(TimePoint(time)); }
  bool RunFor(TimeSpan time) { return RunUntil(SaturatingAdd(Now(), time)); }
  bool Run();

  // Calls `progress` after every `every` (> 0) of virtual time; it returns whether to continue.
  // Replaces the previous callback; null: none.
  void OnProgress(TimeSpan every, std::function<bool(Duration now)> progress);

  // A random sequence for one part of the world. The n-th one does not depend on what else is in
  // the world, so adding a part at the end does not change the others.
  Random NewRandom() { return Random(seed_ + 0x632b'e59b'd9b4'e019 * ++streams_); }

  // Keeps `part` alive as long as the world.
  void Keep(std::shared_ptr<void> part) { parts_.push_back(std::move(part)); }

  // The number of events that have happened.
  std::uint64_t events() const { return events_; }

 private:
  class VirtualClock final : public Clock {
   public:
    TimePoint Now() const override { return now_; }
    void WaitUntil(TimePoint until, Parker& parker) override;
    void set_now(TimePoint now) { now_ = now; }

   private:
    TimePoint now_ = {};
  };

  // Reused after it has happened.
  struct Function final : public Event {
    explicit Function(World& the_world) : world(the_world) {}
    void Happen() override;

    World& world;
    std::function<void()> function;
  };

  bool RunUntil(TimePoint end);
  bool RunEvents(TimePoint end);

  const std::uint64_t seed_;
  std::uint64_t streams_ = 0;
  std::uint64_t events_ = 0;
  VirtualClock clock_;
  EventQueue queue_;
  std::deque<Function> functions_;
  std::vector<Function*> free_functions_;
  Duration progress_every_ = Duration::zero();
  TimePoint progress_at_ = TimePoint::max();
  std::function<bool(Duration)> progress_;
  std::vector<std::shared_ptr<void>> parts_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_WORLD_H_
