#include "holdfast/concurrency/adaptive_limiter.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/base/rejection.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast::adaptive_limiter_test {
namespace {

using namespace std::chrono_literals;
using Options = AdaptiveLimiter::Options;
using Ticket = AdaptiveLimiter::Ticket;
using testing::FakeClock;

// As many calls at once as there are places, all of which end after `latency`; enough of them for a
// window.
void RunWindow(AdaptiveLimiter& limiter, TimePoint& now, Duration latency,
               Outcome outcome = Outcome::kSuccess) {
  for (const TimePoint end = now + 150ms; now < end || latency <= 0ms;) {
    std::vector<Ticket> tickets;
    for (;;) {
      absl::StatusOr<Ticket> ticket = limiter.AdmitAt(now);
      if (!ticket.ok()) break;
      tickets.push_back(*std::move(ticket));
    }
    now += std::max<Duration>(latency, 1ms);
    for (Ticket& ticket : tickets) ticket.DoneAt(now, outcome);
    if (latency <= 0ms) break;
  }
}

std::string ErrorOf(const Options& options) { return std::string(Validate(options).message()); }

TEST_CASE("an adaptive limiter begins with what was published for its algorithm") {
  CHECK(AdaptiveLimiter({.algorithm = Aimd{}}).limit() == 20);
  CHECK(AdaptiveLimiter({.algorithm = Vegas{}}).limit() == 20);
  CHECK(AdaptiveLimiter({.algorithm = Gradient2{}}).limit() == 20);
  CHECK(AdaptiveLimiter({.initial = 7}).limit() == 7);
  CHECK(AdaptiveLimiter({.algorithm = Gradient2{}, .initial = 7}).limit() == 7);
  CHECK(AdaptiveLimiter({.minimum = 50}).limit() == 50);
  CHECK(AdaptiveLimiter({.maximum = 5}).limit() == 5);
  CHECK(AdaptiveLimiter({.algorithm = Aimd{}, .maximum = 5}).limit() == 5);
}

TEST_CASE("an adaptive limiter refuses options that make no sense") {
  CHECK(ErrorOf({}).empty());
  CHECK(ErrorOf({.initial = 0, .name = "db"}) == "AdaptiveLimiter db: minimum must be >= 1");
  const std::vector<Options> wrong = {
      {.minimum = 0},
      {.maximum = 0},
      {.initial = 5, .minimum = 6},
      {.initial = 7, .maximum = 6},
      {.minimum = 7, .maximum = 6},
      {.maximum = Semaphore::kMaxLimit + 1},
      {.queue_size = 0},
      {.algorithm = Aimd{}, .queue_size = 3},
      {.window = 0ms},
      {.min_samples = 0},
      {.min_samples = 1001},
      {.drop_share = -0.1},
      {.drop_share = 1},
      {.drop_share = std::nan("")},
      {.algorithm = Aimd{.backoff_ratio = 1}},
      {.algorithm = Aimd{.backoff_ratio = std::nan("")}},
      {.algorithm = Aimd{.timeout = 0ms}},
      {.algorithm = Vegas{.alpha = 0}},
      {.algorithm = Vegas{.alpha = 6, .beta = 6}},
      {.algorithm = Vegas{.beta = std::numeric_limits<double>::infinity()}},
      {.algorithm = Vegas{.smoothing = 0}},
      {.algorithm = Vegas{.probe_multiplier = 0}},
      {.algorithm = Gradient2{.smoothing = 1.1}},
      {.algorithm = Gradient2{.tolerance = 0.9}},
      {.algorithm = Gradient2{.long_window = 9}},
      {.algorithm = Gradient2{.probe_multiplier = 0}},
  };
  for (const Options& options : wrong) {
    CHECK(!ErrorOf(options).empty());
    CHECK_THROWS_AS(AdaptiveLimiter(options), std::invalid_argument);
  }
}

TEST_CASE("an adaptive limiter admits as many as its limit and refuses the rest") {
  AdaptiveLimiter limiter({.initial = 2, .name = "db"});
  absl::StatusOr<Ticket> first = limiter.AdmitAt(TimePoint{});
  absl::StatusOr<Ticket> second = limiter.AdmitAt(TimePoint{});
  REQUIRE(first.ok());
  REQUIRE(second.ok());
  CHECK(limiter.in_use() == 2);
  CHECK(limiter.queued() == 0);
  const absl::Status refused = limiter.AdmitAt(TimePoint{}).status();
  CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
  REQUIRE(RejectionOf(refused).has_value());
  CHECK(RejectionOf(refused)->policy == "AdaptiveLimit");
  CHECK(RejectionOf(refused)->name == "db");
  first->DoneAt(TimePoint{1s}, Outcome::kSuccess);
  first->DoneAt(TimePoint{1s}, Outcome::kSuccess);
  CHECK(limiter.in_use() == 1);
  *second = Ticket();
  CHECK(limiter.in_use() == 0);
  Ticket().Done(Outcome::kFailure);  // of no limiter
}

TEST_CASE("tickets move, and what they hold goes back once") {
  AdaptiveLimiter limiter({.initial = 3});
  Ticket ticket = *limiter.AdmitAt(TimePoint{});
  Ticket moved = std::move(ticket);
  CHECK(limiter.in_use() == 1);
  moved = *limiter.AdmitAt(TimePoint{});
  CHECK(limiter.in_use() == 1);
  {
    const Ticket last = std::move(moved);
  }
  CHECK(limiter.in_use() == 0);
}

TEST_CASE("the limit grows while the service keeps up, and shrinks when it drops calls") {
  const LimitAlgorithm algorithm =
      GENERATE(LimitAlgorithm(Aimd{}), LimitAlgorithm(Vegas{}), LimitAlgorithm(Gradient2{}));
  AdaptiveLimiter limiter({.algorithm = algorithm, .minimum = 1});
  TimePoint now{1h};
  for (int i = 0; i < 20; ++i) RunWindow(limiter, now, 10ms);
  const std::int64_t grown = limiter.limit();
  CHECK(grown > 25);
  for (int i = 0; i < 20; ++i) RunWindow(limiter, now, 10ms, Outcome::kFailure);
  CHECK(limiter.limit() < grown - 10);
}

TEST_CASE("an adaptive limiter reads its own clock") {
  FakeClock clock(TimePoint{1h});
  AdaptiveLimiter limiter({.algorithm = Aimd{}, .initial = 20, .clock = &clock});
  for (int i = 0; i < 40; ++i) {
    std::vector<Ticket> tickets;
    for (int call = 0; call < 20; ++call) tickets.push_back(*limiter.Admit());
    clock.Advance(10ms);
    for (Ticket& ticket : tickets) ticket.Done(Outcome::kSuccess);
  }
  CHECK(limiter.limit() > 20);
}

TEST_CASE("the limit does not grow for calls that leave most of it unused") {
  AdaptiveLimiter limiter({.algorithm = Aimd{}, .initial = 20});
  TimePoint now{1h};
  for (int i = 0; i < 10'000; ++i) {
    std::vector<Ticket> tickets;
    for (int call = 0; call < 9; ++call) tickets.push_back(*limiter.AdmitAt(now));
    now += 10ms;
    for (Ticket& ticket : tickets) ticket.DoneAt(now, Outcome::kSuccess);
  }
  CHECK(limiter.limit() == 20);
}

TEST_CASE("calls that began under an older limit count for nothing") {
  AdaptiveLimiter limiter({.algorithm = Aimd{}, .initial = 100});
  TimePoint now{1h};
  std::vector<Ticket> old;
  for (int i = 0; i < 50; ++i) old.push_back(*limiter.AdmitAt(now));
  // They hang; the window of which they are goes on without them.
  for (int i = 0; i < 200; ++i) {
    std::vector<Ticket> tickets;
    for (int call = 0; call < 50; ++call) {
      absl::StatusOr<Ticket> ticket = limiter.AdmitAt(now);
      if (ticket.ok()) tickets.push_back(*std::move(ticket));
    }
    now += 10ms;
    for (Ticket& ticket : tickets) ticket.DoneAt(now, Outcome::kSuccess);
  }
  const std::int64_t limit = limiter.limit();
  CHECK(limit > 100);
  for (Ticket& ticket : old) ticket.DoneAt(now, Outcome::kFailure);
  for (int i = 0; i < 30; ++i) RunWindow(limiter, now, 10ms);
  CHECK(limiter.limit() > limit);
}

TEST_CASE("what is ignored or dropped unused moves no limit") {
  AdaptiveLimiter limiter({});
  TimePoint now{1h};
  for (int i = 0; i < 1000; ++i) {
    std::vector<Ticket> tickets;
    for (int call = 0; call < 20; ++call) tickets.push_back(*limiter.AdmitAt(now));
    now += 10ms;
    for (int call = 0; call < 10; ++call) {
      tickets[static_cast<std::size_t>(call)].DoneAt(now, Outcome::kIgnored);
    }
  }
  CHECK(limiter.limit() == 20);
  CHECK(limiter.in_use() == 0);
}

TEST_CASE("a few drops are tolerated, more are not") {
  const auto limit_after = [](int one_in, double drop_share) {
    AdaptiveLimiter limiter({.algorithm = Aimd{}, .drop_share = drop_share});
    TimePoint now{1h};
    int calls = 0;
    for (int i = 0; i < 1000; ++i) {
      std::vector<Ticket> tickets;
      for (int call = 0; call < 20; ++call) tickets.push_back(*limiter.AdmitAt(now));
      now += 10ms;
      for (Ticket& ticket : tickets) {
        ticket.DoneAt(now, ++calls % one_in == 0 ? Outcome::kFailure : Outcome::kSuccess);
      }
    }
    return limiter.limit();
  };
  CHECK(limit_after(150, 0.01) > 20);
  CHECK(limit_after(50, 0.01) == 20);  // the minimum
  CHECK(limit_after(150, 0) < 25);
}

TEST_CASE("the default classifier tells overload from other failures and from rejections") {
  const AdaptiveLimiter limiter({});
  CHECK(limiter.Classify(absl::OkStatus()) == Outcome::kSuccess);
  CHECK(limiter.Classify(absl::UnavailableError("")) == Outcome::kFailure);
  CHECK(limiter.Classify(absl::ResourceExhaustedError("")) == Outcome::kFailure);
  CHECK(limiter.Classify(absl::DeadlineExceededError("")) == Outcome::kFailure);
  CHECK(limiter.Classify(absl::CancelledError("")) == Outcome::kIgnored);
  CHECK(limiter.Classify(absl::NotFoundError("")) == Outcome::kIgnored);
  CHECK(limiter.Classify(MakeRejection(absl::StatusCode::kResourceExhausted,
                                       {.kind = RejectionKind::kRateLimited}, "")) ==
        Outcome::kIgnored);
  const AdaptiveLimiter own({.classify = [](const absl::Status&) { return Outcome::kFailure; }});
  CHECK(own.Classify(absl::OkStatus()) == Outcome::kFailure);
}

TEST_CASE("latencies of nothing, of for ever and of less than nothing wedge no limiter") {
  const LimitAlgorithm algorithm =
      GENERATE(LimitAlgorithm(Aimd{}), LimitAlgorithm(Vegas{}), LimitAlgorithm(Gradient2{}));
  AdaptiveLimiter limiter({.algorithm = algorithm, .minimum = 1, .maximum = 100});
  const TimePoint times[] = {TimePoint{}, TimePoint::max(), TimePoint{1h}, TimePoint::min(),
                             TimePoint{1h} + 1ns};
  std::size_t n = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::vector<Ticket> tickets;
    for (int call = 0; call < 7; ++call) {
      absl::StatusOr<Ticket> ticket = limiter.AdmitAt(times[n++ % std::size(times)]);
      if (ticket.ok()) tickets.push_back(*std::move(ticket));
    }
    for (Ticket& ticket : tickets) {
      const auto outcome = static_cast<Outcome>(n % 4);  // one of them is none at all
      ticket.DoneAt(times[n++ % std::size(times)], outcome);
    }
    REQUIRE(limiter.in_use() == 0);
    REQUIRE(limiter.limit() >= 1);
    REQUIRE(limiter.limit() <= 100);
  }
  // And it still adapts.
  TimePoint now{2h};
  for (int i = 0; i < 400; ++i) RunWindow(limiter, now, 10ms);
  const std::int64_t grown = limiter.limit();
  CHECK(grown > 25);
  for (int i = 0; i < 50; ++i) RunWindow(limiter, now, 10ms, Outcome::kFailure);
  CHECK(limiter.limit() < grown);
}

TEST_CASE("a clock that goes back an hour stops no limiter") {
  AdaptiveLimiter limiter({.algorithm = Aimd{}});
  TimePoint now{2h};
  for (int i = 0; i < 5; ++i) RunWindow(limiter, now, 10ms);
  const std::int64_t before = limiter.limit();
  now -= 1h;
  for (int i = 0; i < 20; ++i) RunWindow(limiter, now, 10ms);
  CHECK(limiter.limit() > before);
}

TEST_CASE("calls that take no time move the limit as any others") {
  AdaptiveLimiter limiter({.algorithm = Vegas{}});
  TimePoint now{1h};
  for (int i = 0; i < 10'000; ++i) {
    std::vector<Ticket> tickets;
    for (int call = 0; call < 15; ++call) tickets.push_back(*limiter.AdmitAt(now));
    for (Ticket& ticket : tickets) ticket.DoneAt(now, Outcome::kSuccess);
    now += 1ms;
  }
  CHECK(limiter.limit() > 20);
  CHECK(limiter.limit() <= 40);  // then they use less than half of it
}

}  // namespace
}  // namespace holdfast::adaptive_limiter_test
