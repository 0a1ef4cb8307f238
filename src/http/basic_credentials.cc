#include "src/http/basic_credentials.h"

#include <absl/status/status.h>
#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/string_view.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "holdfast/base/internal/string_view.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ToAbsl;

// Nullopt: a '%' without two hexadecimal digits behind it.
std::optional<std::string> PercentDecoded(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    const std::string_view digits = text.substr(i + 1, 2);
    const bool hex = std::ranges::all_of(digits, absl::ascii_isxdigit);
    std::uint32_t byte = 0;
    if (digits.size() != 2 || !hex || !absl::SimpleHexAtoi(ToAbsl(digits), &byte)) {
      return std::nullopt;
    }
    decoded += static_cast<char>(byte);
    i += digits.size();
  }
  return decoded;
}

}  // namespace

absl::StatusOr<std::string> BasicCredentials(std::string_view user_info) {
  const auto wrong = [](absl::string_view what) { return absl::InvalidArgumentError(what); };
  if (user_info.empty()) return wrong("the user in front of the '@' is missing");
  if (user_info.find('@') != std::string_view::npos) {
    return wrong("a '@' in the user or the password is written %40");
  }
  const auto colon = user_info.find(':');
  const auto user = PercentDecoded(user_info.substr(0, colon));
  const auto password = PercentDecoded(
      colon == std::string_view::npos ? std::string_view() : user_info.substr(colon + 1));
  if (!user || !password) {
    return wrong("a '%' in the user or the password begins no escape; it is written %25");
  }
  if (user->find(':') != std::string::npos) return wrong("the user has a ':', which Basic forbids");
  const std::string both = absl::StrCat(*user, ":", *password);
  if (std::ranges::any_of(both, absl::ascii_iscntrl)) {
    return wrong("the user or the password has a control character, which Basic forbids");
  }
  return absl::StrCat("Basic ", absl::Base64Escape(both));
}

}  // namespace holdfast::http::internal
