#include "src/http/wire/grammar.h"

#include <charconv>
#include <cstddef>

#include "holdfast/http/wire/message.h"

namespace holdfast::http::wire {

std::optional<std::string_view> NextElement(std::optional<std::string_view>& list) {
  if (!list) return std::nullopt;
  const std::size_t comma = list->find(',');
  const std::string_view element = WithoutBlanks(list->substr(0, comma));
  if (comma == std::string_view::npos) {
    list = std::nullopt;
  } else {
    list->remove_prefix(comma + 1);
  }
  return element;
}

std::optional<std::uint64_t> ParseLength(std::string_view text) {
  std::uint64_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  const auto digits = static_cast<std::size_t>(end - text.data());
  if (error != std::errc() || digits != text.size() || length >> 63 != 0) {
    return std::nullopt;
  }
  return length;
}

bool IsAuthority(std::string_view text) {
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos || end == 1) return false;
    if (!OnlyOf(kAddressBytes, text.substr(1, end - 1))) return false;
    port = text.substr(end + 1);
  } else {
    const std::size_t colon = text.find(':');
    if (colon == 0) return false;
    if (!OnlyOf(kHostBytes, text.substr(0, colon))) return false;
    if (colon != std::string_view::npos) port = text.substr(colon);
  }
  if (port.empty()) return true;
  port.remove_prefix(1);
  return text[text.size() - port.size() - 1] == ':' &&
         (port.empty() || ParseLength(port).value_or(0x10000) <= 0xffff);
}

bool IsTarget(std::string_view method, std::string_view target) {
  if (target.empty() || !OnlyOf(kTargetBytes, target)) return false;
  if (method == "CONNECT") {
    return target.find(':') != std::string_view::npos && !target.ends_with(':') &&
           IsAuthority(target);
  }
  if (target.starts_with('/')) return true;
  if (target == "*") return method == "OPTIONS";
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!EqualsIgnoringCase(target.substr(0, scheme.size()), scheme)) continue;
    const std::string_view rest = target.substr(scheme.size());
    const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
    return !authority.empty() && IsAuthority(authority);
  }
  return false;
}

}  // namespace holdfast::http::wire
