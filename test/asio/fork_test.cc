#include "test/support/fork.h"

#include <absl/status/status.h>

#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

#include "holdfast/holdfast.h"
#include "test/asio/support/net.h"
#include "test/support/catch.h"

// A context on both sides of a fork().

namespace holdfast::fork_test {
namespace {

using namespace std::chrono_literals;
using test::Child;

// What a call comes to whose executor never ends by itself.
template <class Fetch>
std::string Call(net::io_context& io, const Fetch& fetch) {
  std::string said = "it did not end";
  fetch([&said](const std::exception_ptr&, const absl::Status& status) {
    said = absl::StatusCodeToString(status.code());
  });
  io.restart();
  io.run();
  return said;
}

TEST_CASE("a deadline is kept in a child whose context was told of the fork, and none is without") {
  if (!test::kCanFork) return;
  net::io_context io;
  const auto hang = [&io]() -> net::awaitable<absl::Status> {
    net::steady_timer timer(io, net::steady_timer::time_point::max());
    co_await timer.async_wait(net::use_awaitable);
    co_return absl::OkStatus();
  };
  const auto fetch = Stack(Timeout(20ms)).AroundAsync(hang, io.get_executor());
  REQUIRE(Call(io, fetch) == "DEADLINE_EXCEEDED");

  const bool told = GENERATE(true, false);
  CAPTURE(told);
  if (told) io.notify_fork(net::execution_context::fork_prepare);
  Child child([&]() -> std::string {
    if (told) io.notify_fork(net::execution_context::fork_child);
    try {
      return Call(io, fetch);
    } catch (const std::logic_error& error) {
      return error.what();
    }
  });
  if (told) io.notify_fork(net::execution_context::fork_parent);
  CHECK(child.Says() ==
        (told ? "DEADLINE_EXCEEDED"
              : "holdfast: the execution context is from before a fork(): it needs notify_fork()"));
  CHECK(Call(io, fetch) == "DEADLINE_EXCEEDED");
}

}  // namespace
}  // namespace holdfast::fork_test
