#include "holdfast/http/result.h"

#include <absl/strings/string_view.h>
#include <absl/time/civil_time.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <chrono>
#include <clocale>
#include <optional>
#include <string>

#include "holdfast/http/transport_error.h"
#include "test/support/catch.h"

namespace holdfast::http::result_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using Code = absl::StatusCode;
using Answer = absl::StatusOr<Response>;

Response WithStatus(int status, const std::string& reason = "") {
  return {.status = status, .reason = reason};
}

TEST_CASE("an answer is a success, except 429 and 5xx but 501") {
  const auto [http, code] = GENERATE(table<int, Code>({{200, Code::kOk},
                                                       {204, Code::kOk},
                                                       {301, Code::kOk},
                                                       {400, Code::kOk},
                                                       {404, Code::kOk},
                                                       {408, Code::kOk},
                                                       {429, Code::kResourceExhausted},
                                                       {499, Code::kOk},
                                                       {500, Code::kUnavailable},
                                                       {501, Code::kOk},
                                                       {502, Code::kUnavailable},
                                                       {503, Code::kUnavailable},
                                                       {504, Code::kUnavailable},
                                                       {599, Code::kUnavailable}}));
  CAPTURE(http);
  CHECK(ResultTraits<Answer>::StatusOf(WithStatus(http)).code() == code);
}

TEST_CASE("a failure's message is its status line") {
  const auto message = [](const Response& response) {
    return std::string(ResultTraits<Answer>::StatusOf(response).message());
  };
  CHECK(message(WithStatus(503)) == "HTTP 503 Service Unavailable");
  CHECK(message(WithStatus(429, "whatever")) == "HTTP 429 Too Many Requests");
  CHECK(message(WithStatus(599, "Odd")) == "HTTP 599 Odd");
  CHECK(message(WithStatus(599)) == "HTTP 599");
}

TEST_CASE("a status that is no answer stays what it is") {
  const Answer answer = absl::InternalError("no");
  CHECK(ResultTraits<Answer>::StatusOf(answer) == absl::InternalError("no"));
  CHECK(ResultTraits<Answer>::FromStatus(absl::InternalError("no")).status() ==
        absl::InternalError("no"));
  CHECK(ResultTraits<Answer>::RetryAfter(answer) == std::nullopt);
}

TEST_CASE("Retry-After in seconds") {
  const auto [text, delay] = GENERATE(table<std::string, std::optional<Duration>>({
      {"0", 0s},
      {"2", 2s},
      {"  120 ", 120s},
      {"007", 7s},
      {"300", 300s},
      {"301", 301s},
      {"9223372037", Duration::max()},
      {"99999999999999999999999999", Duration::max()},
      {"", std::nullopt},
      {" ", std::nullopt},
      {"-1", std::nullopt},
      {"+2", std::nullopt},
      {"2.5", std::nullopt},
      {"2s", std::nullopt},
      {"soon", std::nullopt},
      {"inf", std::nullopt},
  }));
  CAPTURE(text);
  CHECK(ParseRetryAfter(text) == delay);
}

TEST_CASE("Retry-After with a cap of the caller's own") {
  for (const char* const text :
       {"86400", "99999999999999999999999999", "Sat Nov  6 08:49:37 2094"}) {
    CHECK(ParseRetryAfter(text, 1h) == Duration(1h));
    CHECK(ParseRetryAfter(text, Duration::zero()) == Duration::zero());
  }
  CHECK(ParseRetryAfter("86400", Duration::max()) == Duration(24h));
  CHECK(ParseRetryAfter("99999999999999999999999999", Duration::max()) == Duration::max());
}

TEST_CASE("Retry-After as a date that has passed asks for nothing") {
  const std::string text = GENERATE("Sun, 06 Nov 1994 08:49:37 GMT",   //
                                    "Sunday, 06-Nov-94 08:49:37 GMT",  //
                                    "Sun Nov  6 08:49:37 1994");
  CAPTURE(text);
  CHECK(ParseRetryAfter(text) == Duration::zero());
}

TEST_CASE("Retry-After as a date to come asks for the time until then") {
  const char* const format = GENERATE("%a, %d %b %Y %H:%M:%S GMT",  //
                                      "%A, %d-%b-%y %H:%M:%S GMT",  //
                                      "%a %b %e %H:%M:%S %Y");
  const auto in = [&](absl::Duration delay) {
    return ParseRetryAfter(absl::FormatTime(format, absl::Now() + delay, absl::UTCTimeZone()));
  };
  const auto delay = in(absl::Seconds(100));
  REQUIRE(delay.has_value());
  CHECK(*delay > 90s);  // whole seconds, and time goes by
  CHECK(*delay <= 100s);
  CHECK(in(absl::Hours(1000)) > 999h);
}

TEST_CASE("a year of two digits is at most 50 years ahead, and else the latest that has passed") {
  // The defect: as strptime has it, 69 to 99 were in the last century, whatever the present year.
  const absl::TimeZone utc = absl::UTCTimeZone();
  const absl::CivilDay today = absl::ToCivilDay(absl::Now(), utc);
  const auto in_years = [&](int years, int days) {
    const absl::CivilDay day = absl::CivilDay(today.year() + years, today.month(), 1) + days;
    const std::string text =
        absl::FormatTime("%A, %d-%b-%y 08:49:37 GMT", absl::FromCivil(day, utc), utc);
    const auto delay = ParseRetryAfter(text, Duration::max());
    REQUIRE(delay.has_value());
    return *delay / 24h / 365;
  };
  for (const int years : {2, 20, 42, 44, 49}) CHECK(in_years(years, 40) == years);
  CHECK(in_years(50, -31) == 49);
  for (const int years : {-49, -20, -1, 51, 70, 98}) CHECK(in_years(years, 0) == 0);
  CHECK(in_years(50, 40) == 0);
}

TEST_CASE("a date is in English whatever the language of the program") {
  // The defect: strptime read names in the language of the locale.
  const std::string before = std::setlocale(LC_TIME, nullptr);
  for (const char* const locale : {"C", "de_DE.UTF-8", "fr_FR.UTF-8", "ja_JP.UTF-8"}) {
    if (std::setlocale(LC_TIME, locale) == nullptr) continue;  // is not installed
    CAPTURE(locale);
    for (const char* const text : {"Mon, 06 Mar 2094 08:49:37 GMT", "Fri, 06 May 2094 08:49:37 GMT",
                                   "Sat Dec  6 08:49:37 2094"}) {
      CHECK(ParseRetryAfter(text, 1h) == Duration(1h));
    }
  }
  (void)std::setlocale(LC_TIME, before.c_str());
}

TEST_CASE("a date may be written a little carelessly") {
  for (const char* const text :
       {"Sun,06 Nov 2094 08:49:37 GMT", " Sun,  6  Nov 2094  08:49:37 GMT ",
        "Sun Nov 06 08:49:37 2094", "Tue, 06-Nov-2094 08:49:37 GMT",
        "Thu, 31 Dec 2094 23:59:60 GMT", "Mon, 29 Feb 2096 08:49:37 GMT"}) {
    CAPTURE(text);
    CHECK(ParseRetryAfter(text, 1h) == Duration(1h));
  }
}

TEST_CASE("Retry-After as no date of RFC 9110") {
  for (const char* const text :
       {"Sun, 06 Nov 1994 08:49:37 PST", "Sun, 06 Nov 1994 08:49:37", "1994-11-06T08:49:37Z",
        "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 2094 08:49:37 GMT",
        "Sun, 29 Feb 2095 08:49:37 GMT", "Sun, 06 Now 2094 08:49:37 GMT",
        "Son, 06 Nov 2094 08:49:37 GMT", "Sun, 06 Nov 209 08:49:37 GMT",
        "Sun, 06 Nov 20944 08:49:37 GMT", "Sun, 06 Nov 2094 24:49:37 GMT",
        "Sun, 06 Nov 2094 08:60:37 GMT", "Sun, 06 Nov 2094 08:49:61 GMT",
        "Sun, 06 Nov 2094 08:49 GMT", "Sun, 06 Nov 2094 08:49:3x GMT",
        "Sun, 06 Nov 2094 08:49:37 GMT GMT", "infinite-future", "infinite-past"}) {
    CAPTURE(text);
    CHECK(ParseRetryAfter(text) == std::nullopt);
  }
}

TEST_CASE("Retry-After is read from any response") {
  Response response = WithStatus(503);
  CHECK(ResultTraits<Answer>::RetryAfter(response) == std::nullopt);
  response.headers.Add("retry-after", "3");
  CHECK(ResultTraits<Answer>::RetryAfter(response) == Duration(3s));
  response.status = 429;
  CHECK(ResultTraits<Answer>::RetryAfter(response) == Duration(3s));
}

TEST_CASE("a transport error survives in copies") {
  const Answer answer = WithTransportError(absl::UnavailableError("no"), TransportError::kTls);
  CHECK(TransportErrorOf(Answer(answer).status()) == TransportError::kTls);
  CHECK(TransportErrorOf(absl::OkStatus()) == std::nullopt);
  CHECK(TransportErrorOf(absl::UnavailableError("")) == std::nullopt);
}

}  // namespace
}  // namespace holdfast::http::result_test
