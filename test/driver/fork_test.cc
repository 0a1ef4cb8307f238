#include "test/support/fork.h"

#include <absl/status/status.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <future>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

// What was made before a fork() goes on in the child, which has but the thread that forked.

namespace holdfast::fork_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::Child;

// Keeps the threads of a pool busy from two threads, so that a fork finds its lock taken now and
// then, tasks waiting and threads at work.
class Load {
 public:
  explicit Load(ThreadPool& pool) {
    for (int i = 0; i < 2; ++i) {
      threads_.emplace_back([&pool](const std::stop_token& stop) {
        while (!stop.stop_requested()) {
          if (!pool.TryRun([] {})) std::this_thread::yield();
        }
      });
    }
  }

 private:
  std::vector<std::jthread> threads_;
};

// Runs a task in the pool, and says what that says.
std::string RunIn(ThreadPool& pool) {
  std::promise<std::string> said;
  if (!pool.TryRun([&said] { said.set_value("ran"); })) return "refused";
  return said.get_future().get();
}

TEST_CASE("a pool begins anew in a child that was forked while its threads were at work") {
  if (!test::kCanFork) return;
  ThreadPool pool({.max_threads = 4, .max_queue = 4});
  const Load load(pool);
  for (int i = 0; i < 50; ++i) {
    CAPTURE(i);
    Child child([&pool]() -> std::string {
      const std::int64_t before = pool.threads();
      const std::string said = RunIn(pool);
      return before == 0 && pool.threads() == 1 ? said : "with the parent's threads";
    });
    REQUIRE(child.Says() == "ran");
  }
}

TEST_CASE("a pool that a child does not use ends in it, though its threads are not there") {
  if (!test::kCanFork) return;
  auto pool = std::make_unique<ThreadPool>(ThreadPool::Options{.max_threads = 2});
  REQUIRE(RunIn(*pool) == "ran");
  Child child([&pool]() -> std::string {
    pool.reset();
    return "ended";
  });
  CHECK(child.Says() == "ended");
  CHECK(RunIn(*pool) == "ran");
}

TEST_CASE("a call that walks away from its attempt does so in a child too") {
  if (!test::kCanFork) return;
  const auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{.max_threads = 2});
  const auto over = std::make_shared<std::atomic<bool>>(false);
  const auto hang = [over] {
    over->wait(false);
    return absl::OkStatus();
  };
  const auto call = Stack(Timeout(20ms, pool)).Around(hang);
  REQUIRE(call().code() == absl::StatusCode::kDeadlineExceeded);
  Child child([&call]() -> std::string { return std::string(call().ToString()); });
  CHECK(child.Says().starts_with("DEADLINE_EXCEEDED"));
  *over = true;
  over->notify_all();
}

TEST_CASE("a task that forks takes the child's only thread with it") {
  if (!test::kCanFork) return;
  std::promise<int> status;
  ThreadPool pool({.max_threads = 1});
  REQUIRE(pool.TryRun([&status] {
    const pid_t child = ::fork();
    if (child == 0) {
      // Before a leak check, which would miss what the parent's other threads hold.
      (void)std::atexit([] { ::_exit(0); });
      return;
    }
    int ended = -1;
    ::waitpid(child, &ended, 0);
    status.set_value(ended);
  }));
  CHECK(status.get_future().get() == 0);
}

// How long a call that fails waited for its retries, in nanoseconds.
std::string Waited() {
  testing::FakeClock clock;
  Report report;
  const auto fail = [] { return absl::UnavailableError("down"); };
  const auto call =
      Stack(Retry({.max_attempts = 3, .backoff = Backoff::Exponential({})})).Around(fail, &clock);
  (void)call.With({.report = &report});
  return std::to_string(report.waited.count());
}

TEST_CASE("processes that are forked from one have each their own jitter") {
  if (!test::kCanFork) return;
  (void)Waited();  // the parent has drawn, so that there is a state to copy
  const auto open_time = BackoffOpenTime(Backoff::Exponential({.initial = 10s, .max = 100s}));
  (void)open_time(1);
  std::vector<Child> children;
  for (int i = 0; i < 8; ++i) {
    children.emplace_back(
        [&open_time] { return Waited() + " " + std::to_string(open_time(1).count()); });
  }
  std::set<std::string> waits{Waited()};
  std::set<std::string> opens{std::to_string(open_time(1).count())};
  for (Child& child : children) {
    const std::string said = child.Says();
    waits.insert(said.substr(0, said.find(' ')));
    opens.insert(said.substr(said.find(' ') + 1));
  }
  CHECK(waits.size() == 9);
  CHECK(opens.size() == 9);
}

TEST_CASE("a seed repeats itself in a child, as it is asked to") {
  if (!test::kCanFork) return;
  const auto open_time = BackoffOpenTime(Backoff::Exponential({.initial = 10s, .max = 100s}), 7);
  Child child([&open_time] { return std::to_string(open_time(1).count()); });
  CHECK(child.Says() == std::to_string(open_time(1).count()));
}

}  // namespace
}  // namespace holdfast::fork_test
