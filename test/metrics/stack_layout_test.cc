#include "holdfast/metrics/stack_layout.h"

#include <absl/status/status.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/base/settings.h"
#include "holdfast/base/thread_pool.h"
#include "holdfast/breaker/circuit_break.h"
#include "holdfast/concurrency/bulkhead.h"
#include "holdfast/metrics/metrics.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"
#include "test/metrics/objects.h"
#include "test/support/catch.h"

namespace holdfast::stack_layout_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::ContainsSubstring;
using Strings = std::vector<std::string>;

Strings Policies(const StackLayout& layout) {
  Strings names;
  for (const PolicyLayout& policy : layout.policies) names.push_back(policy.policy);
  return names;
}

TEST_CASE("the stacks of a registry have their policies in order, with settings and objects") {
  const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{.name = "db"});
  const Stack orders(Timeout(10s), Retry({.max_attempts = 3}), breaker, Timeout(2s));
  const Stack search(Bulkhead({.limit = 5, .name = "search"}), breaker);
  Metrics metrics;
  REQUIRE(metrics.Add("orders", orders).ok());
  REQUIRE(metrics.Add("search", search).ok());
  const std::vector<StackLayout> stacks = metrics.Stacks();
  REQUIRE(stacks.size() == 2);
  CHECK(stacks[0].name == "orders");
  CHECK(Policies(stacks[0]) == Strings{"Timeout", "Retry", "CircuitBreak", "Timeout"});
  CHECK(Policies(stacks[1]) == Strings{"Bulkhead", "CircuitBreak"});
  CHECK(stacks[0].policies[0].settings == "10s");
  CHECK_THAT(stacks[0].policies[1].settings, ContainsSubstring("3 attempts"));
  CHECK(stacks[0].policies[0].name.empty());
  CHECK(stacks[0].policies[3].name == "#2");  // as the stack counts for it
  for (const StackLayout& stack : stacks) {
    const PolicyLayout& its = stack.policies[stack.name == "orders" ? 2 : 1];
    REQUIRE(its.objects.size() == 1);
    CHECK(its.objects[0].name == "db");
    CHECK(std::ranges::count(its.objects[0].metrics, "holdfast.breaker.state") == 1);
  }
}

TEST_CASE("objects have the names that the registry gave them") {
  const Stack first(Bulkhead({.limit = 1, .name = "same"}));
  const Stack second(Bulkhead({.limit = 2, .name = "same"}), Retry({}));
  Metrics metrics;
  REQUIRE(metrics.Add("first", first).ok());
  REQUIRE(metrics.Add("second", second).ok());
  const auto stacks = metrics.Stacks();
  CHECK(stacks[0].policies[0].objects[0].name == "same");
  CHECK(stacks[1].policies[0].objects[0].name == "same#2");
  REQUIRE(stacks[1].policies[1].objects.size() == 1);
  CHECK(stacks[1].policies[1].objects[0].name == "second/Retry");
}

TEST_CASE("settings are the present ones") {
  const auto settings = std::make_shared<Settings<RetryOptions>>(RetryOptions{.max_attempts = 3});
  const Stack stack{Retry(settings)};
  Metrics metrics;
  REQUIRE(metrics.Add("orders", stack).ok());
  CHECK_THAT(metrics.Stacks()[0].policies[0].settings, ContainsSubstring("3 attempts"));
  REQUIRE(settings->Update({.max_attempts = 7}).ok());
  CHECK_THAT(metrics.Stacks()[0].policies[0].settings, ContainsSubstring("7 attempts"));
  CHECK(stack.Describe() == "Retry(" + metrics.Stacks()[0].policies[0].settings + ")");
}

TEST_CASE("a registry keeps no stack, and what a stack is wrapped around keeps its layout") {
  Metrics metrics;
  std::weak_ptr<CircuitBreaker> weak;
  {
    const auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{.name = "db"});
    weak = breaker;
    auto stack = std::make_unique<Stack<std::shared_ptr<CircuitBreaker>>>(breaker);
    REQUIRE(metrics.Add("orders", *stack).ok());
    const auto call = stack->Around([] { return absl::OkStatus(); });
    stack.reset();
    CHECK(metrics.Stacks().size() == 1);
    CHECK(call().ok());
  }
  CHECK(metrics.Stacks().empty());
  CHECK(weak.expired());
}

TEST_CASE("a pool of a stack that is described ends with the stack, and so do its attempts") {
  Metrics metrics;
  std::atomic<bool> begun = false;
  std::atomic<int> running = 0;
  std::latch release(1);
  {
    const Stack stack(Timeout(20ms, std::make_shared<ThreadPool>(ThreadPool::Options{})));
    REQUIRE(metrics.Add("orders", stack).ok());
    CHECK(metrics.Stacks()[0].policies[0].settings == "20ms, abandons attempts");
    const auto ask = stack.Around([&] {
      ++running;
      begun = true;
      release.wait();
      std::this_thread::sleep_for(50ms);  // so that who does not wait for it is seen
      --running;
      return absl::OkStatus();
    });
    while (!begun) CHECK_FALSE(ask().ok());
    release.count_down();
  }
  CHECK(running == 0);
}

TEST_CASE("what tells objects and no policies has no layout") {
  Metrics metrics;
  const test::Pile pile = test::Pile().WithMeter().With(std::make_shared<test::Cog>("cog"), "Turn");
  REQUIRE(metrics.Add("pile", pile).ok());
  CHECK(metrics.Stacks().empty());
}

TEST_CASE("an empty stack has a layout without policies") {
  const Stack<> stack;
  Metrics metrics({.service_name = "shop"});
  REQUIRE(metrics.Add("plain", stack).ok());
  REQUIRE(metrics.Stacks().size() == 1);
  CHECK(metrics.Stacks()[0].policies.empty());
  CHECK(metrics.service_name() == "shop");
}

}  // namespace
}  // namespace holdfast::stack_layout_test
