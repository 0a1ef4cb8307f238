// Which executors get the Call, and what of a decorated one can be asked at compile time.
#include <absl/status/status.h>

#include <chrono>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include "holdfast/retry/retry.h"
#include "holdfast/stack/catching.h"
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"

namespace holdfast::executor_test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a variadic executor gets the arguments alone") {
  std::size_t count = 0;
  const auto call = Stack(Timeout(1s)).Around([&](const auto&... args) {
    count = sizeof...(args);
    return absl::OkStatus();
  });
  CHECK(call().ok());
  CHECK(count == 0);
  CHECK(call(1, 2).ok());
  CHECK(count == 2);
}

absl::Status Send(int, const std::string&) { return absl::OkStatus(); }

TEST_CASE("the body of a variadic executor need not compile with a call") {
  const auto call = Stack(Timeout(1s)).Around([](auto&&... args) {
    return Send(std::forward<decltype(args)>(args)...);
  });
  CHECK(call(1, "two").ok());
}

TEST_CASE("an executor that can't be called without the call gets it") {
  int attempt = 0;
  const auto stack = Stack(Retry({}), Timeout(1s));
  const auto named = [&](int, Call& call) {
    attempt = call.attempt();
    return absl::OkStatus();
  };
  CHECK(stack.Around(named)(1).ok());
  CHECK(attempt == 1);

  attempt = 0;
  CHECK(stack.Around(std::function<absl::Status(int, Call&)>(named))(1).ok());
  CHECK(attempt == 1);

  attempt = 0;
  const auto generic = [&](const auto&, auto& call) {
    attempt = call.attempt();
    return absl::OkStatus();
  };
  CHECK(stack.Around(generic)(1).ok());
  CHECK(attempt == 1);
}

struct Both {
  absl::Status operator()(int) const { return absl::OkStatus(); }
  absl::Status operator()(int, Call&) const { return absl::UnknownError("with the call"); }
};

struct BothWithCall : Both {
  static constexpr bool kTakesCall = true;
};

TEST_CASE("an executor that can be called both ways gets the call if it says so") {
  CHECK(Stack(Timeout(1s)).Around(Both())(1).ok());
  const std::function<absl::Status(int)> function = Both();
  CHECK(Stack(Timeout(1s)).Around(function)(1).ok());

  const BothWithCall both;
  CHECK(absl::IsUnknown(Stack(Timeout(1s)).Around(both)(1)));
  CHECK(absl::IsUnknown(Stack(Timeout(1s)).Around(std::ref(both))(1)));
  CHECK(absl::IsUnknown(Stack(Retry({})).Around(Stack(Timeout(1s)).Around(both))(1)));
  CHECK(absl::IsUnknown(Stack(Timeout(1s)).Around(Catching(both))(1)));
}

TEST_CASE("a stack in a stack is told apart from an executor that takes other arguments") {
  const auto inner = Stack(Timeout(1s)).Around([](int) { return absl::OkStatus(); });
  const auto outer = Stack(Retry({})).Around(inner);
  CHECK(outer(1).ok());
  using Inner = std::remove_const_t<decltype(inner)>;
  static_assert(internal::Executes<Inner, const int&>);
  static_assert(!internal::Executes<Inner, const std::string&>);
}

}  // namespace
}  // namespace holdfast::executor_test
