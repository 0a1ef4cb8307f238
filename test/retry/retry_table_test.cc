// What Retry does with scripts of answers, to the nanosecond.
#include <absl/status/status.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;

struct Answer {
  Duration took{0};
  StatusCode code = StatusCode::kUnavailable;
  std::optional<Duration> retry_after = std::nullopt;
};

// An answer as a caller gets it, with the number of the attempt that it came from.
struct Reply {
  absl::Status status;
  std::optional<Duration> retry_after = std::nullopt;
  int attempt = 0;
};

}  // namespace

template <>
struct ResultTraits<Reply> {
  static absl::Status StatusOf(const Reply& reply) { return reply.status; }
  static Reply FromStatus(absl::Status status) { return {.status = std::move(status)}; }
  static std::optional<Duration> RetryAfter(const Reply& reply) { return reply.retry_after; }
};

namespace {

struct Script {
  std::string name;
  RetryOptions options = {};
  Duration deadline = Duration::max();
  std::vector<Answer> answers = {};  // the last one for all further attempts
  // What comes of it.
  std::vector<Duration> starts = {};
  StatusCode code = StatusCode::kOk;
  EndReason ended_by = EndReason::kSuccess;
};

constexpr Answer kDown{};
constexpr Answer kFine{.code = StatusCode::kOk};

// One second, two, four, ... up to ten.
RetryOptions Doubling(int attempts = 4) {
  return {.max_attempts = attempts,
          .backoff = Backoff::Exponential({.initial = 1s, .max = 10s, .jitter = Jitter::kNone}),
          .budget = RetryBudget::Unlimited()};
}
RetryOptions Every(Duration delay, int attempts) {
  return {.max_attempts = attempts,
          .backoff = Backoff::Constant(delay),
          .budget = RetryBudget::Unlimited()};
}
RetryOptions Elapsing(Duration most) {
  RetryOptions options = Doubling(100);
  options.max_elapsed = most;
  return options;
}
RetryOptions Budgeted(std::int64_t capacity) {
  RetryOptions options = Every(1s, 100);
  options.budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = capacity, .per_success = 0, .min_retries_per_second = 0});
  return options;
}

std::vector<Script> Scripts() {
  using enum EndReason;
  return {
      {"a success", Doubling(), Duration::max(), {kFine}, {0s}, StatusCode::kOk, kSuccess},
      {"one failure",
       Doubling(),
       Duration::max(),
       {kDown, kFine},
       {0s, 1s},
       StatusCode::kOk,
       kSuccess},
      {"down for good",
       Doubling(),
       Duration::max(),
       {kDown},
       {0s, 1s, 3s, 7s},
       StatusCode::kUnavailable,
       kAttempts},
      {"one attempt only",
       Doubling(1),
       Duration::max(),
       {kDown},
       {0s},
       StatusCode::kUnavailable,
       kAttempts},
      {"capped",
       Doubling(7),
       Duration::max(),
       {kDown},
       {0s, 1s, 3s, 7s, 15s, 25s, 35s},
       StatusCode::kUnavailable,
       kAttempts},
      {"slow attempts",
       Doubling(3),
       Duration::max(),
       {{.took = 5s}},
       {0s, 6s, 13s},
       StatusCode::kUnavailable,
       kAttempts},
      {"a final failure",
       Doubling(),
       Duration::max(),
       {{.code = StatusCode::kNotFound}},
       {0s},
       StatusCode::kNotFound,
       kNotRetryable},
      {"a failure, then a final one",
       Doubling(),
       Duration::max(),
       {kDown, {.code = StatusCode::kPermissionDenied}},
       {0s, 1s},
       StatusCode::kPermissionDenied,
       kNotRetryable},
      {"busy, and says for how long",
       Doubling(),
       Duration::max(),
       {{.code = StatusCode::kResourceExhausted, .retry_after = 30s}, kFine},
       {0s, 30s},
       StatusCode::kOk,
       kSuccess},
      {"asks for less than the backoff",
       Doubling(),
       Duration::max(),
       {{.retry_after = 1ms}, kFine},
       {0s, 1s},
       StatusCode::kOk,
       kSuccess},
      {"asks for less than nothing",
       Doubling(),
       Duration::max(),
       {{.retry_after = -5s}, kFine},
       {0s, 1s},
       StatusCode::kOk,
       kSuccess},
      {"asks for ever",
       Doubling(),
       Duration::max(),
       {{.retry_after = Duration::max()}},
       {0s},
       StatusCode::kUnavailable,
       EndReason::kRetryAfterTooFar},
      {"asks for more than the deadline allows",
       Doubling(),
       20s,
       {{.retry_after = 30s}},
       {0s},
       StatusCode::kUnavailable,
       kDeadline},
      {"a deadline in the third wait",
       Doubling(),
       5s,
       {kDown},
       {0s, 1s, 3s},
       StatusCode::kUnavailable,
       kDeadline},
      {"a deadline at the end of the wait",
       Doubling(),
       7s,
       {kDown},
       {0s, 1s, 3s, 7s},
       StatusCode::kUnavailable,
       kAttempts},
      {"no time left for an attempt as long as the others",
       Every(1s, 9),
       10s,
       {{.took = 3s}},
       {0s, 4s},
       StatusCode::kUnavailable,
       kDeadline},
      {"time left for one as long as the fastest",
       Every(1s, 9),
       10s,
       {{.took = 3s}, {.took = 1s}},
       {0s, 4s, 6s, 8s},
       StatusCode::kUnavailable,
       kDeadline},
      {"elapsed",
       Elapsing(6s),
       Duration::max(),
       {kDown},
       {0s, 1s, 3s},
       StatusCode::kUnavailable,
       kElapsed},
      {"elapsed, at the end of the wait",
       Elapsing(7s),
       Duration::max(),
       {kDown},
       {0s, 1s, 3s, 7s},
       StatusCode::kUnavailable,
       kElapsed},
      {"nothing may elapse",
       Elapsing(0s),
       Duration::max(),
       {kDown},
       {0s},
       StatusCode::kUnavailable,
       kElapsed},
      {"three retries in the budget",
       Budgeted(3),
       Duration::max(),
       {kDown},
       {0s, 1s, 2s, 3s},
       StatusCode::kUnavailable,
       kBudget},
      {"time-outs cost two",
       Budgeted(3),
       Duration::max(),
       {{.code = StatusCode::kDeadlineExceeded}},
       {0s, 1s},
       StatusCode::kDeadlineExceeded,
       kBudget},
      {"throttles cost a half",
       Budgeted(1),
       Duration::max(),
       {{.code = StatusCode::kResourceExhausted}},
       {0s, 1s, 2s},
       StatusCode::kResourceExhausted,
       kBudget},
      {"go-retryablehttp's defaults",
       RetryOptions::Retryablehttp(),
       Duration::max(),
       {kDown},
       {0s, 1s, 3s, 7s, 15s},
       StatusCode::kUnavailable,
       kAttempts},
      {"no delay at all",
       Every(0s, 3),
       Duration::max(),
       {kDown},
       {0s, 0s, 0s},
       StatusCode::kUnavailable,
       kAttempts},
  };
}

TEST_CASE("retry does with each script what it is to do") {
  const Script script = GENERATE(from_range(Scripts()));
  INFO(script.name);
  testing::FakeClock clock;
  std::size_t at = 0;
  const auto call = Stack(Retry(script.options))
                        .Around(
                            [&](Call& attempt) {
                              const Answer& answer =
                                  script.answers[std::min(at++, script.answers.size() - 1)];
                              clock.Advance(answer.took);
                              return Reply{.status = {answer.code, "scripted"},
                                           .retry_after = answer.retry_after,
                                           .attempt = attempt.attempt()};
                            },
                            &clock);
  Report report;
  const TimePoint deadline = SaturatingAdd(TimePoint{}, script.deadline);
  const Reply reply = call.With({.deadline = deadline, .report = &report});

  CHECK(reply.status.code() == script.code);
  CHECK(reply.attempt == report.attempts);  // the last result, as it came
  CHECK(report.ended_by == script.ended_by);
  std::vector<Duration> starts;
  for (const Attempt& attempt : report.history) starts.push_back(attempt.start - TimePoint{});
  CHECK(starts == script.starts);
  CHECK(clock.Now() - TimePoint{} ==
        script.starts.back() +
            script.answers[std::min(script.starts.size(), script.answers.size()) - 1].took);
  Duration waited{0};
  for (const Attempt& attempt : report.history) waited += attempt.delay;
  CHECK(report.waited == waited);
}

}  // namespace
}  // namespace holdfast
