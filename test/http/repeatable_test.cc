// Which HTTP requests may be made again, and two at once; no network.
#include "holdfast/http/repeatable.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "holdfast/http.h"
#include "test/support/catch.h"

namespace holdfast::http::repeatable_test {
namespace {

Repeatability Says(const Request& request) {
  return RequestTraits<Request>::RepeatabilityOf(request);
}

TEST_CASE("the methods of RFC 9110, 9.2.2, are idempotent, and what has a key") {
  for (const char* const method : {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}) {
    CAPTURE(method);
    CHECK(MayRunAtOnce(Says({.method = method})));
  }
  for (const char* const method : {"POST", "PATCH", "PURGE", "get", ""}) {
    CAPTURE(method);
    CHECK_FALSE(Says({.method = method}).idempotent);
    CHECK_FALSE(Says({.method = method, .headers = {{"idempotency-key", ""}}}).idempotent);
    CHECK(MayRunAtOnce(Says({.method = method, .headers = {{"idempotency-key", "\"k\""}}})));
  }
}

TEST_CASE("what streams, receives or is called back is never made twice at once") {
  Request request = {.method = "PUT"};
  const auto sender = [](std::uint64_t, std::string&) { return true; };
  const auto receiver = [](std::string_view) { return true; };
  const auto progress = [](std::uint64_t, std::optional<std::uint64_t>) { return true; };
  Reuse reuse = Reuse::kAtOnce;
  SECTION("a string is copied") { request.body = "text"; }
  SECTION("a sender with a length can start over") {
    request.sender = sender;
    request.sender_length = 1;
    reuse = Reuse::kInTurn;
  }
  SECTION("one without can't") {
    request.sender = sender;
    request.receiver = receiver;
    reuse = Reuse::kOnce;
  }
  SECTION("what a receiver was given can't be taken back") {
    request.sender = sender;
    request.sender_length = 1;
    request.receiver = receiver;
    reuse = Reuse::kUntilAnswered;
  }
  SECTION("a callback for the head") {
    request.on_head = [](const Response&) { return true; };
    reuse = Reuse::kInTurn;
  }
  SECTION("one for what comes before it") {
    request.on_interim = [](const Response&) {};
    reuse = Reuse::kInTurn;
  }
  SECTION("progress of the upload") {
    request.on_upload = progress;
    reuse = Reuse::kInTurn;
  }
  SECTION("progress of the download") {
    request.on_download = progress;
    reuse = Reuse::kInTurn;
  }
  CHECK(Says(request).reuse == reuse);
}

TEST_CASE("what a run has done is known by its answer, or by how far it came") {
  CHECK(EffectOf(503, false) == Effect::kRefused);
  CHECK(EffectOf(429, false) == Effect::kRefused);
  CHECK(EffectOf(425, false) == Effect::kRefused);
  CHECK(EffectOf(408, false) == Effect::kUnanswered);
  CHECK(EffectOf(500, false) == Effect::kUnanswered);
  CHECK(EffectOf(200, true) == Effect::kHandedOn);
  CHECK(EffectOf(503, true) == Effect::kHandedOn);
  CHECK(EffectOf(TransportError::kConnect) == Effect::kNone);
  CHECK(EffectOf(TransportError::kOutcomeUnknown) == Effect::kUnanswered);
  CHECK(EffectOf(TransportError::kPartialResponse) == Effect::kHandedOn);
  CHECK(EffectOf(TransportError::kRedirect) == Effect::kUnknown);
  CHECK(EffectOf(TransportError::kMalformed) == Effect::kUnknown);
  CHECK(EffectOf(std::nullopt) == Effect::kUnknown);
}

// How often a request with a receiver is sent by a Retry that would send it again after anything.
int AttemptsWithReceiver(const absl::StatusOr<Response>& answer) {
  const Request request = {.receiver = [](std::string_view) { return true; }};
  const auto again = [](const Call&, const absl::StatusOr<Response>&) { return true; };
  int attempts = 0;
  const auto fetch =
      Stack(Retry({.max_attempts = 2, .backoff = Backoff::Constant(Duration(0))}, again))
          .Around([&](const Request&) {
            ++attempts;
            return answer;
          });
  (void)fetch(request);
  return attempts;
}

// The defect: 408 and 425, which are no failures to a policy, were taken to be what a receiver got.
TEST_CASE("a request with a receiver is sent again after what no receiver gets") {
  for (const int status : {408, 425, 429, 500, 503}) {
    CAPTURE(status);
    CHECK(AttemptsWithReceiver(Response{.status = status}) == 2);
  }
  for (const int status : {200, 404, 501}) {
    CAPTURE(status);
    CHECK(AttemptsWithReceiver(Response{.status = status}) == 1);
  }
  CHECK(AttemptsWithReceiver(absl::UnavailableError("lost")) == 1);  // how far it came is unknown
}

}  // namespace
}  // namespace holdfast::http::repeatable_test
