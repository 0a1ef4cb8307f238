// An AnyAsyncExecutor does what the executor that it holds does, behind a type that can be named.
#include "holdfast/asio/any_async_executor.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"
#include "test/asio/support/net.h"
#include "test/asio/support/service.h"
#include "test/support/catch.h"

namespace holdfast::any_async_executor_test {
namespace {

using namespace std::chrono_literals;
using testing::Ended;
using testing::FakeClock;
using testing::kDeferred;
using testing::Service;

using Number = absl::StatusOr<int>;
using Numbers = AnyAsyncExecutor<Number(int)>;
using Asks = AnyAsyncExecutor<absl::Status()>;

static_assert(std::is_copy_constructible_v<Numbers>);
static_assert(std::is_copy_assignable_v<Numbers>);
static_assert(!std::is_default_constructible_v<Numbers>);

net::awaitable<Number> Double(int i) { co_return 2 * i; }

// Completes with twice its argument, through the context.
auto Doubler(net::io_context& io) {
  return [&io](int i, auto&& token) {
    return net::async_initiate<decltype(token), void(Number)>(
        [&io](auto handler, int value) {
          const auto executor = net::get_associated_executor(handler, io.get_executor());
          net::post(io, net::bind_executor(executor, [value, h = std::move(handler)]() mutable {
                      std::move(h)(Number(2 * value));
                    }));
        },
        token, i);
  };
}

std::string WhatOf(const std::exception_ptr& error) {
  if (error == nullptr) return "";
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  }
}

TEST_CASE("one type holds stacks, operations, coroutines, functions and others of its kind") {
  net::io_context io;
  std::vector<Numbers> all;
  all.emplace_back(Stack(Retry({}), Timeout(1h)).AroundAsync(Doubler(io), io));
  all.emplace_back(Stack().AroundAsync(Double, io));
  all.emplace_back(Doubler(io), io);
  all.emplace_back(Double, io.get_executor());
  all.emplace_back(std::function<net::awaitable<Number>(int)>(Double), io);
  all.emplace_back([](int i, Call&) -> net::awaitable<Number> { co_return 2 * i; }, io);
  all.emplace_back(
      [&io](int i, Call&, auto&& token) {
        return Doubler(io)(i, std::forward<decltype(token)>(token));
      },
      io);
  all.emplace_back(all.front());
  all.emplace_back(AnyAsyncExecutor<absl::StatusOr<short>(const long&)>(
      [](long i) -> net::awaitable<absl::StatusOr<short>> { co_return static_cast<short>(2 * i); },
      io));
  all.emplace_back(Double);  // in the system's executor
  for (const Numbers& each : all) {
    auto result = each(21, net::use_future);
    io.restart();
    io.run();
    CHECK(result.get().value() == 42);
  }
}

TEST_CASE("an AnyAsyncExecutor is started with any completion token") {
  net::io_context io;
  const Numbers call = Stack(Retry({})).AroundAsync(Doubler(io), io);
  std::vector<int> seen;
  call(1, [&](const std::exception_ptr& error, Number result) {
    CHECK(error == nullptr);
    seen.push_back(result.value());
  });
  call(2, [&](const Number& result) { seen.push_back(result.value()); });
  call(3, net::detached);
  auto future = call(4, net::use_future);
  net::co_spawn(
      io,
      [&]() -> net::awaitable<void> {
        Number result = co_await call(5, net::use_awaitable);
        seen.push_back(result.value());
        Report report;
        result = co_await call.With({.key = "key", .report = &report}, 6, net::use_awaitable);
        seen.push_back(result.value() + report.attempts);
      },
      net::detached);
  auto deferred = call(7, kDeferred);
  {
    const auto dropped = call(8, kDeferred);
  }
  CHECK(seen.empty());
  io.run();
  CHECK(future.get().value() == 8);
  CHECK(seen == std::vector{2, 4, 10, 13});
  std::move(deferred)(
      [&](const std::exception_ptr&, const Number& result) { seen.push_back(result.value()); });
  io.restart();
  io.run();
  CHECK(seen.back() == 14);
}

TEST_CASE("the options of a call reach the executor that is held") {
  net::io_context io;
  FakeClock clock;
  Service service(io, clock);
  service.Script({{1s, absl::UnavailableError("no")}, {1s, absl::OkStatus()}});
  std::vector<std::string> keys;
  TimePoint deadline;
  const Asks call =
      Stack(Retry({.backoff = Backoff::Constant(1s), .budget = RetryBudget::Unlimited()}))
          .AroundAsync(
              [&](Call& c, auto&& token) {
                keys.emplace_back(c.key());
                deadline = c.deadline();
                return service.Ask(std::forward<decltype(token)>(token));
              },
              io, &clock);
  Ended ended;
  Report report;
  call.With({.deadline = TimePoint(9s), .key = "mine", .report = &report}, ended.handler(&clock));
  RunVirtual(io, clock);
  CHECK(ended.status.ok());
  CHECK(ended.at == TimePoint(3s));
  CHECK(keys == std::vector<std::string>{"mine", "mine"});
  CHECK(deadline == TimePoint(9s));
  CHECK(report.attempts == 2);
}

TEST_CASE("arguments are converted when the call is started, and kept in it") {
  net::io_context io;
  const AnyAsyncExecutor<absl::StatusOr<std::string>(const std::string&, std::unique_ptr<int>,
                                                     int&)>
      call(
          [](const std::string& text, const std::unique_ptr<int>& owned,
             int& count) -> net::awaitable<absl::StatusOr<std::string>> {
            ++count;
            co_return text + std::to_string(*owned);
          },
          io);
  int count = 0;
  auto future = [&] {
    char text[] = "gone";
    auto started = call(text, std::make_unique<int>(1), count, net::use_future);
    text[0] = '?';
    return started;
  }();
  io.run();
  CHECK(future.get().value() == "gone1");
  CHECK(count == 1);
}

TEST_CASE("results and handlers may be move-only") {
  net::io_context io;
  using Owned = absl::StatusOr<std::unique_ptr<int>>;
  const AnyAsyncExecutor<Owned(int)> call =
      Stack(Timeout(1h))
          .AroundAsync([](int i) -> net::awaitable<Owned> { co_return std::make_unique<int>(i); },
                       io);
  int got = 0;
  call(3, [&got, owned = std::make_unique<int>(4)](const std::exception_ptr&, Owned result) {
    got = **result + *owned;
  });
  net::co_spawn(
      io,
      [&]() -> net::awaitable<void> {
        const Owned result = co_await call(30, net::use_awaitable);
        got += **result;
      },
      net::detached);
  auto future = call(5, net::use_future);
  io.run();
  CHECK(got == 37);
  CHECK(**future.get() == 5);
}

TEST_CASE("a result is converted, and one of no kind or of a foreign type is in Catching") {
  net::io_context io;
  const AnyAsyncExecutor<absl::StatusOr<long>(int)> wider(Double, io);
  const AnyAsyncExecutor<int(int)> plain =
      Stack(Retry({.budget = RetryBudget::Unlimited()}))
          .AroundAsync(Catching([](int i) -> net::awaitable<int> {
                         if (i < 0) throw std::out_of_range("below");
                         co_return i;
                       }),
                       io);
  int pings = 0;
  const AnyAsyncExecutor<void()> ping(Catching([&]() -> net::awaitable<void> {
                                        ++pings;
                                        co_return;
                                      }),
                                      io);
  auto wide = wider(2, net::use_future);
  auto same = plain(3, net::use_future);
  auto thrown = plain(-1, net::use_future);
  auto pinged = ping(net::use_future);
  bool alone = false;
  ping([&] { alone = true; });
  // A stack around one puts it in Catching itself.
  auto around = Stack(Retry({})).AroundAsync(Catching(plain), io)(4, net::use_future);
  io.run();
  CHECK(wide.get().value() == 4);
  CHECK(same.get() == 3);
  CHECK_THROWS_AS(thrown.get(), std::out_of_range);
  pinged.get();
  CHECK(alone);
  CHECK(pings == 2);
  CHECK(around.get() == 4);
}

// Has options of a call, and completes as no stack does.
struct Client {
  template <class Token>
  auto With(const CallOptions& options, int i, Token&& token) const {
    keys->emplace_back(options.key);
    return net::async_initiate<Token, void(internal::ErrorCode, int)>(
        [this](auto handler, int value) {
          net::post(*io, [value, h = std::move(handler)]() mutable {
            std::move(h)(internal::ErrorCode(), value);
          });
        },
        token, i);
  }
  net::io_context* io;
  std::vector<std::string>* keys;
};

TEST_CASE("a client with options of its own completes as its operation does") {
  net::io_context io;
  std::vector<std::string> keys;
  const Numbers call(Client{&io, &keys}, io);
  auto future = call.With({.key = "mine"}, 7, net::use_future);
  io.run();
  CHECK(future.get().value() == 7);
  CHECK(keys == std::vector<std::string>{"mine"});
}

TEST_CASE("null is refused") {
  net::io_context io;
  net::awaitable<Number> (*const none)(int) = nullptr;
  CHECK_THROWS_AS(Numbers(none, io), std::invalid_argument);
  CHECK_THROWS_AS(Numbers(std::function<net::awaitable<Number>(int)>(), io), std::invalid_argument);
}

TEST_CASE("copies share what they hold, and what was moved from is a copy") {
  net::io_context io;
  auto bucket = std::make_shared<int>(0);
  Asks first(
      [count = 0, bucket]() mutable -> net::awaitable<absl::Status> {
        *bucket = ++count;
        co_return absl::OkStatus();
      },
      io);
  const Asks second = first;
  const Asks third = std::move(first);
  // It is still there. NOLINTNEXTLINE(bugprone-use-after-move)
  first(net::detached);
  second(net::detached);
  third(net::detached);
  first = third;
  first(net::detached);
  io.run();
  CHECK(*bucket == 4);
}

TEST_CASE("the handler's slot cancels the call in the middle") {
  net::io_context io;
  FakeClock clock;
  Service service(io, clock);
  service.Script({{9s, absl::OkStatus()}});
  const bool bare = GENERATE(false, true);
  const Asks call =
      bare ? Asks(service.executor(), io, &clock)
           : Asks(Stack(Timeout(1h), Retry({})).AroundAsync(service.executor(), io, &clock));
  net::cancellation_signal signal;
  std::stop_source stop;
  Ended by_signal;
  Ended by_stop;
  Ended not_cancelled;
  call(net::bind_cancellation_slot(signal.slot(), by_signal.handler(&clock)));
  call.With({.stop = stop.get_token()}, by_stop.handler(&clock));
  call(not_cancelled.handler(&clock));
  RunVirtual(io, clock, TimePoint(2s));
  CHECK(service.under_way() == 3);
  signal.emit(net::cancellation_type::terminal);
  stop.request_stop();
  RunVirtual(io, clock);
  CHECK(absl::IsCancelled(by_signal.status));
  CHECK(by_signal.at == TimePoint(2s));
  CHECK(absl::IsCancelled(by_stop.status));
  CHECK(by_stop.at == TimePoint(2s));
  CHECK(not_cancelled.status.ok());
  CHECK(not_cancelled.at == TimePoint(9s));
  CHECK(service.cancelled().size() == 2);
}

TEST_CASE("a coroutine that is cancelled while it awaits a call cancels the call") {
  net::io_context io;
  FakeClock clock;
  Service service(io, clock);
  service.Script({{9s, absl::OkStatus()}});
  const Asks call = Stack(Retry({})).AroundAsync(service.executor(), io, &clock);
  net::cancellation_signal signal;
  bool ended = false;
  net::co_spawn(
      io, call(net::use_awaitable),
      net::bind_cancellation_slot(
          signal.slot(), [&](const std::exception_ptr&, const absl::Status&) { ended = true; }));
  RunVirtual(io, clock, TimePoint(1s));
  signal.emit(net::cancellation_type::terminal);
  RunVirtual(io, clock);
  CHECK(ended);
  CHECK(service.cancelled() == std::vector{TimePoint(1s)});
}

TEST_CASE("stacks nest, and the inner one learns of the outer one's call") {
  net::io_context io;
  FakeClock clock;
  TimePoint deadline;
  std::string key;
  auto breaker = std::make_shared<CircuitBreaker>(CircuitBreaker::Options{
      .timeout = 30s, .ready_to_trip = [](const BreakerCounts&) { return true; }, .clock = &clock});
  const Asks inner = Stack(CircuitBreak(breaker), Timeout(2s))
                         .AroundAsync(
                             [&](Call& call) -> net::awaitable<absl::Status> {
                               deadline = call.deadline();
                               key = call.key();
                               co_return absl::OkStatus();
                             },
                             io, &clock);
  CHECK(inner.StackClock() == &clock);
  CHECK(inner.TimeBelowAt(TimePoint()).attempt == 2s);
  const Asks outer = Stack(Timeout(1s), Retry({.budget = RetryBudget::Unlimited()}))
                         .AroundAsync(Asks(inner), io, &clock);
  CHECK(outer.TimeBelowAt(TimePoint()).attempt == 1s);
  Ended ended;
  outer.With({.key = "mine"}, ended.handler());
  RunVirtual(io, clock);
  CHECK(ended.status.ok());
  CHECK(deadline == TimePoint{1s});
  CHECK(key == "mine");

  breaker->Admit()->Done(holdfast::Outcome::kFailure);
  Report report;
  Ended refused;
  outer.With({.report = &report}, refused.handler(&clock));
  RunVirtual(io, clock);
  CHECK(RejectionOf(refused.status)->policy == "CircuitBreak");
  CHECK(report.retry_at == breaker->retry_at());
  CHECK(report.ended_by == EndReason::kRejected);

  CHECK_THROWS_AS(Stack().AroundAsync(inner, io), std::invalid_argument);
}

TEST_CASE("the deadline of a stack around it cuts an attempt off") {
  net::io_context io;
  FakeClock clock;
  Service service(io, clock);
  service.Script({{9s, absl::OkStatus()}, {1s, absl::OkStatus()}});
  const Asks inner(service.executor(), io, &clock);
  const Asks outer =
      Stack(Retry({.backoff = Backoff::Constant(1s), .budget = RetryBudget::Unlimited()}),
            Timeout(2s))
          .AroundAsync(inner, io, &clock);
  Ended ended;
  outer(ended.handler(&clock));
  RunVirtual(io, clock);
  CHECK(ended.status.ok());
  CHECK(ended.at == TimePoint(4s));
  CHECK(service.cancelled().front() == TimePoint(2s));
  CHECK(service.started() == std::vector{TimePoint(), TimePoint(3s)});
}

TEST_CASE("a hedge sends copies to it") {
  net::io_context io;
  FakeClock clock;
  Service service(io, clock);
  service.Script({{9s, absl::OkStatus()}, {1s, absl::OkStatus()}});
  const Asks inner = Stack(Timeout(20s)).AroundAsync(service.executor(), io, &clock);
  const Asks outer = Stack(Hedge({.delay = 1s, .budget = RetryBudget::Unlimited()}, HedgeAll()))
                         .AroundAsync(inner, io, &clock);
  Ended ended;
  outer(ended.handler(&clock));
  RunVirtual(io, clock);
  CHECK(ended.status.ok());
  CHECK(ended.at == TimePoint(2s));
  CHECK(service.started().size() == 2);
  CHECK(service.under_way() == 0);
}

TEST_CASE("what the executor throws reaches the handler once, with every permit back") {
  net::io_context io;
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const auto stack = Stack(Bulkhead(semaphore), Timeout(1h));
  const auto at_once = [](auto&& token) {
    return net::async_initiate<decltype(token), void(absl::Status)>(
        [](auto) { throw std::runtime_error("broken"); }, token);
  };
  const auto later = []() -> net::awaitable<absl::Status> {
    co_await net::post(net::use_awaitable);
    throw std::runtime_error("broken");
    co_return absl::OkStatus();
  };
  for (const Asks& call : {Asks(stack.AroundAsync(at_once, io)), Asks(stack.AroundAsync(later, io)),
                           Asks(at_once, io), Asks(later, io)}) {
    Ended ended;
    call(ended.handler());
    CHECK(ended.calls == 0);
    io.restart();
    io.run();
    CHECK(ended.calls == 1);
    CHECK(WhatOf(ended.error) == "broken");
    CHECK(semaphore->in_use() == 0);

    call([](const absl::Status&) { FAIL("called"); });
    io.restart();
    CHECK_THROWS_AS(io.run(), std::runtime_error);
  }
}

TEST_CASE("an executor that destroys its handler has failed") {
  net::io_context io;
  const Asks call = Stack().AroundAsync(
      [](auto&& token) {
        return net::async_initiate<decltype(token), void(absl::Status)>([](auto) {}, token);
      },
      io);
  Ended ended;
  Stack().AroundAsync(call, io)(ended.handler());
  io.run();
  CHECK(ended.calls == 1);
  CHECK(ended.status.code() == absl::StatusCode::kInternal);
}

// Says when it is destroyed.
struct Witness {
  explicit Witness(int& count) : gone(&count) {}
  Witness(Witness&& other) noexcept : gone(std::exchange(other.gone, nullptr)) {}
  Witness(const Witness&) = delete;
  ~Witness() {
    if (gone != nullptr) ++*gone;
  }
  int* gone;
};

TEST_CASE("a context that goes away ends calls without calling their handlers") {
  FakeClock clock;
  auto semaphore = std::make_shared<Semaphore>(Semaphore::Options{.limit = 1});
  const bool late = GENERATE(false, true);
  int gone = 0;
  auto io = std::make_unique<net::io_context>();
  Service service(*io, clock);
  service.Script({{9s, absl::OkStatus()}});
  {
    const Asks inner = Stack(Bulkhead(semaphore)).AroundAsync(service.executor(), *io, &clock);
    const Asks outer = Stack(Timeout(1h)).AroundAsync(inner, *io, &clock);
    const auto handler = [&](auto&&...) { FAIL("called"); };
    // One runs, the others wait for the permit.
    outer([handler, witness = Witness(gone)](const std::exception_ptr&, const absl::Status&) {
      handler();
    });
    inner(net::bind_executor(net::make_strand(*io),
                             [handler, witness = Witness(gone)](
                                 const std::exception_ptr&, const absl::Status&) { handler(); }));
    net::co_spawn(
        *io,
        [](Asks call, Witness) -> net::awaitable<void> {
          (void)co_await call(net::use_awaitable);
          FAIL("returned");
        }(outer, Witness(gone)),
        net::detached);
    if (late) RunVirtual(*io, clock, TimePoint(500ms));
  }
  CHECK(gone == 0);
  io.reset();
  CHECK(gone == 3);
  CHECK(semaphore->in_use() == 0);
  CHECK(semaphore->queued() == 0);
  CHECK(service.under_way() == 0);
}

TEST_CASE("a call outlives the AnyAsyncExecutor that started it") {
  net::io_context io;
  FakeClock clock;
  Service service(io, clock);
  service.Script({{1s, absl::UnavailableError("no")}, {1s, absl::OkStatus()}});
  int gone = 0;
  Ended ended;
  {
    auto witness = std::make_shared<Witness>(gone);
    const auto ask = [&service, witness](auto&& token) {
      return service.Ask(std::forward<decltype(token)>(token));
    };
    witness.reset();
    const Asks call =
        Asks(Stack(Retry({.backoff = Backoff::Constant(1s), .budget = RetryBudget::Unlimited()}))
                 .AroundAsync(Asks(ask, io, &clock), io, &clock));
    call(ended.handler(&clock));
  }
  CHECK(gone == 0);
  RunVirtual(io, clock);
  CHECK(ended.status.ok());
  CHECK(ended.at == TimePoint(3s));
  CHECK(gone == 1);
}

// The result of an AnyAsyncExecutor of another type.
struct Wrapped {
  Wrapped(absl::Status s) : status(std::move(s)) {}  // NOLINT(google-explicit-constructor)
  operator absl::Status() const { return status; }   // NOLINT(google-explicit-constructor)
  absl::Status status;
};

TEST_CASE("a call runs where its handler says, and else where the stack does") {
  net::io_context io;
  net::io_context other;
  std::vector<bool> in_other;
  const auto executor = [&]() -> net::awaitable<absl::Status> {
    in_other.push_back(other.get_executor().running_in_this_thread());
    co_return absl::OkStatus();
  };
  const AnyAsyncExecutor<Wrapped()> wrapped(executor, io);
  const Asks call = std::vector{Asks(executor, io),
                                Asks(Stack(Retry({})).AroundAsync(executor, io)), Asks(wrapped),
                                Asks(Stack().AroundAsync(Asks(wrapped), io))}[GENERATE(0, 1, 2, 3)];
  const auto handler = [&](const std::exception_ptr&, const absl::Status&) {
    in_other.push_back(other.get_executor().running_in_this_thread());
  };
  call(handler);
  testing::Poll(other);
  CHECK(in_other.empty());
  testing::Poll(io);
  CHECK(in_other == std::vector{false, false});
  call(net::bind_executor(other, handler));
  testing::Poll(io);
  CHECK(in_other.size() == 2);
  testing::Poll(other);
  CHECK(in_other == std::vector{false, false, true, true});
}

TEST_CASE("a handler that is bound to a strand has its call in that strand") {
  net::io_context io;
  const auto strand = net::make_strand(io);
  int outside = 0;
  const auto look = [&] {
    if (!strand.running_in_this_thread()) ++outside;
  };
  const Asks call =
      Stack(Timeout(1h),
            Retry({.backoff = Backoff::Constant(1us), .budget = RetryBudget::Unlimited()}))
          .AroundAsync(
              [&](Call& c) -> net::awaitable<absl::Status> {
                look();
                net::steady_timer timer(co_await net::this_coro::executor, 10us);
                co_await timer.async_wait(net::use_awaitable);
                look();
                co_return c.attempt() < 3 ? absl::UnavailableError("again") : absl::OkStatus();
              },
              io);
  int ended = 0;  // in the strand only
  constexpr int kCalls = 100;
  for (int i = 0; i < kCalls; ++i) {
    call(net::bind_executor(strand, [&](const absl::Status& status) {
      look();
      if (status.ok()) ++ended;
    }));
  }
  std::jthread second([&] { io.run(); });
  io.run();
  second.join();
  CHECK(outside == 0);
  CHECK(ended == kCalls);
}

// Attempts that are cut off, in threads of the context's own: each call has a strand.
template <class Context>
void CallOften(const Asks& call, Context& context) {
  std::atomic<int> done = 0;
  for (int lot = 1; lot <= 30; ++lot) {
    for (int i = 0; i < 10; ++i) {
      const auto handler = [&done](const std::exception_ptr&, const absl::Status&) { ++done; };
      if (i % 2 == 0) {
        call(handler);
      } else {
        call(net::bind_executor(context, handler));
      }
    }
    while (done < 10 * lot) std::this_thread::yield();
  }
}

auto Ticking() {
  return []() -> net::awaitable<absl::Status> {
    net::steady_timer timer(co_await net::this_coro::executor);
    for (int i = 0; i < 3; ++i) {
      timer.expires_after(95us);
      co_await timer.async_wait(net::use_awaitable);
    }
    co_return absl::OkStatus();
  };
}

TEST_CASE("in a pool of threads each call has a strand") {
  net::thread_pool pool(2);
  CallOften(Stack(Timeout(300us)).AroundAsync(Ticking(), pool), pool);
  CallOften(Stack(Timeout(200us)).AroundAsync(Asks(Ticking(), pool), pool), pool);
  pool.join();
}

TEST_CASE("in the system's threads each call has a strand") {
  CallOften(Stack(Timeout(300us)).AroundAsync(Ticking()), net::system_executor().context());
}

}  // namespace
}  // namespace holdfast::any_async_executor_test
