// One push after the other, in fake time: what is sent, what is retried, and what is told.
#include <absl/status/status.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>
#include <vector>

#include "holdfast/call/call.h"
#include "holdfast/http/transport_error.h"
#include "holdfast/metrics/metrics.h"
#include "holdfast/metrics_http/otlp_push.h"
#include "holdfast/testing/fake_clock.h"
#include "test/metrics_http/receiver.h"
#include "test/support/catch.h"

namespace holdfast::otlp_push_rules_test {
namespace {

using namespace std::chrono_literals;
using Code = absl::StatusCode;
using http::TransportError;
using nlohmann::json;
using test::Always;
using test::ContainsSubstring;
using test::Receiver;
using test::Says;
using test::SomeMetrics;
using test::Told;
using testing::FakeClock;

// Pushes only when it is told to.
OtlpPushOptions ByHand(FakeClock& clock, Told* told = nullptr) {
  OtlpPushOptions options = {.interval = Duration::max(), .clock = &clock};
  if (told != nullptr) options.on_push = told->Hook();
  return options;
}

TEST_CASE("a push sends what the registry knows to the endpoint") {
  FakeClock clock;
  Told told;
  const auto metrics = SomeMetrics();
  OtlpPushOptions options = ByHand(clock, &told);
  options.endpoint = "https://collector:4318/otlp/v1/metrics?tenant=a";
  options.headers = {{"Authorization", "Bearer x"}};
  const Receiver receiver = Always(Says(200));
  OtlpPush push(metrics, receiver, options);
  CHECK(push.ForceFlush().ok());
  const http::Request request = receiver.requests().at(0);
  CHECK(request.method == "POST");
  CHECK(request.target == "/otlp/v1/metrics?tenant=a");
  CHECK(request.headers.Find("Content-Type") == "application/json");
  CHECK(request.headers.Find("Authorization") == "Bearer x");
  CHECK_FALSE(request.headers.Has("Content-Encoding"));
  const json body = json::parse(request.body);
  CHECK(body.at("resourceMetrics").at(0).at("resource").dump().find("shop") != std::string::npos);
  const OtlpPushResult result = told.results().at(0);
  CHECK(result.status.ok());
  CHECK(result.http_status == 200);
  CHECK(result.attempts == 1);
}

TEST_CASE("OTLP says which responses are retried") {
  for (const int status : {429, 502, 503, 504}) {
    INFO(status);
    FakeClock clock;
    const Receiver receiver([status](std::size_t n) { return Says(n < 3 ? status : 200); });
    OtlpPush push(SomeMetrics(), receiver, ByHand(clock));
    CHECK(push.ForceFlush().ok());
    CHECK(receiver.count() == 3);
    // The same again: one identity of the request.
    CHECK(receiver.requests().at(0).body == receiver.requests().at(2).body);
  }
}

TEST_CASE("other responses are final") {
  const std::pair<int, Code> cases[] = {
      {302, Code::kInvalidArgument},  {400, Code::kInvalidArgument}, {401, Code::kUnauthenticated},
      {403, Code::kPermissionDenied}, {404, Code::kInvalidArgument}, {408, Code::kInvalidArgument},
      {413, Code::kInvalidArgument},  {500, Code::kUnavailable},     {501, Code::kUnavailable},
      {505, Code::kUnavailable}};
  for (const auto& [status, code] : cases) {
    INFO(status);
    FakeClock clock;
    Told told;
    const Receiver receiver = Always(Says(status, {}, R"({"code": 3, "message": "not so"})"));
    OtlpPush push(SomeMetrics(), receiver, ByHand(clock, &told));
    const absl::Status result = push.ForceFlush();
    CHECK(result.code() == code);
    CHECK_THAT(std::string(result.message()), ContainsSubstring(std::to_string(status)));
    CHECK(receiver.count() == 1);
    CHECK(told.results().at(0).message == "not so");
    CHECK(told.results().at(0).http_status == status);
  }
}

TEST_CASE("a connection that fails is retried, and what would fail again is not") {
  const std::pair<TransportError, bool> cases[] = {
      {TransportError::kConnect, true},        {TransportError::kTls, true},
      {TransportError::kOutcomeUnknown, true}, {TransportError::kCertificate, false},
      {TransportError::kRequest, false},       {TransportError::kMalformed, false}};
  for (const auto& [error, retried] : cases) {
    INFO(ToString(error));
    FakeClock clock;
    const absl::Status failure =
        http::WithTransportError(absl::UnavailableError("no answer"), error);
    const Receiver receiver(
        [&failure](std::size_t n) { return n == 1 ? test::Answer(failure) : Says(200); });
    OtlpPush push(SomeMetrics(), receiver, ByHand(clock));
    CHECK(push.ForceFlush().ok() == retried);
    CHECK(receiver.count() == (retried ? 2 : 1));
  }
}

TEST_CASE("a push waits for as long as Retry-After says") {
  FakeClock clock;
  const Receiver receiver(
      [](std::size_t n) { return n == 1 ? Says(503, {{"Retry-After", "3"}}) : Says(200); });
  OtlpPush push(SomeMetrics(), receiver, ByHand(clock));
  CHECK(push.ForceFlush().ok());
  CHECK(receiver.count() == 2);
  CHECK(clock.Now() - TimePoint() >= 3s);
}

TEST_CASE("a longer Retry-After holds the next pushes back, without a request") {
  FakeClock clock;
  const Receiver receiver(
      [](std::size_t n) { return n == 1 ? Says(503, {{"Retry-After", "120"}}) : Says(200); });
  OtlpPush push(SomeMetrics(), receiver, ByHand(clock));
  CHECK(push.ForceFlush().code() == Code::kUnavailable);
  CHECK(receiver.count() == 1);
  clock.Advance(100s);
  CHECK(push.ForceFlush().code() == Code::kUnavailable);
  CHECK(receiver.count() == 1);
  clock.Advance(20s);
  CHECK(push.ForceFlush().ok());
  CHECK(receiver.count() == 2);
}

TEST_CASE("a push ends with its timeout, and an attempt leaves time for another") {
  FakeClock clock;
  std::vector<Duration> left;
  const auto hangs = [&](const http::Request&, Call& call) -> test::Answer {
    left.push_back(call.deadline() - clock.Now());
    clock.Advance(left.back());
    return http::WithTransportError(absl::DeadlineExceededError("slow"),
                                    TransportError::kOutcomeUnknown);
  };
  OtlpPush push(SomeMetrics(), hangs, ByHand(clock));
  CHECK(push.ForceFlush().code() == Code::kDeadlineExceeded);
  REQUIRE(left.size() == 2);
  CHECK(left[0] == 4s);
  CHECK(left[1] == 4s);
  CHECK(clock.Now() - TimePoint() <= 10s);
}

TEST_CASE("five attempts are the most") {
  FakeClock clock;
  Told told;
  const Receiver receiver = Always(Says(503));
  OtlpPushOptions options = ByHand(clock, &told);
  options.timeout = 1h;
  OtlpPush push(SomeMetrics(), receiver, options);
  CHECK(push.ForceFlush().code() == Code::kUnavailable);
  CHECK(receiver.count() <= 5);
  CHECK(told.results().at(0).attempts == static_cast<int>(receiver.count()));
  CHECK(clock.Now() - TimePoint() <= 1h);
}

TEST_CASE("the breaker spares a receiver that is down, and asks again after 30 s") {
  FakeClock clock;
  const Receiver receiver([](std::size_t n) { return Says(n <= 6 ? 500 : 200); });
  OtlpPush push(SomeMetrics(), receiver, ByHand(clock));
  for (int i = 0; i < 8; ++i) CHECK(push.ForceFlush().code() == Code::kUnavailable);
  CHECK(receiver.count() == 6);
  clock.Advance(30s + 1ns);
  CHECK(push.ForceFlush() == absl::OkStatus());
  CHECK(push.ForceFlush() == absl::OkStatus());
}

TEST_CASE("what the receiver rejected is told and not sent again") {
  FakeClock clock;
  Told told;
  const std::string bodies[] = {
      R"({"partialSuccess": {"rejectedDataPoints": "3", "errorMessage": "too old"}})",
      R"({"partialSuccess": {"rejectedDataPoints": 3, "errorMessage": "too old"}})",
      R"({"partialSuccess": {"errorMessage": "use TLS"}})",
      R"({"partialSuccess": {"rejectedDataPoints": "many"}})",
      R"({"partialSuccess": {"rejectedDataPoints": "-1"}})",
      R"({"partialSuccess": 7})",
      R"([1])",
      "<html>",
      ""};
  const Receiver receiver([&](std::size_t n) { return Says(200, {}, bodies[n - 1]); });
  const auto metrics = SomeMetrics();
  OtlpPush push(metrics, receiver, ByHand(clock, &told));
  REQUIRE(metrics->Add("otlp", push).ok());
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = push.ForceFlush();
    CHECK(status.code() == Code::kInvalidArgument);
    CHECK(status.message() == "the receiver rejected 3 data points: too old");
  }
  for (std::size_t i = 2; i < std::size(bodies); ++i) {
    INFO(bodies[i]);
    CHECK(push.ForceFlush().ok());
  }
  CHECK(receiver.count() == std::size(bodies));
  CHECK(told.results().at(0).rejected_points == 3);
  CHECK(told.results().at(2).message == "use TLS");
  const MetricsSnapshot snapshot = metrics->Snapshot();
  const auto pushes = [&](std::string_view outcome) {
    return snapshot.Count("holdfast.otlp_push.pushes",
                          {{"holdfast.name", "otlp/OtlpPush"}, {"holdfast.outcome", outcome}});
  };
  CHECK(pushes("partial") == 2);
  CHECK(pushes("success") == std::size(bodies) - 2);
  CHECK(pushes("failure") == 0);
  CHECK(snapshot.Count("holdfast.otlp_push.rejected_points",
                       {{"holdfast.name", "otlp/OtlpPush"}}) == 6);
  CHECK(snapshot.Count("holdfast.calls", {{"holdfast.stack", "otlp"},
                                          {"holdfast.outcome", "success"},
                                          {"holdfast.retried", "false"}}) == std::size(bodies));
}

TEST_CASE("a message of the receiver is cut off, and a body too long is not sent") {
  FakeClock clock;
  Told told;
  const Receiver receiver =
      Always(Says(400, {}, json({{"message", std::string(5000, 'x')}}).dump()));
  const auto metrics = SomeMetrics();
  OtlpPushOptions options = ByHand(clock, &told);
  options.max_body = metrics->OtlpJson().size();
  OtlpPush push(metrics, receiver, options);
  CHECK_FALSE(push.ForceFlush().ok());
  CHECK(told.results().at(0).message.size() == 1000);
  REQUIRE(metrics->Add("otlp", push).ok());  // now there is more to send
  CHECK(push.ForceFlush().code() == Code::kResourceExhausted);
  CHECK(receiver.count() == 1);
}

TEST_CASE("what throws fails the push alone") {
  FakeClock clock;
  int calls = 0;
  const auto throws = [&calls](const http::Request&) -> test::Answer {
    if (++calls == 1) throw std::runtime_error("lost");
    if (calls == 2) throw 7;
    return Says(200);
  };
  OtlpPushOptions options = ByHand(clock);
  options.on_push = [](const OtlpPushResult&) { throw std::runtime_error("dropped"); };
  OtlpPush push(SomeMetrics(), throws, options);
  CHECK(push.ForceFlush() == absl::InternalError("OtlpPush: lost"));
  CHECK(push.ForceFlush().code() == Code::kInternal);
  CHECK(push.ForceFlush().ok());
}

TEST_CASE("after Stop, which pushes a last time, there is no push") {
  FakeClock clock;
  const Receiver receiver = Always(Says(200));
  OtlpPush push(SomeMetrics(), receiver, ByHand(clock));
  CHECK(push.Stop().ok());
  CHECK(receiver.count() == 1);
  CHECK(push.Stop().code() == Code::kFailedPrecondition);
  CHECK(push.ForceFlush().code() == Code::kFailedPrecondition);
  CHECK(receiver.count() == 1);
}

TEST_CASE("a caller's stop and deadline end a flush") {
  FakeClock clock;
  const Receiver receiver = Always(Says(503));
  OtlpPush push(SomeMetrics(), receiver, ByHand(clock));
  std::stop_source stop;
  stop.request_stop();
  CHECK(push.ForceFlush({.stop = stop.get_token()}).code() == Code::kCancelled);
  CHECK(receiver.count() == 0);
  (void)push.ForceFlush({.deadline = clock.Now() + 1s});
  CHECK(clock.Now() - TimePoint() <= 1s);
}

TEST_CASE("a push describes its stack") {
  FakeClock clock;
  const OtlpPush push(SomeMetrics(), Always(Says(200)), ByHand(clock));
  CHECK_THAT(push.Describe(), test::StartsWith("Timeout(10s) > Retry(5 attempts"));
  for (const TimeSpan timeout : {TimeSpan(10ms), TimeSpan(13ms + 7ns), TimeSpan(1h)}) {
    OtlpPushOptions options = ByHand(clock);
    options.timeout = timeout;
    CHECK_NOTHROW(OtlpPush(SomeMetrics(), Always(Says(200)), options));
  }
}

}  // namespace
}  // namespace holdfast::otlp_push_rules_test
