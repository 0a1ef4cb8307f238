// Which bytes may stand where (RFC 9110, 5.5 and 5.6.2; RFC 9112, 2.2 and 3.2).
#ifndef HOLDFAST_SRC_HTTP_WIRE_GRAMMAR_H_
#define HOLDFAST_SRC_HTTP_WIRE_GRAMMAR_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace holdfast::http::wire {

using ByteSet = std::array<bool, 256>;

constexpr ByteSet BytesOf(std::string_view others, bool letters, bool digits) {
  ByteSet set{};
  for (unsigned byte = 0; byte < 256; ++byte) {
    const auto lower = static_cast<char>(byte | 0x20);
    if (letters && byte < 0x80 && lower >= 'a' && lower <= 'z') set[byte] = true;
    if (digits && byte >= '0' && byte <= '9') set[byte] = true;
  }
  for (const char byte : others) set[static_cast<unsigned char>(byte)] = true;
  return set;
}

constexpr ByteSet BytesBetween(unsigned first, unsigned last) {
  ByteSet set{};
  for (unsigned byte = first; byte <= last; ++byte) set[byte] = true;
  return set;
}

constexpr ByteSet With(ByteSet set, char byte) {
  set[static_cast<unsigned char>(byte)] = true;
  return set;
}

constexpr ByteSet Without(ByteSet set, char byte) {
  set[static_cast<unsigned char>(byte)] = false;
  return set;
}

inline constexpr ByteSet kTokenBytes = BytesOf("!#$%&'*+-.^_`|~", true, true);
// In values and reasons: no control characters but the tab.
inline constexpr ByteSet kTextBytes = Without(With(BytesBetween(0x20, 0xff), '\t'), 0x7f);
inline constexpr ByteSet kTargetBytes = BytesBetween(0x21, 0x7e);
// Of a host in a Host field: without "@", "/" and ",", about which readers disagree.
inline constexpr ByteSet kHostBytes = BytesOf("-._~%!$&'()*+;=", true, true);
inline constexpr ByteSet kAddressBytes = BytesOf(":.", true, true);  // between brackets

constexpr bool Has(const ByteSet& set, char byte) { return set[static_cast<unsigned char>(byte)]; }

constexpr bool OnlyOf(const ByteSet& set, std::string_view text) {
  return std::ranges::all_of(text, [&set](char byte) { return Has(set, byte); });
}

constexpr bool IsToken(std::string_view text) { return !text.empty() && OnlyOf(kTokenBytes, text); }

constexpr std::string_view WithoutBlanks(std::string_view text) {
  const auto is_blank = [](char byte) { return byte == ' ' || byte == '\t'; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// Takes the next element of a comma-separated list off `list`, without the blanks around it;
// nullopt after the last.
std::optional<std::string_view> NextElement(std::optional<std::string_view>& list);

// One or more digits, in range; nullopt for anything else.
std::optional<std::uint64_t> ParseLength(std::string_view text);

// A host and perhaps a port, as in a Host field and in the target of CONNECT. An empty one is
// valid, and a port without a host is not (RFC 9110, 4.2.1).
bool IsAuthority(std::string_view text);

// For a method (RFC 9112, 3.2): "/path", "http://host/path", "*" for OPTIONS, host:port for
// CONNECT.
bool IsTarget(std::string_view method, std::string_view target);

}  // namespace holdfast::http::wire

#endif  // HOLDFAST_SRC_HTTP_WIRE_GRAMMAR_H_
