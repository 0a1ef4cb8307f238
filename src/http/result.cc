#include "holdfast/http/result.h"

#include <absl/strings/ascii.h>
#include <absl/strings/cord.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "holdfast/internal/string_view.h"
#include "http_error.h"

namespace holdfast::http {
namespace {

// The three forms of RFC 9110, 5.6.7; all of them mean UTC.
constexpr std::array<const char*, 3> kHttpDates = {
    "%a, %d %b %Y %H:%M:%S GMT",
    "%A, %d-%b-%y %H:%M:%S GMT",
    "%a %b %e %H:%M:%S %Y",
};

// Where an empty httplib::Result carries the status that it was made from. Its request headers are
// the only place for text in one, and of no other use where no request was sent.
constexpr char kCodeHeader[] = "Holdfast-Status";
constexpr char kMessageHeader[] = "Holdfast-Message";
constexpr char kPayloadUrlHeader[] = "Holdfast-Payload-Url";  // the nth of these belongs to
constexpr char kPayloadHeader[] = "Holdfast-Payload";         // the nth of those

absl::Status HttpStatus(int code, absl::string_view reason) {
  return absl::Status(
      code == 429 ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kUnavailable,
      absl::StrCat("HTTP ", code, reason.empty() ? "" : " ", reason));
}

httplib::Error NearestError(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kCancelled:
      return httplib::Error::Canceled;
    case absl::StatusCode::kDeadlineExceeded:
      return httplib::Error::ConnectionTimeout;
    default:
      return httplib::Error::Connection;
  }
}

}  // namespace

std::optional<Duration> ParseRetryAfter(std::string_view value, Duration most) {
  const absl::string_view text = absl::StripAsciiWhitespace(holdfast::internal::ToAbsl(value));
  if (text.empty()) return std::nullopt;
  if (std::all_of(text.begin(), text.end(),
                  [](unsigned char c) { return absl::ascii_isdigit(c); })) {
    std::int64_t seconds = 0;
    // Only an overflow is left to fail.
    if (!absl::SimpleAtoi(text, &seconds)) return most;
    return absl::ToChronoNanoseconds(std::min(absl::Seconds(seconds), absl::FromChrono(most)));
  }
  for (const char* format : kHttpDates) {
    absl::Time date;
    // It reads "infinite-future" as well, whatever the format.
    if (!absl::ParseTime(format, text, &date, nullptr) || date == absl::InfiniteFuture() ||
        date == absl::InfinitePast()) {
      continue;
    }
    const absl::Duration delay =
        std::clamp(date - absl::Now(), absl::ZeroDuration(), absl::FromChrono(most));
    return absl::ToChronoNanoseconds(delay);
  }
  return std::nullopt;
}

namespace internal {

absl::Status StatusOfFailure(const httplib::Response& response) {
  // Those that come in floods are made once; each costs a copy.
  static const auto* const common = new std::array<absl::Status, 5>{
      HttpStatus(429, "Too Many Requests"), HttpStatus(500, "Internal Server Error"),
      HttpStatus(502, "Bad Gateway"),       HttpStatus(503, "Service Unavailable"),
      HttpStatus(504, "Gateway Timeout"),
  };
  switch (response.status) {
    case 429:
      return (*common)[0];
    case 500:
      return (*common)[1];
    case 502:
      return (*common)[2];
    case 503:
      return (*common)[3];
    case 504:
      return (*common)[4];
    default:
      return HttpStatus(response.status, response.reason);
  }
}

std::optional<Duration> RetryAfter(const httplib::Response& response) {
  const auto header = response.headers.find("Retry-After");
  if (header == response.headers.end()) return std::nullopt;
  return ParseRetryAfter(header->second);
}

httplib::Result EmptyResult(const absl::Status& status) {
  httplib::Headers headers;
  headers.emplace(kCodeHeader, absl::StrCat(status.raw_code()));
  headers.emplace(kMessageHeader, std::string(status.message()));
  status.ForEachPayload([&headers](absl::string_view url, const absl::Cord& payload) {
    headers.emplace(kPayloadUrlHeader, std::string(url));
    headers.emplace(kPayloadHeader, std::string(payload));
  });
  return httplib::Result(nullptr, NearestError(status.code()), std::move(headers));
}

absl::Status StatusOfEmpty(const httplib::Result& result) {
  int code = 0;
  if (!result.has_request_header(kCodeHeader) ||
      !absl::SimpleAtoi(result.get_request_header_value(kCodeHeader), &code) || code == 0) {
    return StatusOfError(result.error(), "");
  }
  absl::Status status(static_cast<absl::StatusCode>(code),
                      result.get_request_header_value(kMessageHeader));
  const std::size_t payloads = result.get_request_header_value_count(kPayloadUrlHeader);
  for (std::size_t i = 0; i < payloads; ++i) {
    const std::string payload = result.get_request_header_value(kPayloadHeader, i);
    status.SetPayload(result.get_request_header_value(kPayloadUrlHeader, i),
                      absl::Cord(absl::string_view(payload)));
  }
  return status;
}

}  // namespace internal
}  // namespace holdfast::http
