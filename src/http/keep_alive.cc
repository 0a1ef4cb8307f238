#include "src/http/keep_alive.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>

#include <chrono>

#include "holdfast/base/internal/string_view.h"

namespace holdfast::http::internal {

KeepAliveHint ParseKeepAlive(std::string_view value) {
  KeepAliveHint hint;
  for (const absl::string_view part : absl::StrSplit(holdfast::internal::ToAbsl(value), ',')) {
    const std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    const absl::string_view name = absl::StripAsciiWhitespace(pair.first);
    absl::string_view text = absl::StripAsciiWhitespace(pair.second);
    std::uint32_t number = 0;
    if (text.empty() || !absl::ascii_isdigit(static_cast<unsigned char>(text.front())) ||
        !absl::SimpleAtoi(text, &number)) {
      continue;
    }
    if (absl::EqualsIgnoreCase(name, "timeout")) hint.timeout = std::chrono::seconds(number);
    if (absl::EqualsIgnoreCase(name, "max")) hint.requests = number;
  }
  return hint;
}

}  // namespace holdfast::http::internal
