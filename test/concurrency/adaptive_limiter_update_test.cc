#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/concurrency/adaptive_limit.h"
#include "holdfast/concurrency/adaptive_limiter.h"
#include "holdfast/stack/stack.h"
#include "holdfast/stack/update_all.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/timeout/timeout.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"
#include "test/support/threads.h"

namespace holdfast::adaptive_limiter_update_test {
namespace {

using namespace std::chrono_literals;
using Options = AdaptiveLimiter::Options;
using Ticket = AdaptiveLimiter::Ticket;

constexpr TimePoint At(Duration since_start) { return TimePoint{since_start}; }

std::vector<Ticket> Fill(AdaptiveLimiter& limiter, TimePoint now) {
  std::vector<Ticket> tickets;
  for (;;) {
    absl::StatusOr<Ticket> ticket = limiter.AdmitAt(now);
    if (!ticket.ok()) return tickets;
    tickets.push_back(*std::move(ticket));
  }
}

void End(std::vector<Ticket>& tickets, TimePoint now, Outcome outcome) {
  for (Ticket& ticket : tickets) ticket.DoneAt(now, outcome);
  tickets.clear();
}

// As many at once as there are places, for longer than a window.
void RunWindow(AdaptiveLimiter& limiter, TimePoint& now, Duration latency,
               Outcome outcome = Outcome::kSuccess) {
  for (const TimePoint end = now + 150ms; now < end;) {
    std::vector<Ticket> tickets = Fill(limiter, now);
    now += latency;
    End(tickets, now, outcome);
  }
}

TEST_CASE("an adaptive limiter's present limit stays where its bounds allow it") {
  AdaptiveLimiter limiter({.algorithm = Aimd{}, .initial = 40, .minimum = 10, .maximum = 100});
  REQUIRE(limiter.limit() == 40);
  REQUIRE(limiter.Update({.algorithm = Aimd{}, .initial = 20, .minimum = 10, .maximum = 50}).ok());
  CHECK(limiter.limit() == 40);
  REQUIRE(limiter.Update({.algorithm = Aimd{}, .minimum = 10, .maximum = 30}).ok());
  CHECK(limiter.limit() == 30);
  REQUIRE(limiter.Update({.algorithm = Aimd{}, .minimum = 60, .maximum = 90}).ok());
  CHECK(limiter.limit() == 60);
}

TEST_CASE("calls keep the places that an adaptive limiter's new limit has not") {
  AdaptiveLimiter limiter({.algorithm = Aimd{}, .initial = 40, .minimum = 10, .maximum = 100});
  std::vector<Ticket> tickets = Fill(limiter, At(0s));
  REQUIRE(tickets.size() == 40);
  REQUIRE(limiter.Update({.algorithm = Aimd{}, .minimum = 10, .maximum = 30}).ok());
  CHECK(limiter.in_use() == 40);
  CHECK_FALSE(limiter.AdmitAt(At(0s)).ok());
  for (int i = 0; i < 10; ++i) tickets.pop_back();
  CHECK_FALSE(limiter.AdmitAt(At(0s)).ok());
  tickets.pop_back();
  CHECK(limiter.AdmitAt(At(0s)).ok());
}

TEST_CASE("who waits for a place gets one of an adaptive limiter's new ones") {
  testing::FakeClock clock;
  clock.set_auto_advance(false);
  auto limiter = std::make_shared<AdaptiveLimiter>(Options{.initial = 1, .clock = &clock});
  const Ticket held = *limiter->Admit();
  const AdaptiveLimit limit(limiter, {.max_wait = 10s});
  auto ask = Stack(limit).Around([] { return absl::OkStatus(); }, &clock);
  std::atomic<bool> got{false};
  std::jthread caller([&] { got = ask().ok(); });
  clock.AwaitWaiters(1);
  REQUIRE(limiter->Update({.minimum = 2}).ok());
  caller.join();
  CHECK(got);
}

TEST_CASE("an adaptive limiter goes on by another algorithm from the present limit") {
  TimePoint now = At(0s);
  AdaptiveLimiter limiter({.algorithm = Aimd{}, .initial = 40, .minimum = 1, .maximum = 1000});
  RunWindow(limiter, now, 100ms, Outcome::kFailure);
  RunWindow(limiter, now, 100ms, Outcome::kFailure);
  const std::int64_t before = limiter.limit();
  REQUIRE(before < 40);
  REQUIRE(limiter.Update({.algorithm = Gradient2{}, .minimum = 1}).ok());
  CHECK(limiter.limit() == before);
  // Half of it times the smoothing of 0.2 less.
  RunWindow(limiter, now, 100ms, Outcome::kFailure);
  CHECK(limiter.limit() < before);
  CHECK(limiter.limit() >= before * 4 / 5);
}

// Slow calls that Aimd takes for drops by its timeout.
TEST_CASE("an adaptive limiter's algorithm goes by its new numbers") {
  TimePoint now = At(0s);
  AdaptiveLimiter limiter({.algorithm = Aimd{}, .initial = 100, .minimum = 1, .maximum = 1000});
  RunWindow(limiter, now, 200ms);
  const std::int64_t grown = limiter.limit();
  CHECK(grown >= 100);
  Options options = limiter.options();
  options.algorithm = Aimd{.backoff_ratio = 0.5, .timeout = 100ms};
  REQUIRE(limiter.Update(options).ok());
  CHECK(limiter.limit() == grown);
  RunWindow(limiter, now, 200ms);
  RunWindow(limiter, now, 200ms);
  CHECK(limiter.limit() <= grown / 2);
}

TEST_CASE("an adaptive limiter adds its new queue size") {
  const auto grown_by = [](std::int64_t queue_size) {
    TimePoint now = At(0s);
    AdaptiveLimiter limiter({.algorithm = Gradient2{.smoothing = 1}, .maximum = 1000});
    for (int i = 0; i < 3; ++i) RunWindow(limiter, now, 50ms);
    const std::int64_t before = limiter.limit();
    Options options = limiter.options();
    options.queue_size = queue_size;
    REQUIRE(limiter.Update(options).ok());
    for (int i = 0; i < 3; ++i) RunWindow(limiter, now, 50ms);
    return limiter.limit() - before;
  };
  CHECK(grown_by(50) > 2 * grown_by(4));
}

// It knows what latency there is without load, so what is slow shrinks the limit at once.
TEST_CASE("Gradient2 goes on with what Vegas knew of the latency without load") {
  TimePoint now = At(0s);
  AdaptiveLimiter limiter({.initial = 20, .maximum = 1000});
  for (int i = 0; i < 4; ++i) RunWindow(limiter, now, 10ms);
  REQUIRE(limiter.Update({.algorithm = Gradient2{}, .minimum = 1, .maximum = 1000}).ok());
  const std::int64_t before = limiter.limit();
  for (int i = 0; i < 4; ++i) RunWindow(limiter, now, 100ms);
  CHECK(limiter.limit() < before);
}

TEST_CASE("an adaptive limiter's new window opens at the next call") {
  AdaptiveLimiter limiter(
      {.algorithm = Aimd{}, .initial = 20, .minimum = 1, .window = 100ms, .min_samples = 1});
  // All are dropped, and would count at 100 ms.
  std::vector<Ticket> tickets = Fill(limiter, At(0s));
  Options options = limiter.options();
  options.window = 1s;
  SECTION("and the calls that were being measured are ignored") {
    REQUIRE(limiter.Update(options).ok());
    End(tickets, At(2s), Outcome::kFailure);
    CHECK(limiter.limit() == 20);
    std::vector<Ticket> next = Fill(limiter, At(2s));
    End(next, At(2500ms), Outcome::kFailure);
    CHECK(limiter.limit() == 20);  // it takes a second
    next = Fill(limiter, At(2600ms));
    End(next, At(3100ms), Outcome::kFailure);
    CHECK(limiter.limit() == 18);
  }
  SECTION("so it is with another number of samples") {
    options = limiter.options();
    options.min_samples = 30;
    REQUIRE(limiter.Update(options).ok());
    End(tickets, At(1s), Outcome::kFailure);
    CHECK(limiter.limit() == 20);
    std::vector<Ticket> next = Fill(limiter, At(1s));
    End(next, At(2s), Outcome::kFailure);
    CHECK(limiter.limit() == 20);  // they are twenty
    next = Fill(limiter, At(2s));
    End(next, At(3s), Outcome::kFailure);
    CHECK(limiter.limit() == 18);
  }
  SECTION("and where the limit moves") {
    options = limiter.options();
    options.initial = 10;
    options.maximum = 10;
    REQUIRE(limiter.Update(options).ok());
    End(tickets, At(1s), Outcome::kFailure);
    CHECK(limiter.limit() == 10);
  }
  SECTION("but where neither is so they count") {
    options = limiter.options();
    options.algorithm = Aimd{.backoff_ratio = 0.5};
    REQUIRE(limiter.Update(options).ok());
    End(tickets, At(1s), Outcome::kFailure);
    CHECK(limiter.limit() == 10);
  }
  SECTION("by the new share of drops") {
    options = limiter.options();
    options.drop_share = 0.5;
    REQUIRE(limiter.Update(options).ok());
    for (std::size_t i = 0; i < 10; ++i) tickets[i].DoneAt(At(100ms), Outcome::kSuccess);
    for (std::size_t i = 10; i < 20; ++i) tickets[i].DoneAt(At(100ms), Outcome::kFailure);
    CHECK(limiter.limit() == 21);
  }
}

TEST_CASE("an adaptive limiter classifies by its new options") {
  AdaptiveLimiter limiter({});
  CHECK(limiter.Classify(absl::NotFoundError("")) == Outcome::kIgnored);
  auto alive = std::make_shared<int>(0);
  REQUIRE(limiter
              .Update({.classify =
                           [alive](const absl::Status& status) {
                             return status.ok() ? Outcome::kSuccess : Outcome::kFailure;
                           }})
              .ok());
  CHECK(limiter.Classify(absl::NotFoundError("")) == Outcome::kFailure);
  REQUIRE(limiter.Update({}).ok());
  CHECK(limiter.Classify(absl::NotFoundError("")) == Outcome::kIgnored);
  CHECK(alive.use_count() == 1);
}

TEST_CASE("an adaptive limiter's old classifier dies outside of its mutex") {
  AdaptiveLimiter limiter({});
  int asked = 0;
  {
    const auto asks = [&limiter, &asked](int*) {
      asked += limiter.Update(limiter.options()).ok() ? 1 : 0;
    };
    std::shared_ptr<int> guard(nullptr, asks);
    REQUIRE(limiter.Update({.classify = [guard](const absl::Status&) { return Outcome::kIgnored; }})
                .ok());
  }
  REQUIRE(limiter.Update({}).ok());
  CHECK(asked == 1);
}

TEST_CASE("an adaptive limiter refuses a change that it can't make, and nothing changes") {
  testing::FakeClock clock;
  testing::FakeClock other;
  AdaptiveLimiter limiter({.initial = 7, .name = "orders", .clock = &clock});
  for (const Options& wrong :
       {Options{.algorithm = Vegas{.alpha = 0}}, Options{.initial = 0}, Options{.minimum = 0},
        Options{.minimum = 9, .maximum = 8}, Options{.queue_size = 0}, Options{.window = 0s},
        Options{.min_samples = 0}, Options{.drop_share = 1}, Options{.name = "payments"},
        Options{.clock = &other}}) {
    CHECK(absl::IsInvalidArgument(limiter.Update(wrong)));
  }
  CHECK(limiter.limit() == 7);
  CHECK(limiter.options().initial == 7);
  CHECK(limiter.options().clock == &clock);
  CHECK(limiter.Update({.name = "orders", .clock = &clock}).ok());
  CHECK(limiter.Update({.window = 1s}).ok());
  CHECK(limiter.options().name == "orders");
  CHECK(limiter.options().window == Duration(1s));
}

TEST_CASE("the same options change nothing in an adaptive limiter") {
  const LimitAlgorithm algorithm =
      GENERATE(LimitAlgorithm(Aimd{}), LimitAlgorithm(Vegas{}), LimitAlgorithm(Gradient2{}));
  AdaptiveLimiter updated({.algorithm = algorithm, .minimum = 1});
  AdaptiveLimiter untouched({.algorithm = algorithm, .minimum = 1});
  TimePoint now = At(0s);
  for (int i = 0; i < 400; ++i) {
    std::vector<Ticket> ours = Fill(updated, now);
    std::vector<Ticket> theirs = Fill(untouched, now);
    REQUIRE(updated.Update(updated.options()).ok());
    REQUIRE(ours.size() == theirs.size());
    now += 30ms + 10ms * (i / 50);
    const Outcome outcome = i % 40 == 0 ? Outcome::kFailure : Outcome::kSuccess;
    End(ours, now, outcome);
    End(theirs, now, outcome);
    REQUIRE(updated.limit() == untouched.limit());
  }
}

TEST_CASE("whatever its changes, an adaptive limiter's limit is within its bounds") {
  test::Property([] {
    const auto drawn = [] {
      const std::int64_t minimum = *rc::gen::inRange(1, 30);
      Options options = {.minimum = minimum,
                         .maximum = minimum + *rc::gen::inRange(0, 40),
                         .window = Duration(*rc::gen::inRange(1, 200)) * 1'000'000,
                         .min_samples = *rc::gen::inRange(1, 20)};
      switch (*rc::gen::inRange(0, 3)) {
        case 0:
          options.algorithm = Aimd{};
          break;
        case 1:
          options.algorithm = Gradient2{};
          break;
        default:
          options.algorithm = Vegas{.probe_multiplier = 1};
      }
      return options;
    };
    Options options = drawn();
    AdaptiveLimiter limiter(options);
    std::vector<Ticket> out;
    TimePoint now = At(0s);
    for (int steps = *rc::gen::inRange(1, 400); steps > 0; --steps) {
      now += Duration(*rc::gen::inRange(0, 50)) * 1'000'000;
      switch (*rc::gen::inRange(0, 8)) {
        case 0:
          options = drawn();
          RC_ASSERT(limiter.Update(options).ok());
          break;
        case 1:
          for (Ticket& ticket : out) {
            ticket.DoneAt(now,
                          *rc::gen::inRange(0, 9) == 0 ? Outcome::kFailure : Outcome::kSuccess);
          }
          out.clear();
          break;
        default: {
          const std::int64_t free = limiter.limit() - limiter.in_use();
          absl::StatusOr<Ticket> ticket = limiter.AdmitAt(now);
          RC_ASSERT(ticket.ok() == (free > 0));
          if (ticket.ok()) out.push_back(*std::move(ticket));
        }
      }
      RC_ASSERT(limiter.limit() >= *options.minimum);
      RC_ASSERT(limiter.limit() <= *options.maximum);
      RC_ASSERT(limiter.in_use() == std::ssize(out));
    }
  });
}

TEST_CASE("threads that change an adaptive limiter leave nothing behind") {
  AdaptiveLimiter limiter({.initial = 4, .minimum = 2, .maximum = 8, .window = 100us});
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  test::InThreads(4, [&](int thread) {
    for (int i = 0; i < 4000; ++i) {
      if (thread == 0) {
        Options next = {.minimum = 1 + i % 3, .maximum = 4 + i % 5, .window = 50us * (1 + i % 4)};
        if (i % 3 == 0) next.algorithm = Aimd{};
        if (i % 3 == 1) next.algorithm = Gradient2{};
        if (i % 2 == 0) next.classify = [](const absl::Status&) { return Outcome::kSuccess; };
        CHECK(limiter.Update(std::move(next)).ok());
        most = std::max<int>(most, static_cast<int>(*limiter.options().maximum) - 8);
        continue;
      }
      absl::StatusOr<Ticket> ticket = limiter.Admit();
      if (!ticket.ok()) continue;
      const int now_inside = inside.fetch_add(1) + 1;
      int seen = most;
      while (seen < now_inside && !most.compare_exchange_weak(seen, now_inside)) {
      }
      inside.fetch_sub(1);
      if (i % 7 == 0) continue;  // dropped
      ticket->Done(limiter.Classify(absl::OkStatus()));
    }
  });
  CHECK(limiter.in_use() == 0);
  CHECK(most <= 8);
  REQUIRE(limiter.Update({.minimum = 3, .maximum = 3}).ok());
  CHECK(limiter.limit() == 3);
  CHECK(Fill(limiter, At(1h)).size() == 3);
}

TEST_CASE("UpdateAll changes an adaptive limiter with what else is in its stack, or neither") {
  auto limiter = std::make_shared<AdaptiveLimiter>(Options{.name = "orders"});
  auto limit = std::make_shared<Settings<TimeoutOptions>>(TimeoutOptions{.limit = 10s});
  auto stack = Stack(Timeout(limit), AdaptiveLimit(limiter, {.max_wait = 3s}), Timeout(2s));
  REQUIRE(UpdateAll(stack, Change(limiter, {.maximum = 30}), Change(limit, {.limit = 5s})).ok());
  CHECK(limiter->options().maximum == 30);
  CHECK_FALSE(UpdateAll(stack, Change(limiter, {.maximum = 9}), Change(limit, {.limit = 1s})).ok());
  CHECK_FALSE(UpdateAll(stack, Change(limiter, {.maximum = 0}), Change(limit, {.limit = 6s})).ok());
  CHECK(limiter->options().maximum == 30);
  CHECK(limit->options().limit == Duration(5s));

  const AdaptiveLimit policy(limiter);
  internal::Changes changes;
  const Options next = {.algorithm = Aimd{}, .maximum = 9};
  changes.Add(*limiter, next);
  CHECK(policy.Info(changes).limit == 9);
  CHECK(policy.Info(changes).settings.find("AIMD from 9 to 9") != std::string::npos);
  CHECK(policy.Info().limit == 30);
}

}  // namespace
}  // namespace holdfast::adaptive_limiter_update_test
