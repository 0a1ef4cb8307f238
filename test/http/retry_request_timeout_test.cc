// 408 and 425 are sent again where a check says so; no network.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/http.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast::http::retry_request_timeout_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using Answer = absl::StatusOr<Response>;

RetryOptions Twice() {
  return {.max_attempts = 2, .backoff = Backoff::Constant(2s), .budget = RetryBudget::Unlimited()};
}

struct Outcome {
  Report report;
  Answer answer = absl::UnknownError("");
};

template <class Check>
Outcome Call(Check check, const Request& request, const Answer& answer) {
  testing::FakeClock clock;
  int attempt = 0;
  const auto fetch = Stack(Retry(Twice(), std::move(check)))
                         .Around(
                             [&](const Request&) {
                               Answer numbered = answer;
                               if (numbered.ok()) numbered->body = std::to_string(++attempt);
                               return numbered;
                             },
                             &clock);
  Outcome outcome;
  outcome.answer = fetch.With({.report = &outcome.report}, request);
  return outcome;
}

int Attempts(const std::string& method, int status) {
  return Call(RetryRequestTimeout{}, {.method = method}, Response{.status = status})
      .report.attempts;
}

TEST_CASE("408 and 425 are not sent again by default") {
  const int status = GENERATE(408, 425);
  const Outcome outcome = Call(RetryTransient{}, {.method = "GET"}, Response{.status = status});
  CHECK(outcome.report.attempts == 1);
  CHECK(outcome.report.ended_by == EndReason::kSuccess);
}

TEST_CASE("RetryRequestTimeout sends 425 again with any method, 408 with one that may run twice") {
  const auto [method, idempotent] = GENERATE(table<std::string, bool>(
      {{"GET", true}, {"PUT", true}, {"DELETE", true}, {"POST", false}, {"PATCH", false}}));
  CAPTURE(method);
  CHECK(Attempts(method, 425) == 2);
  CHECK(Attempts(method, 408) == (idempotent ? 2 : 1));
  // The rest as without it.
  CHECK(Attempts(method, 429) == 2);
  CHECK(Attempts(method, 503) == 2);
  CHECK(Attempts(method, 500) == (idempotent ? 2 : 1));
  for (const int status : {200, 303, 400, 404, 409, 412, 501}) {
    CHECK(Attempts(method, status) == 1);
  }
  const auto fails = [&, m = method](const absl::Status& failure) {
    return Call(RetryRequestTimeout{}, {.method = m}, failure).report.attempts;
  };
  CHECK(fails(WithTransportError(absl::UnavailableError("no"), TransportError::kConnect)) == 2);
  CHECK(fails(WithTransportError(absl::UnavailableError("no"), TransportError::kOutcomeUnknown)) ==
        (idempotent ? 2 : 1));
  CHECK(fails(absl::InternalError("no")) == 1);
}

TEST_CASE("a POST with an Idempotency-Key is sent again after 408") {
  const Request order = {.method = "POST", .headers = {{"Idempotency-Key", "\"k\""}}};
  CHECK(Call(RetryRequestTimeout{}, order, Response{.status = 408}).report.attempts == 2);
}

TEST_CASE("when the attempts are used up the last 408 or 425 is what the caller gets") {
  const int status = GENERATE(408, 425);
  const Outcome outcome =
      Call(RetryRequestTimeout{}, {.method = "GET"}, Response{.status = status});
  REQUIRE(outcome.answer.ok());
  CHECK(outcome.answer->status == status);
  CHECK(outcome.answer->body == "2");
  CHECK(outcome.report.ended_by == EndReason::kAttempts);
}

TEST_CASE("the Retry-After of a 408 or 425 is heeded, and never shortens the backoff") {
  const int status = GENERATE(408, 425);
  const auto [text, delay] =
      GENERATE(table<std::string, Duration>({{"7", 7s}, {"1", 2s}, {"", 2s}}));
  CAPTURE(status, text);
  const Response response = {.status = status, .headers = {{"Retry-After", text}}};
  const Report report = Call(RetryRequestTimeout{}, {.method = "GET"}, response).report;
  REQUIRE(report.attempts == 2);
  CHECK(report.history[1].delay == delay);
}

TEST_CASE("a body that can't start over is not sent again after 408 or 425") {
  const int status = GENERATE(408, 425);
  Request request = {.method = "PUT"};
  request.sender = [](std::uint64_t, std::string&) { return true; };
  const auto call = [&] {
    return Call(RetryRequestTimeout{}, request, Response{.status = status}).report;
  };
  CHECK(call().attempts == 1);
  CHECK(call().ended_by == EndReason::kSuccess);  // as without the check
  request.sender_length = 0;
  CHECK(call().attempts == 2);
}

TEST_CASE("a receiver gets no body of a 408 or 425, so that the request is sent again") {
  const int status = GENERATE(408, 425);
  Request request;
  request.receiver = [](std::string_view) { return true; };
  CHECK(Call(RetryRequestTimeout{}, request, Response{.status = status}).report.attempts == 2);
}

TEST_CASE("RetryRequestTimeout is a check of a standard client") {
  testing::FakeClock clock;
  int ran = 0;
  const StandardClient client(
      [&](const Request&) -> Answer { return Response{.status = ++ran == 1 ? 408 : 200}; },
      {.retry_check = RetryRequestTimeout{}, .clock = &clock});
  CHECK(client.Get("/")->status == 200);
  CHECK(ran == 2);
}

}  // namespace
}  // namespace holdfast::http::retry_request_timeout_test
