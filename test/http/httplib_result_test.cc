// ResultTraits of what cpp-httplib's client returns, and of what Transport returns for its
// requests.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "holdfast/base/rejection.h"
#include "holdfast/http.h"
#include "holdfast/http/httplib.h"
#include "holdfast/http/transport_error.h"
#include "holdfast/testing/fake_clock.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

namespace holdfast::http::httplib_result_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using Code = absl::StatusCode;
using holdfast::testing::FakeClock;
using test::MakeRequest;
using Answer = absl::StatusOr<httplib::Response>;

httplib::Response WithStatus(int status) {
  httplib::Response response;
  response.status = status;
  return response;
}

httplib::Result ResultOf(const httplib::Response& response) {
  return {std::make_unique<httplib::Response>(response), httplib::Error::Success};
}

TEST_CASE("an answer of cpp-httplib means what one of our own means") {
  const auto [http, code] = GENERATE(table<int, Code>({{200, Code::kOk},
                                                       {404, Code::kOk},
                                                       {408, Code::kOk},
                                                       {429, Code::kResourceExhausted},
                                                       {500, Code::kUnavailable},
                                                       {501, Code::kOk},
                                                       {503, Code::kUnavailable}}));
  CAPTURE(http);
  httplib::Response response = WithStatus(http);
  const absl::Status status = ResultTraits<Answer>::StatusOf(response);
  CHECK(status.code() == code);
  CHECK(status == ResultTraits<absl::StatusOr<Response>>::StatusOf(Response{.status = http}));
  CHECK(status == ResultTraits<httplib::Result>::StatusOf(ResultOf(response)));
  CHECK(ResultTraits<Answer>::RetryAfter(response) == std::nullopt);
  response.set_header("retry-after", "3");
  CHECK(ResultTraits<Answer>::RetryAfter(response) == Duration(3s));
  CHECK(ResultTraits<httplib::Result>::RetryAfter(ResultOf(response)) == Duration(3s));
  CHECK(ResultTraits<Answer>::IsConflict(WithStatus(409)));
  CHECK(ResultTraits<httplib::Result>::IsConflict(ResultOf(WithStatus(412))));
}

TEST_CASE("an httplib::Result without a response has the status of its error") {
  using Kind = TransportError;
  const auto [error, code, kind] = GENERATE(table<httplib::Error, Code, Kind>({
      {httplib::Error::Connection, Code::kUnavailable, Kind::kConnect},
      {httplib::Error::ConnectionTimeout, Code::kUnavailable, Kind::kConnect},
      {httplib::Error::BindIPAddress, Code::kFailedPrecondition, Kind::kConnect},
      {httplib::Error::Read, Code::kUnavailable, Kind::kOutcomeUnknown},
      {httplib::Error::Write, Code::kUnavailable, Kind::kOutcomeUnknown},
      {httplib::Error::Canceled, Code::kCancelled, Kind::kOutcomeUnknown},
      {httplib::Error::ExceedRedirectCount, Code::kFailedPrecondition, Kind::kRedirect},
      {httplib::Error::SSLConnection, Code::kUnavailable, Kind::kTls},
      {httplib::Error::SSLServerVerification, Code::kFailedPrecondition, Kind::kCertificate},
      {httplib::Error::SSLLoadingCerts, Code::kFailedPrecondition, Kind::kCertificate},
      {httplib::Error::Compression, Code::kInternal, Kind::kRequest},
      {httplib::Error::Unknown, Code::kUnavailable, Kind::kOutcomeUnknown},
      {httplib::Error::Success, Code::kUnavailable, Kind::kOutcomeUnknown},
  }));
  const httplib::Result result(nullptr, error);
  const absl::Status status = ResultTraits<httplib::Result>::StatusOf(result);
  CHECK(status.code() == code);
  CHECK(TransportErrorOf(status) == kind);
  CHECK(ResultTraits<httplib::Result>::RetryAfter(result) == std::nullopt);
}

TEST_CASE("a transport error survives as an httplib::Result") {
  for (const auto kind :
       {TransportError::kConnect, TransportError::kTls, TransportError::kCertificate,
        TransportError::kRequest, TransportError::kRedirect, TransportError::kOutcomeUnknown,
        TransportError::kPartialResponse, TransportError::kMalformed}) {
    const absl::Status status = WithTransportError(absl::UnavailableError("no"), kind);
    using Traits = ResultTraits<httplib::Result>;
    // What cpp-httplib itself would say, as far as it has a word.
    if (kind == TransportError::kOutcomeUnknown || kind == TransportError::kConnect ||
        kind == TransportError::kTls || kind == TransportError::kRedirect) {
      const httplib::Result again(nullptr, Traits::FromStatus(status).error());
      CHECK(TransportErrorOf(Traits::StatusOf(again)) == kind);
    }
    CHECK(TransportErrorOf(Traits::StatusOf(Traits::FromStatus(status))) == kind);
    CHECK_FALSE(ToString(kind).empty());
  }
}

TEST_CASE("a rejection survives as an httplib::Result") {
  const absl::Status open =
      MakeRejection(Code::kUnavailable,
                    {.kind = RejectionKind::kCircuitOpen, .policy = "CircuitBreak", .name = "b"},
                    "CircuitBreak b: the circuit is open");
  const httplib::Result result = ResultTraits<httplib::Result>::FromStatus(open);
  CHECK_FALSE(result);
  CHECK(result.error() == httplib::Error::Connection);
  const absl::Status status = ResultTraits<httplib::Result>::StatusOf(result);
  CHECK(status == open);
  REQUIRE(RejectionOf(status).has_value());
  CHECK(RejectionOf(status)->policy == "CircuitBreak");
  CHECK(RejectionOf(status)->name == "b");
  using Traits = ResultTraits<httplib::Result>;
  CHECK(Traits::FromStatus(absl::CancelledError("")).error() == httplib::Error::Canceled);
  CHECK(Traits::FromStatus(absl::DeadlineExceededError("")).error() ==
        httplib::Error::ConnectionTimeout);
}

TEST_CASE("a plain client is judged by the same rules where it is given the request") {
  using httplib::Error;
  const auto [error, post, get] = GENERATE(table<Error, int, int>({
      {Error::Connection, 2, 2},
      {Error::ConnectionTimeout, 2, 2},
      {Error::SSLConnection, 2, 2},
      {Error::Read, 1, 2},
      {Error::Write, 1, 2},
      {Error::Unknown, 1, 2},
      {Error::SSLServerVerification, 1, 1},
      {Error::ExceedRedirectCount, 1, 1},
      {Error::Canceled, 1, 1},
  }));
  CAPTURE(to_string(error));
  FakeClock clock;
  const RetryOptions twice = {
      .max_attempts = 2, .backoff = Backoff::Constant(2s), .budget = RetryBudget::Unlimited()};
  Report report;
  const auto fetch =
      Stack(Retry(twice))
          .Around([e = error](const httplib::Request&) { return httplib::Result(nullptr, e); },
                  &clock);
  (void)fetch.With({.report = &report}, MakeRequest("POST", "/"));
  CHECK(report.attempts == post);
  (void)fetch.With({.report = &report}, MakeRequest("GET", "/"));
  CHECK(report.attempts == get);
  const auto by_path =
      Stack(Retry(twice))
          .Around([e = error](const std::string&) { return httplib::Result(nullptr, e); }, &clock);
  (void)by_path.With({.report = &report}, std::string("/"));
  CHECK(report.attempts == get);
}

TEST_CASE("RetryRequestTimeout knows the status of an httplib::Result") {
  const auto [status, post, get] =
      GENERATE(table<int, int, int>({{200, 1, 1}, {408, 1, 2}, {425, 2, 2}, {503, 2, 2}}));
  CAPTURE(status);
  FakeClock clock;
  const RetryOptions twice = {
      .max_attempts = 2, .backoff = Backoff::Constant(2s), .budget = RetryBudget::Unlimited()};
  int ran = 0;
  const auto fetch = Stack(Retry(twice, RetryRequestTimeout{}))
                         .Around(
                             [&ran, code = status](const httplib::Request&) {
                               ++ran;
                               return ResultOf(WithStatus(code));
                             },
                             &clock);
  CHECK(fetch(MakeRequest("POST", "/"))->status == status);
  CHECK(ran == post);
  CHECK(fetch(MakeRequest("GET", "/"))->status == status);
  CHECK(ran == post + get);
}

}  // namespace
}  // namespace holdfast::http::httplib_result_test
