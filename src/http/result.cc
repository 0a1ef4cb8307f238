#include "holdfast/http/result.h"

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>
#include <absl/time/civil_time.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "holdfast/base/internal/string_view.h"

namespace holdfast::http {
namespace {

// Names are read by hand: strptime, and absl::ParseTime with it, expects them in the language of
// the program's locale.
constexpr std::array<absl::string_view, 7> kDays = {"Mon", "Tue", "Wed", "Thu",
                                                    "Fri", "Sat", "Sun"};
constexpr std::array<absl::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

absl::Status HttpStatus(int code, absl::string_view reason) {
  return absl::Status(
      code == 429 ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kUnavailable,
      absl::StrCat("HTTP ", code, reason.empty() ? "" : " ", reason));
}

bool AllDigits(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return absl::ascii_isdigit(c); });
}

// -1 for what is no number of up to four digits, or more than `most`.
int Number(absl::string_view text, int most) {
  int number = 0;
  const bool is_one = text.size() <= 4 && AllDigits(text) && absl::SimpleAtoi(text, &number);
  return is_one && number <= most ? number : -1;
}

struct Date {
  int year;
  int month;
  int day;
};

// Of two digits: the latest that puts the date no more than 50 years ahead (RFC 9110, 5.6.7).
int YearInFull(Date date, absl::CivilDay today) {
  const absl::CivilDay latest(today.year() + 50, today.month(), today.day());
  date.year += 100 + static_cast<int>(today.year() / 100 * 100);
  while (absl::CivilDay(date.year, date.month, date.day) > latest) date.year -= 100;
  return date.year;
}

// In any of the three forms of RFC 9110, 5.6.7, all of which mean UTC:
//   Sun, 06 Nov 1994 08:49:37 GMT
//   Sunday, 06-Nov-94 08:49:37 GMT
//   Sun Nov  6 08:49:37 1994
std::optional<absl::Time> ParseHttpDate(absl::string_view text, absl::Time now) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(text, absl::ByAnyChar(" ,-:"), absl::SkipEmpty());
  const bool asctime = words.size() == 7;
  if (!asctime && !(words.size() == 8 && words[7] == "GMT")) return std::nullopt;
  if (std::ranges::find(kDays, words[0].substr(0, 3)) == kDays.end()) return std::nullopt;

  const absl::string_view year = words[asctime ? 6 : 3];
  const auto month = std::ranges::find(kMonths, words[asctime ? 1 : 2]);
  Date date = {.year = Number(year, 9999),
               .month = static_cast<int>(month - kMonths.begin()) + 1,
               .day = Number(words[asctime ? 2 : 1], 31)};
  const int hour = Number(words[asctime ? 3 : 4], 23);
  const int minute = Number(words[asctime ? 4 : 5], 59);
  const int second = Number(words[asctime ? 5 : 6], 60);  // a leap second
  if ((year.size() != 2 && year.size() != 4) || std::min({date.year, hour, minute, second}) < 0) {
    return std::nullopt;
  }
  const absl::TimeZone utc = absl::UTCTimeZone();
  if (year.size() == 2) date.year = YearInFull(date, absl::ToCivilDay(now, utc));
  const absl::CivilDay day(date.year, date.month, date.day);
  if (day.month() != date.month || day.day() != date.day) return std::nullopt;
  return absl::FromCivil(absl::CivilSecond(date.year, date.month, date.day, hour, minute, second),
                         utc);
}

}  // namespace

std::optional<Duration> ParseRetryAfter(std::string_view value, TimeSpan most) {
  const absl::string_view text = absl::StripAsciiWhitespace(holdfast::internal::ToAbsl(value));
  if (text.empty()) return std::nullopt;
  most = std::max<Duration>(most, Duration::zero());
  if (AllDigits(text)) {
    std::int64_t seconds = 0;
    // Only an overflow is left to fail.
    if (!absl::SimpleAtoi(text, &seconds)) return most;
    return absl::ToChronoNanoseconds(std::min(absl::Seconds(seconds), absl::FromChrono(most)));
  }
  const absl::Time now = absl::Now();
  const std::optional<absl::Time> date = ParseHttpDate(text, now);
  if (!date) return std::nullopt;
  return absl::ToChronoNanoseconds(
      std::clamp(*date - now, absl::ZeroDuration(), absl::FromChrono(most)));
}

namespace internal {

absl::Status StatusOfFailure(int code, std::string_view reason) {
  // Those that come in floods are made once; each costs a copy.
  static const auto* const common = new std::array<absl::Status, 5>{
      HttpStatus(429, "Too Many Requests"), HttpStatus(500, "Internal Server Error"),
      HttpStatus(502, "Bad Gateway"),       HttpStatus(503, "Service Unavailable"),
      HttpStatus(504, "Gateway Timeout"),
  };
  switch (code) {
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
      return HttpStatus(code, holdfast::internal::ToAbsl(reason));
  }
}

// A stream, which is used up in any case, comes before a receiver in what a request says.
bool HandsOn(const Call& call) {
  const std::optional<Repeatability> request = call.repeatability();
  return request && request->reuse == Reuse::kUntilAnswered;
}

}  // namespace internal
}  // namespace holdfast::http
