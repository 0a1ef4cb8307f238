// A World has a time of its own, in which things happen one after the other, and in which an hour
// passes as fast as what happens in it can be worked out.
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

// What a world does is decided by its seed and by what it was told, in the order it was told that.
// Its time begins at TimePoint{}; in the simulator a Duration that is a time counts from there.
//
// Used by one thread. Servers, populations and whatever else was put into a world must live as long
// as it runs, and what its calls hold on to as long as itself.
class World {
 public:
  explicit World(std::uint64_t seed = 1) : seed_(seed) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  TimePoint Now() const { return clock_.Now(); }

  // For the policies' objects. It does not let anybody block: waiting on it throws
  // std::logic_error.
  Clock* clock() { return &clock_; }

  // `happen` at the time, or now if that has passed.
  void At(TimeSpan time, std::function<void()> happen);
  void After(TimeSpan delay, std::function<void()> happen);

  // The same without an allocation.
  void Schedule(TimePoint at, Event& event) { queue_.Push(at > Now() ? at : Now(), event); }

  // In two parts: see EventQueue.
  void Rank(Event& event) { queue_.Rank(event); }
  void ScheduleRanked(TimePoint at, Event& event) {
    queue_.PushRanked(at > Now() ? at : Now(), event);
  }

  // Run what happens until the time, that included, or until nothing is left to happen. False where
  // OnProgress's callback ended it before. What was thrown by what happened passes through; to go
  // on after that is possible.
  bool RunUntil(TimeSpan time) { return RunUntil(TimePoint(time)); }
  bool RunFor(TimeSpan time) { return RunUntil(SaturatingAdd(Now(), time)); }
  bool Run();

  // Calls `progress` each time that much more time has passed in the world, > 0; what it returns is
  // whether to go on. Replaces the one before; without one nothing is called.
  void OnProgress(TimeSpan every, std::function<bool(Duration now)> progress);

  // A sequence of randomness for one purpose. The n-th that was asked for is the same whatever
  // else is in the world, so that what is added last changes nothing in what was there.
  Random NewRandom() { return Random(seed_ + 0x632b'e59b'd9b4'e019 * ++streams_); }

  // Keeps `part` until the world ends.
  void Keep(std::shared_ptr<void> part) { parts_.push_back(std::move(part)); }

  std::uint64_t events() const { return events_; }  // that happened

 private:
  class VirtualClock final : public Clock {
   public:
    TimePoint Now() const override { return now_; }
    void WaitUntil(TimePoint until, Parker& parker) override;
    void set_now(TimePoint now) { now_ = now; }

   private:
    TimePoint now_ = {};
  };

  // Used again once it has happened.
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
