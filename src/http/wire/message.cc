#include "holdfast/http/wire/message.h"

#include <algorithm>

#include "holdfast/base/internal/options_checker.h"
#include "src/http/wire/grammar.h"

namespace holdfast::http::wire {
namespace {

constexpr char Lower(char byte) {
  return byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte | 0x20) : byte;
}

}  // namespace

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, Lower, Lower);
}

std::optional<std::string_view> FindField(std::span<const Field> fields, std::string_view name) {
  for (const Field& field : fields) {
    if (EqualsIgnoringCase(field.name, name)) return field.value;
  }
  return std::nullopt;
}

bool HasToken(std::span<const Field> fields, std::string_view name, std::string_view token) {
  for (const Field& field : fields) {
    if (!EqualsIgnoringCase(field.name, name)) continue;
    std::optional<std::string_view> list = field.value;
    while (const auto element = NextElement(list)) {
      if (EqualsIgnoringCase(*element, token)) return true;
    }
  }
  return false;
}

absl::Status Validate(const Limits& limits) {
  holdfast::internal::OptionsChecker check("http::wire::Limits");
  check(limits.head >= 256 && limits.head <= std::size_t{1} << 24,
        "head must be in [256, 2^24] bytes, not ", limits.head);
  check(limits.fields >= 1 && limits.fields <= 100'000, "fields must be in [1, 100000], not ",
        limits.fields);
  check(limits.body >> 63 == 0, "body must be in [0, 2^63 - 1] bytes, not ", limits.body);
  return check.status();
}

}  // namespace holdfast::http::wire
