#include "holdfast/testing/world.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "holdfast/concurrency/semaphore.h"
#include "holdfast/rate/token_bucket.h"
#include "holdfast/testing/distribution.h"
#include "holdfast/testing/event_queue.h"
#include "holdfast/testing/random.h"
#include "test/support/catch.h"

namespace holdfast::testing::world_test {
namespace {

using namespace std::chrono_literals;

struct Numbered final : Event {
  void Happen() override {}
  std::size_t number = 0;
};

TEST_CASE("events come out by time, and those of one time as they went in") {
  Random random(1);
  EventQueue queue;
  std::vector<Numbered> events(5000);
  using Key = std::pair<TimePoint, std::size_t>;
  std::vector<Key> expected;
  std::vector<Key> got;
  std::size_t next = 0;
  TimePoint now{-1s};
  const auto pop = [&](TimePoint limit) {
    Event* const event = queue.Pop(limit);
    if (event == nullptr) return false;
    now = queue.last();
    got.emplace_back(now, static_cast<Numbered*>(event)->number);
    return true;
  };
  queue.Push(now, events[next]);
  expected.emplace_back(now, next++);
  pop(now);
  while (next < events.size()) {
    // Times of every magnitude, many of them the same.
    const auto bits = random.Below(45);
    const TimePoint at =
        now + Duration(random.Below(std::uint64_t{1} << bits) >> (bits / 2) << (bits / 2));
    events[next].number = next;
    queue.Push(at, events[next]);
    expected.emplace_back(at, next++);
    if (random.Below(3) == 0) pop(now + Duration(random.Below(1'000'000'000)));
  }
  while (pop(TimePoint::max())) {
  }
  CHECK(queue.size() == 0);
  std::sort(expected.begin(), expected.end());
  CHECK(got == expected);
}

TEST_CASE("a world's time moves from event to event, and to the end of a run") {
  World world;
  std::vector<Duration> seen;
  const auto note = [&] { seen.push_back(world.Now().time_since_epoch()); };
  world.At(3s, note);
  world.At(1s, [&] {
    note();
    world.After(1s, note);
    world.At(0s, note);  // has passed, so now
  });
  CHECK(world.RunUntil(2500ms));
  CHECK(seen == std::vector<Duration>{1s, 1s, 2s});
  CHECK(world.Now() == TimePoint{2500ms});
  world.At(2700ms, note);  // before one that waits, and after the last one
  CHECK(world.Run());
  CHECK(seen.back() == 3s);
  CHECK(world.Now() == TimePoint{3s});
  CHECK(world.clock()->Now() == TimePoint{3s});
  CHECK(world.events() == 5);
}

TEST_CASE("progress is reported, and can end a run") {
  World world;
  std::vector<Duration> reports;
  world.OnProgress(10s, [&](Duration now) {
    reports.push_back(now);
    return now < 30s;
  });
  CHECK_FALSE(world.RunUntil(1h));
  CHECK(reports == std::vector<Duration>{10s, 20s, 30s});
  CHECK(world.Now() == TimePoint{30s});
  CHECK_THROWS_AS(world.OnProgress(0s, nullptr), std::invalid_argument);
}

TEST_CASE("what an event throws passes through, and the world goes on after it") {
  World world;
  int later = 0;
  world.At(1s, [] { throw std::runtime_error("an event"); });
  world.At(2s, [&] { ++later; });
  CHECK_THROWS_AS(world.Run(), std::runtime_error);
  CHECK(world.Run());
  CHECK(later == 1);
}

TEST_CASE("nothing blocks in a world") {
  World world;
  Semaphore semaphore({.limit = 1, .clock = world.clock()});
  const auto permit = semaphore.TryAcquire();
  CHECK_THROWS_AS(semaphore.Acquire(), std::logic_error);
}

TEST_CASE("policies' objects take their time from the world") {
  World world;
  TokenBucket bucket({.rate = 1, .burst = 1, .clock = world.clock()});
  CHECK(bucket.Allow());
  CHECK_FALSE(bucket.Allow());
  world.RunFor(1s);
  CHECK(bucket.Allow());
}

TEST_CASE("logarithm and exponential are those of the C library, to 14 digits") {
  for (const double x : {1e-300, 1e-9, 0.1, 0.70710678, 0.70710679, 0.999, 1.0, 1.5, 2.0, 1e9}) {
    CHECK(std::abs(sim_internal::PortableLog(x) - std::log(x)) <= 2e-14 * std::abs(std::log(x)));
  }
  for (const double x : {-600.0, -20.0, -1.0, -0.1, 0.0, 1e-9, 0.34, 0.35, 1.0, 30.0, 600.0}) {
    CHECK(std::abs(sim_internal::PortableExp(x) / std::exp(x) - 1) <= 2e-13);
  }
}

TEST_CASE("a distribution has the mean it says it has, and so has what is left of it") {
  const auto check = [](const Distribution& distribution, double rest) {
    Random random(7);
    double sum = 0;
    double rest_sum = 0;
    constexpr int kSamples = 40'000;
    for (int i = 0; i < kSamples; ++i) {
      sum += static_cast<double>(distribution.Sample(random).count());
      rest_sum += static_cast<double>(distribution.SampleRest(random).count());
    }
    const double mean = static_cast<double>(distribution.Mean().count());
    CHECK(sum / kSamples == test::Approx(mean).epsilon(0.02));
    CHECK(rest_sum / kSamples == test::Approx(rest).epsilon(0.03));
  };
  // What is left: E[X^2] / 2 E[X].
  check(Distribution::Constant(10ms), 5e6);
  check(Distribution::Uniform(10ms, 20ms), 7e9 / 3 * 1e5 / (2 * 15e6));
  check(Distribution::Exponential(10ms), 10e6);
  const double sigma = std::log(3.0) / 2.3263478740408408;
  check(Distribution::LogNormal(10ms, 30ms), 10e6 * std::exp(1.5 * sigma * sigma) / 2);
  check(Distribution::Bimodal(10ms, 100ms, 0.1), (0.9 * 100 + 0.1 * 10000) / (2 * 19) * 1e6);
}

TEST_CASE("a distribution that can't be is refused") {
  CHECK_THROWS_AS(Distribution::Constant(-1ns), std::invalid_argument);
  CHECK_THROWS_AS(Distribution::Uniform(2ms, 1ms), std::invalid_argument);
  CHECK_THROWS_AS(Distribution::Exponential(-1ms), std::invalid_argument);
  CHECK_THROWS_AS(Distribution::LogNormal(0ms, 1ms), std::invalid_argument);
  CHECK_THROWS_AS(Distribution::LogNormal(2ms, 1ms), std::invalid_argument);
  CHECK_THROWS_AS(Distribution::Bimodal(1ms, 2ms, std::nan("")), std::invalid_argument);
  CHECK_THROWS_AS(Distribution::Bimodal(1ms, 2ms, 1.1), std::invalid_argument);
}

TEST_CASE("a stream of randomness is the same whatever comes after it") {
  World few(9);
  World many(9);
  Random first = few.NewRandom();
  Random same = many.NewRandom();
  Random other = many.NewRandom();
  CHECK(first() == same());
  CHECK(first() != other());
  World elsewhere(10);
  CHECK(first() != elsewhere.NewRandom()());
}

}  // namespace
}  // namespace holdfast::testing::world_test
