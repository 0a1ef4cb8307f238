// A service whose capacity and latency change, asked by more than it can serve through an
// AdaptiveLimit; and what became of the limit.
#ifndef HOLDFAST_TEST_SUPPORT_ADAPTIVE_SCENE_H_
#define HOLDFAST_TEST_SUPPORT_ADAPTIVE_SCENE_H_

#include <absl/status/status.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "holdfast/concurrency/adaptive_limit.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/distribution.h"
#include "holdfast/testing/simulate.h"
#include "holdfast/testing/world.h"
#include "holdfast/timeout/timeout.h"

namespace holdfast::test {

// Works on `workers` requests at once, each for a time from `service` times `factor`; the others
// wait, first come, first served, and above `max_queue` are refused. Works for nobody, too.
class ModelServer {
 public:
  ModelServer(testing::World& world, testing::Distribution service)
      : world_(world), random_(world.NewRandom()), service_(service) {}

  void Serve(const testing::Reply<absl::Status>& reply) {
    if (busy_ >= workers && std::ssize(queue_) >= max_queue) {
      ++refused;
      world_.After(std::chrono::milliseconds(1),
                   [reply] { reply.Done(absl::ResourceExhaustedError("queue full")); });
      return;
    }
    queue_.push_back(reply);
    Work();
  }

  std::int64_t workers = 40;
  std::int64_t max_queue = 1'000'000;
  double factor = 1;
  std::int64_t served = 0;
  std::int64_t refused = 0;

 private:
  void Work() {
    while (busy_ < workers && !queue_.empty()) {
      const testing::Reply<absl::Status> reply = queue_.front();
      queue_.pop_front();
      ++busy_;
      const auto ns = static_cast<double>(service_.Sample(random_).count()) * factor;
      world_.After(Duration(static_cast<Duration::rep>(ns)), [this, reply] {
        --busy_;
        ++served;
        reply.Done(absl::OkStatus());
        Work();
      });
    }
  }

  testing::World& world_;
  testing::Random random_;
  testing::Distribution service_;
  std::deque<testing::Reply<absl::Status>> queue_;
  std::int64_t busy_ = 0;
};

// Calls come in as a Poisson process; one that finds no permit within `max_wait` goes away.
class AdaptiveScene {
 public:
  AdaptiveScene(std::uint64_t seed, AdaptiveLimiter::Options options, testing::Distribution service,
                double calls_per_second, Duration timeout = std::chrono::seconds(5))
      : world(seed),
        server(world, service),
        limiter(std::make_shared<AdaptiveLimiter>(WithClock(std::move(options), world.clock()))),
        rate(calls_per_second),
        random_(world.NewRandom()) {
    auto call = testing::Simulate(
        world,
        Stack(AdaptiveLimit(limiter, {.max_wait = std::chrono::milliseconds(20)}),
              Timeout(timeout)),
        [this](Call&, testing::Reply<absl::Status> reply) { server.Serve(reply); });
    arrive_ = [this, call] {
      call();
      world.After(Next(), arrive_);
    };
    world.After(Next(), arrive_);
    watch_ = [this] {
      limits.push_back(limiter->limit());
      world.After(kWatched, watch_);
    };
    world.After(kWatched, watch_);
  }

  // From one time to another, of what was seen ten times a second.
  double MeanLimit(Duration from, Duration to) const {
    double sum = 0;
    for (auto i = from / kWatched; i < to / kWatched; ++i) {
      sum += static_cast<double>(limits.at(static_cast<std::size_t>(i)));
    }
    return sum / static_cast<double>(to / kWatched - from / kWatched);
  }
  std::int64_t MaxLimit(Duration from, Duration to) const {
    return *std::max_element(limits.begin() + from / kWatched, limits.begin() + to / kWatched);
  }
  std::int64_t MinLimit(Duration from, Duration to) const {
    return *std::min_element(limits.begin() + from / kWatched, limits.begin() + to / kWatched);
  }

  static constexpr Duration kWatched = std::chrono::milliseconds(100);

  testing::World world;
  ModelServer server;
  std::shared_ptr<AdaptiveLimiter> limiter;
  double rate;
  std::vector<std::int64_t> limits;  // over time, one for each kWatched

 private:
  static AdaptiveLimiter::Options WithClock(AdaptiveLimiter::Options options, Clock* clock) {
    options.clock = clock;
    return options;
  }
  Duration Next() {
    return testing::Distribution::Exponential(Duration(static_cast<Duration::rep>(1e9 / rate)))
        .Sample(random_);
  }

  testing::Random random_;
  std::function<void()> arrive_;
  std::function<void()> watch_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_SUPPORT_ADAPTIVE_SCENE_H_
