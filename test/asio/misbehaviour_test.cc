// Executors that do what they should not, and contexts that end before their calls do.
#include <absl/status/status.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"
#include "test/asio/support/net.h"
#include "test/asio/support/service.h"
#include "test/support/catch.h"

namespace holdfast::misbehaviour_test {
namespace {

using namespace std::chrono_literals;
using testing::Ended;
using testing::FakeClock;
using testing::Service;

// Does `what` with the completion handler.
template <class F>
auto Executor(F what) {
  return [what](auto&& token) {
    return net::async_initiate<decltype(token), void(absl::Status)>(
        [what](auto handler) { what(std::move(handler)); }, token);
  };
}

TEST_CASE("a completion handler that is destroyed uncalled fails the call") {
  net::io_context io;
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const bool at_once = GENERATE(true, false);
  const auto call = Stack(Timeout(60s), Retry({}), Bulkhead(semaphore))
                        .AroundAsync(Executor([&](auto handler) {
                                       if (at_once) return;
                                       net::post(io, [h = std::move(handler)] {});
                                     }),
                                     io.get_executor());
  Ended ended;
  call(ended.handler());
  CHECK(ended.calls == 0);
  io.run();
  CHECK(ended.calls == 1);
  CHECK(ended.status.code() == absl::StatusCode::kInternal);
  CHECK(semaphore->in_use() == 0);
}

TEST_CASE("a completion in the initiating function is not handed on in the caller's") {
  net::io_context io;
  Ended ended;
  SECTION("from the start") {
    int attempts = 0;
    const auto call = Stack(Timeout(60s), Retry({.backoff = Backoff::Constant(Duration::zero()),
                                                 .budget = RetryBudget::Unlimited()}))
                          .AroundAsync(Executor([&](auto handler) {
                                         const bool last = ++attempts == 3;
                                         std::move(handler)(last ? absl::OkStatus()
                                                                 : absl::UnavailableError("again"));
                                       }),
                                       io.get_executor());
    call(ended.handler());
    CHECK(ended.calls == 0);
    io.run();
    CHECK(attempts == 3);
    CHECK(ended.status.ok());
  }
  SECTION("and it throws on top of that") {
    const auto call = Stack(Retry({})).AroundAsync(Executor([&](auto handler) {
                                                     std::move(handler)(absl::OkStatus());
                                                     throw std::runtime_error("broken");
                                                   }),
                                                   io.get_executor());
    call(ended.handler());
    CHECK(ended.calls == 0);
    io.run();
    CHECK(ended.error != nullptr);
  }
  CHECK(ended.calls == 1);
}

TEST_CASE("a completion in another thread comes in the handler's executor") {
  net::io_context io;
  std::vector<std::thread> threads;
  const auto call = Stack(Timeout(60s))
                        .AroundAsync(Executor([&](auto handler) {
                                       threads.emplace_back([h = std::move(handler)]() mutable {
                                         const auto executor = net::get_associated_executor(h);
                                         net::post(executor, [h = std::move(h)]() mutable {
                                           std::move(h)(absl::OkStatus());
                                         });
                                       });
                                     }),
                                     io.get_executor());
  std::thread::id where;
  call([&](const std::exception_ptr&, const absl::Status&) { where = std::this_thread::get_id(); });
  io.run();
  for (std::thread& thread : threads) thread.join();
  CHECK(where == std::this_thread::get_id());
}

TEST_CASE(
    "a completion handler that is kept keeps its call waiting, and its context's end drops it") {
  Ended ended;
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  {
    net::io_context io;
    std::vector<std::shared_ptr<void>> kept;
    const auto call =
        Stack(Bulkhead(semaphore), Timeout(1ms))
            .AroundAsync(Executor([&](auto handler) {
                           kept.push_back(std::make_shared<decltype(handler)>(std::move(handler)));
                         }),
                         io.get_executor());
    call(ended.handler());
    io.run_for(10ms);
    CHECK(semaphore->in_use() == 1);
  }
  CHECK(ended.calls == 0);
  CHECK(semaphore->in_use() == 0);
}

// Ends the context with calls at every kind of wait, on the real clock and on a fake one.
TEST_CASE("a context may end with calls at every kind of wait") {
  FakeClock fake;
  FakeClock service_clock;
  TimerClock* const clock = GENERATE(true, false) ? &fake : nullptr;
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 2});
  auto full = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  auto bucket = std::make_shared<TokenBucket>(
      TokenBucket::Options{.rate = 0.001, .burst = 1, .clock = clock});
  auto held = std::make_shared<int>(0);
  const auto permit = full->TryAcquire();
  const BulkheadOptions patient = {.max_wait = Duration::max()};
  int called = 0;
  {
    std::optional<net::io_context> context(std::in_place);
    net::io_context& io = *context;
    Service service(io, service_clock);
    service.Script({{60s, absl::OkStatus()}});
    const auto start = [&](const auto& stack) {
      const auto handler = [&called, held](const std::exception_ptr&, const absl::Status&) {
        ++called;
      };
      const auto call = [&] {
        return stack.AroundAsync(service.executor(), io.get_executor(), clock);
      }();
      call(handler);
      call(net::bind_executor(net::make_strand(io), handler));
      net::co_spawn(
          io,
          [call, held]() -> net::awaitable<void> {
            const auto mine = held;  // NOLINT(performance-unnecessary-copy-initialization)
            (void)co_await call(net::use_awaitable);
          },
          net::detached);
    };
    start(Stack(RateLimit(bucket, {.max_wait = Duration::max()})));
    start(Stack(Timeout(60s), Bulkhead(full, patient)));
    start(Stack(Bulkhead(full, patient)));
    start(Stack(
        Bulkhead(semaphore, patient)));  // two are attempts, and the third waits for one of those
    start(Stack(Hedge({.delay = 1ms, .budget = RetryBudget::Unlimited()}, HedgeAll())));
    start(Stack(Timeout(60s), Hedge({.budget = RetryBudget::Unlimited()}, HedgeAll()),
                Bulkhead(full, patient)));
    const bool began = GENERATE(true, false);
    if (began) io.run_for(5ms);
    CHECK(called == 0);
    context.reset();
  }
  CHECK(called == 0);
  CHECK(held.use_count() == 1);
  CHECK(semaphore->in_use() == 0);
  CHECK(semaphore->queued() == 0);
  CHECK(full->queued() == 0);
  fake.Advance(1h);  // rings nobody
}

// A policy of a user's, whose calls wait until somebody else wakes them; and somebody does, in the
// last moment in which that is allowed.
struct WokenAtTheEnd {
  struct State {
    ~State() {
      if (waker != nullptr) std::thread([this] { waker->Wake(); }).join();
    }
    Waker* waker = nullptr;
  };

  Verdict Before(Call& call, State& state) const {
    state.waker = &call.waker();
    return Verdict::Wait(TimePoint::max());
  }
  template <class R>
  Next After(Call&, State&, R&) const {
    return Next::Done();
  }
};

TEST_CASE("a call may be woken by another thread while its context ends") {
  const auto held = std::make_shared<int>(0);
  int called = 0;
  {
    net::io_context io;
    const auto call = Stack(WokenAtTheEnd()).AroundAsync(Executor([](auto) {}), io.get_executor());
    for (int i = 0; i < 3; ++i)
      call([&called, held](const std::exception_ptr&, const absl::Status&) { ++called; });
    io.run_for(5ms);
    CHECK(held.use_count() == 4);
  }
  CHECK(held.use_count() == 1);
  CHECK(called == 0);
}

// The timer of a timer whose call is over would keep run() for a minute.
TEST_CASE("run() returns as soon as no call is in flight, whatever their deadlines were") {
  net::io_context io;
  const auto call = Stack(Timeout(60s), Retry({}), Timeout(50s))
                        .AroundAsync(Executor([&](auto handler) {
                                       net::post(io, [h = std::move(handler)]() mutable {
                                         std::move(h)(absl::OkStatus());
                                       });
                                     }),
                                     io.get_executor());
  int ended = 0;
  const auto began = std::chrono::steady_clock::now();
  SECTION("after calls side by side") {
    for (int i = 0; i < 10; ++i)
      call([&](const std::exception_ptr&, const absl::Status&) { ++ended; });
    io.run();
    CHECK(ended == 10);
  }
  SECTION("after calls that followed each other") {
    std::function<void()> next = [&] {
      call([&](const std::exception_ptr&, const absl::Status&) {
        if (++ended < 10) next();
      });
    };
    next();
    io.run();
    CHECK(ended == 10);
  }
  SECTION("after one that was cut off by a shorter deadline") {
    net::steady_timer timer(io, 60s);
    const auto waits = Stack(Timeout(60s), Timeout(10ms))
                           .AroundAsync(
                               [&timer](auto&& token) {
                                 return timer.async_wait(std::forward<decltype(token)>(token));
                               },
                               io.get_executor());
    waits([&](const std::exception_ptr&, const absl::Status& status) {
      CHECK(status.code() == absl::StatusCode::kDeadlineExceeded);
      ++ended;
    });
    io.run();
    CHECK(ended == 1);
    CHECK(std::chrono::steady_clock::now() - began >= 10ms);
  }
  CHECK(std::chrono::steady_clock::now() - began < 10s);
}

TEST_CASE("a strand that is busy does not hold up the timers of others") {
  net::io_context io;
  auto strand = net::any_io_executor(net::make_strand(io));
  net::steady_timer never(io, net::steady_timer::time_point::max());
  const auto call = Stack(Timeout(20ms))
                        .AroundAsync(
                            [&never](auto&& token) {
                              return never.async_wait(std::forward<decltype(token)>(token));
                            },
                            io.get_executor());
  // The first call in the context, whose executor its timer has.
  std::promise<void> over;
  call(net::bind_executor(strand, [](const std::exception_ptr&, const absl::Status&) {}));
  net::post(strand, [&] { CHECK(over.get_future().wait_for(10s) == std::future_status::ready); });
  call([&](const std::exception_ptr&, const absl::Status& status) {
    if (status.code() == absl::StatusCode::kDeadlineExceeded) over.set_value();
  });
  std::thread other([&] { io.run(); });
  io.run();
  other.join();
}

}  // namespace
}  // namespace holdfast::misbehaviour_test
