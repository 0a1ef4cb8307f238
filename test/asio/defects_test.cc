// Defects that the driver once had, each as a test.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string_view>
#include <thread>
#include <utility>

#include "holdfast/concurrency/bulkhead.h"
#include "holdfast/retry/retry.h"
#include "holdfast/timeout/timeout.h"
#include "test/asio/support/net.h"
#include "test/support/catch.h"

namespace holdfast::defects_test {
namespace {

using namespace std::chrono_literals;

// An operation that is a posted handler.
template <class Context>
auto Posting(Context& context) {
  return
      [&context](auto&& token) { return net::post(context, std::forward<decltype(token)>(token)); };
}

// Starts `call` many times from outside of its context, and waits for each lot.
template <class Call>
void CallOften(const Call& call) {
  std::atomic<int> done = 0;
  for (int lot = 1; lot <= 50; ++lot) {
    for (int i = 0; i < 10; ++i) {
      call([&done](const std::exception_ptr&, const absl::Status&) { ++done; });
    }
    while (done < 10 * lot) std::this_thread::yield();
  }
}

TEST_CASE("in a pool of threads an attempt is cancelled from where it runs", "[defects]") {
  net::thread_pool pool(2);
  const auto call = Stack(Timeout(300us))
                        .AroundAsync(
                            []() -> net::awaitable<absl::Status> {
                              net::steady_timer timer(co_await net::this_coro::executor);
                              for (int i = 0; i < 3; ++i) {
                                timer.expires_after(95us);
                                co_await timer.async_wait(net::use_awaitable);
                              }
                              co_return absl::OkStatus();
                            },
                            pool);
  CallOften(call);
  pool.join();
}

TEST_CASE("in a pool of threads a stack cancels a stack below it", "[defects]") {
  net::thread_pool pool(2);
  const auto inner = Stack(Timeout(5s)).AroundAsync(Posting(pool), pool);
  CallOften(Stack(Timeout(60us)).AroundAsync(inner, pool));
  pool.join();
}

TEST_CASE("what an attempt left in its cancellation slot is no other's", "[defects]") {
  net::io_context io;
  int attempts = 0;
  const auto executor = [&](auto&& token) {
    return net::async_initiate<decltype(token), void(absl::Status)>(
        [&](auto handler) {
          // The first one's timer uses the slot and is gone with its end; the second does not.
          const bool first = ++attempts == 1;
          auto timer = std::make_unique<net::steady_timer>(io, first ? 1ms : 60ms);
          net::steady_timer& wait = *timer;
          auto slot =
              first ? net::get_associated_cancellation_slot(handler) : net::cancellation_slot();
          wait.async_wait(net::bind_cancellation_slot(
              slot, [first, timer = std::move(timer),
                     handler = std::move(handler)](const internal::ErrorCode&) mutable {
                timer.reset();
                std::move(handler)(first ? absl::UnavailableError("again") : absl::OkStatus());
              }));
        },
        token);
  };
  const auto call =
      Stack(Retry({.backoff = Backoff::Constant(1ms)}), Timeout(20ms)).AroundAsync(executor, io);
  std::optional<absl::Status> result;
  call([&result](absl::Status status) { result = std::move(status); });
  io.run();
  CHECK(result == absl::OkStatus());
  CHECK(attempts == 2);
}

TEST_CASE("a context may end with a call on its way through a strand", "[defects]") {
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto held = semaphore->TryAcquire();
  for (int polls = 0; polls < 6; ++polls) {
    for (const bool early : {false, true}) {
      auto io = std::make_unique<net::io_context>();
      std::stop_source stop;
      if (early) stop.request_stop();
      {
        const auto strand = net::make_strand(*io);
        const auto ignore = [](const absl::Status&) {};
        Stack(Timeout(20s), Bulkhead(semaphore))
            .AroundAsync(Posting(*io), strand)
            .With({.stop = stop.get_token()}, ignore);
        Stack(Timeout(20s)).AroundAsync(Posting(strand), strand)(ignore);
      }
      for (int i = 0; i < polls; ++i) io->poll_one();
      stop.request_stop();
      io.reset();
      CHECK(semaphore->queued() == 0);
    }
  }
}

struct ThrowingFork {
  static constexpr std::string_view kName = "ThrowingFork";
  struct State {};
  Verdict Before(Call&, State&) const { return Verdict::Proceed(); }
  template <class R>
  Next After(Call&, State&, R&) const {
    return Next::Done();
  }
  ThreadPool* pool() const { return nullptr; }
  TimePoint NextBranch(TimePoint, int) const { throw std::runtime_error("no next one"); }
  bool MayBranch(const Call&) const { return true; }
  bool TakeBranch(TimePoint) const { return true; }
  void ReturnBranch() const {}
};
static_assert(driver::ForkingPolicy<ThrowingFork>);

TEST_CASE("a fork that throws leaves no branch behind that knows of its call", "[defects]") {
  net::io_context io;
  bool threw = false;
  const auto call = Stack(ThrowingFork{}).AroundAsync(Posting(io), io);
  call(
      [&threw](const std::exception_ptr& error, const absl::Status&) { threw = error != nullptr; });
  io.run();
  CHECK(threw);
}

struct ThrowsWhenCopied {
  ThrowsWhenCopied() = default;
  ThrowsWhenCopied(const ThrowsWhenCopied&) { throw std::runtime_error("copied"); }
  ThrowsWhenCopied(ThrowsWhenCopied&&) noexcept {}
  ThrowsWhenCopied& operator=(const ThrowsWhenCopied&) = default;
};

TEST_CASE("a result that throws when it is taken is an exception of the attempt", "[defects]") {
  net::io_context io;
  const auto executor = [&io](auto&& token) {
    return net::async_initiate<decltype(token), void(internal::ErrorCode, ThrowsWhenCopied)>(
        [&io](auto handler) {
          net::post(io, [handler = std::move(handler)]() mutable {
            const ThrowsWhenCopied value;
            std::move(handler)(internal::ErrorCode(), value);
          });
        },
        token);
  };
  bool threw = false;
  Stack(Retry({})).AroundAsync(executor, io)(
      [&threw](const std::exception_ptr& error, const absl::StatusOr<ThrowsWhenCopied>&) {
        threw = error != nullptr;
      });
  io.run();
  CHECK(threw);
}

TEST_CASE("an attempt that is a stack and is cut off in time is tried again", "[defects]") {
  net::io_context io;
  int attempts = 0;
  const auto inner = Stack().AroundAsync(
      [&attempts]() -> net::awaitable<absl::Status> {
        if (++attempts == 2) co_return absl::OkStatus();
        net::steady_timer never(co_await net::this_coro::executor, 1h);
        co_await never.async_wait(net::use_awaitable);
        co_return absl::OkStatus();
      },
      io);
  const auto call =
      Stack(Retry({.backoff = Backoff::Constant(1ms)}), Timeout(20ms)).AroundAsync(inner, io);
  std::optional<absl::Status> result;
  call([&result](const std::exception_ptr&, absl::Status status) { result = std::move(status); });
  io.run();
  CHECK(result == absl::OkStatus());
  CHECK(attempts == 2);
}

}  // namespace
}  // namespace holdfast::defects_test
