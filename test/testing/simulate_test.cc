#include "holdfast/testing/simulate.h"

#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"
#include "test/support/catch.h"

namespace holdfast::testing::simulate_test {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;

struct Ending {
  Duration at;
  StatusCode code;
  friend bool operator==(const Ending&, const Ending&) = default;
};

// Notes when calls end, and how.
struct Log {
  auto Note() {
    return [this](const absl::Status& status) {
      endings.push_back({world.Now().time_since_epoch(), status.code()});
    };
  }
  World& world;
  std::vector<Ending> endings = {};
};

// An executor that answers after a while.
auto Answer(World& world, Duration after, const absl::Status& status = absl::OkStatus()) {
  return [&world, after, status](Call&, Reply<absl::Status> reply) {
    world.After(after, [reply, status] { reply.Done(status); });
  };
}

Retry<> RetryAfter(Duration delay, int max_attempts = 4) {
  return Retry({.max_attempts = max_attempts,
                .backoff = Backoff::Constant(delay),
                .budget = RetryBudget::Unlimited()});
}

TEST_CASE("a simulated call takes the time of its attempts and of the waits between them") {
  World world;
  Log log{world};
  auto fetch =
      Simulate(world, Stack(RetryAfter(100ms)), [&](Call& call, Reply<absl::Status> reply) {
        const bool good = call.attempt() == 3;
        world.After(10ms, [reply, good] {
          reply.Done(good ? absl::OkStatus() : absl::UnavailableError("busy"));
        });
      });
  Report report;
  world.At(5s, [&] { fetch.With({.report = &report}, log.Note()); });
  world.Run();
  CHECK(log.endings == std::vector<Ending>{{5230ms, StatusCode::kOk}});
  CHECK(report.attempts == 3);
  CHECK(report.waited == 200ms);
  CHECK(report.history[2].start == TimePoint{5220ms});
}

TEST_CASE("an executor may answer in place") {
  World world;
  Log log{world};
  auto fetch = Simulate(
      world, Stack(RetryAfter(0s, 1000)), [](Call& call, const Reply<absl::Status>& reply) {
        reply.Done(call.attempt() < 1000 ? absl::UnavailableError("busy") : absl::OkStatus());
        reply.Done(absl::InternalError("the second answer does not count"));
      });
  fetch(log.Note());
  world.Run();
  CHECK(log.endings == std::vector<Ending>{{0s, StatusCode::kOk}});
}

TEST_CASE("an attempt under way at its deadline ends then, and its answer is for nobody") {
  World world;
  Log log{world};
  bool awaited = true;
  auto fetch = Simulate(world, Stack(Timeout(10s), RetryAfter(100ms, 2), Timeout(1s)),
                        [&](Call&, Reply<absl::Status> reply) {
                          world.After(1001ms, [&awaited, reply] {
                            awaited = reply.awaited();
                            reply.Done(absl::OkStatus());
                          });
                        });
  fetch(log.Note());
  world.Run();
  CHECK(log.endings == std::vector<Ending>{{2100ms, StatusCode::kDeadlineExceeded}});
  CHECK_FALSE(awaited);
}

TEST_CASE("attempts that answer before their timeout leave one entry in the queue") {
  World world;
  auto fetch = Simulate(world, Stack(Timeout(1s)), Answer(world, 1ms));
  for (Duration at{}; at < 900ms; at += 2ms) {
    world.At(at, [&] { fetch(); });
  }
  world.Run();
  // For each call its beginning and its answer, and the timer of the place they all had.
  CHECK(world.events() <= 2 * 450 + 2);
}

TEST_CASE("a permit that is handed over wakes the one who waits, in order") {
  World world;
  Log log{world};
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  auto fetch = Simulate(world, Stack(Timeout(35ms), Bulkhead(semaphore)), Answer(world, 10ms));
  for (int i = 0; i < 5; ++i) fetch(log.Note());
  world.Run();
  // The fourth begins and can't end in time, the fifth never gets a permit.
  CHECK(log.endings == std::vector<Ending>{{10ms, StatusCode::kOk},
                                           {20ms, StatusCode::kOk},
                                           {30ms, StatusCode::kOk},
                                           {35ms, StatusCode::kDeadlineExceeded},
                                           {35ms, StatusCode::kDeadlineExceeded}});
  CHECK(semaphore->in_use() == 0);
  CHECK(semaphore->queued() == 0);
}

TEST_CASE("stopped, a call ends in an event of its own, wherever it is") {
  World world;
  Log log{world};
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const Stack stack(RetryAfter(1s), Bulkhead(semaphore));
  auto fetch = Simulate(world, stack, Answer(world, 100ms, absl::UnavailableError("busy")));
  std::stop_source running;
  std::stop_source queued;
  std::stop_source backing_off;
  std::stop_source before;
  before.request_stop();
  fetch.With({.stop = before.get_token()}, log.Note());
  fetch.With({.stop = running.get_token()}, log.Note());
  fetch.With({.stop = queued.get_token()}, log.Note());
  world.At(10ms, [&] { queued.request_stop(); });
  world.At(20ms, [&] { running.request_stop(); });
  world.At(30ms, [&] { fetch.With({.stop = backing_off.get_token()}, log.Note()); });
  world.At(500ms, [&] { backing_off.request_stop(); });
  world.Run();
  CHECK(log.endings == std::vector<Ending>{{0ms, StatusCode::kCancelled},
                                           {10ms, StatusCode::kCancelled},
                                           {20ms, StatusCode::kCancelled},
                                           {500ms, StatusCode::kCancelled}});
  CHECK(semaphore->in_use() == 0);
}

TEST_CASE("what an executor throws goes to the caller, or out of the run") {
  World world;
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  bool at_once = true;
  auto fetch = Simulate(world, Stack(RetryAfter(1s), Bulkhead(semaphore), Timeout(1s)),
                        [&](Call&, const Reply<absl::Status>& reply) {
                          if (at_once) throw std::runtime_error("an executor");
                          world.After(1ms, [reply] {
                            reply.Throw(std::make_exception_ptr(std::out_of_range("later")));
                          });
                        });
  CHECK_THROWS_AS(fetch(), std::runtime_error);
  at_once = false;
  std::exception_ptr error;
  fetch(nullptr, [&](std::exception_ptr e) { error = std::move(e); });
  world.Run();
  CHECK_THROWS_AS(std::rethrow_exception(error), std::out_of_range);
  CHECK(semaphore->in_use() == 0);
  fetch();
  CHECK_THROWS_AS(world.Run(), std::out_of_range);
}

TEST_CASE("what a policy's callback throws ends the call") {
  World world;
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto check = [](const Call&, const absl::Status&) -> bool {
    throw std::runtime_error("a check");
  };
  auto fetch = Simulate(
      world, Stack(Bulkhead(semaphore), Retry({.budget = RetryBudget::Unlimited()}, check)),
      Answer(world, 1ms));
  fetch();
  CHECK_THROWS_AS(world.Run(), std::runtime_error);
  CHECK(semaphore->in_use() == 0);
}

// The first branch takes long, the others do not.
auto SlowFirst(World& world, std::vector<int>& awaited) {
  return [&](Call& call, Reply<absl::Status> reply) {
    world.After(call.attempt() == 1 ? 500ms : 10ms, [&awaited, reply] {
      awaited.push_back(reply.awaited() ? 1 : 0);
      reply.Done(absl::OkStatus());
    });
  };
}

TEST_CASE("a hedge wins, and the branch that lost is cancelled") {
  World world;
  Log log{world};
  std::vector<int> awaited;
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 4});
  auto fetch = Simulate(world,
                        Stack(Timeout(5s), RetryAfter(1s), Hedge({.delay = 50ms}, HedgeAll()),
                              Bulkhead(semaphore), Timeout(1s)),
                        SlowFirst(world, awaited));
  Report report;
  fetch.With({.report = &report}, log.Note());
  world.RunUntil(100ms);
  CHECK(log.endings == std::vector<Ending>{{60ms, StatusCode::kOk}});
  CHECK(semaphore->in_use() == 0);
  CHECK(report.attempts == 2);
  world.Run();
  CHECK(awaited == std::vector<int>{1, 0});
}

TEST_CASE("in a race too the deadline and a stop request are kept") {
  World world;
  Log log{world};
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 4});
  auto fetch =
      Simulate(world, Stack(Timeout(80ms), Hedge({.delay = 50ms}, HedgeAll()), Bulkhead(semaphore)),
               Answer(world, 1s));
  std::stop_source stop;
  fetch(log.Note());
  fetch.With({.stop = stop.get_token()}, log.Note());
  world.At(60ms, [&] { stop.request_stop(); });
  world.RunUntil(100ms);
  CHECK(log.endings ==
        std::vector<Ending>{{60ms, StatusCode::kCancelled}, {80ms, StatusCode::kDeadlineExceeded}});
  CHECK(semaphore->in_use() == 0);
}

TEST_CASE("in a race the first success counts, whatever failed or threw before") {
  World world;
  Log log{world};
  auto fetch = Simulate(world, Stack(Hedge({.delay = 10ms, .max_hedges = 2}, HedgeAll())),
                        [&](Call& call, Reply<absl::Status> reply) {
                          const int number = call.attempt();
                          if (number == 2) throw std::runtime_error("the second");
                          world.After(30ms, [reply, number] {
                            reply.Done(number == 3 ? absl::OkStatus() : absl::DataLossError("1"));
                          });
                        });
  fetch(log.Note());
  world.Run();
  CHECK(log.endings == std::vector<Ending>{{50ms, StatusCode::kOk}});
}

TEST_CASE("a timeout with a pool needs none of its threads here") {
  World world;
  Log log{world};
  auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  auto fetch = Simulate(world, Stack(RetryAfter(5ms, 2), Timeout(20ms, pool)), Answer(world, 50ms));
  fetch(log.Note());
  world.Run();
  CHECK(log.endings == std::vector<Ending>{{45ms, StatusCode::kDeadlineExceeded}});
}

TEST_CASE("policies draw from the world's randomness") {
  const auto run = [](std::uint64_t seed) {
    World world(seed);
    Log log{world};
    auto fetch =
        Simulate(world, Stack(Retry({.max_attempts = 6, .budget = RetryBudget::Unlimited()})),
                 Answer(world, 1ms, absl::UnavailableError("busy")));
    for (int i = 0; i < 20; ++i) fetch(log.Note());
    world.Run();
    return log.endings;
  };
  CHECK(run(1) == run(1));
  CHECK(run(1) != run(2));
}

TEST_CASE("a world can end while calls are under way") {
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 2});
  {
    World world;
    auto fetch =
        Simulate(world, Stack(Hedge({.delay = 50ms}, HedgeAll()), Bulkhead(semaphore), Timeout(1h)),
                 Answer(world, 1min));
    for (int i = 0; i < 4; ++i) fetch();
    world.RunUntil(1s);
    CHECK(semaphore->in_use() == 2);
  }
  CHECK(semaphore->in_use() == 0);
}

TEST_CASE("results are of any type that has traits") {
  World world;
  auto fetch = Simulate<absl::StatusOr<std::unique_ptr<int>>>(
      world, Stack(Timeout(1s)),
      [&](Call&, const Reply<absl::StatusOr<std::unique_ptr<int>>>& reply) {
        reply.Done(std::make_unique<int>(42));
      });
  int got = 0;
  // A function that takes a move-only result.
  fetch([&](absl::StatusOr<std::unique_ptr<int>> result) { got = **result; });
  CHECK(got == 42);
}

}  // namespace
}  // namespace holdfast::testing::simulate_test
