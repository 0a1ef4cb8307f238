#include "src/http/no_proxy.h"

#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/string_view.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>

#include "holdfast/base/internal/string_view.h"
#include "src/http/net/address.h"
#include "src/http/origin.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ToAbsl;
using holdfast::internal::ToStd;

constexpr int kAddressBits = 128;
constexpr int kMappedBits = 96;  // in front of an IPv4 address

// IPv6; an IPv4 address is mapped into it (RFC 4291, 2.5.5.2).
using AddressBytes = std::array<unsigned char, kAddressBits / 8>;

// Nullopt: `text` is no address. A zone is of this machine, and none is taken.
std::optional<AddressBytes> ParseBytes(std::string_view text) {
  if (text.find('%') != std::string_view::npos) return std::nullopt;
  auto address = Address::Parse(text, 0);
  if (address && address->family() == AF_INET) {
    address = Address::Parse(absl::StrCat("::ffff:", ToAbsl(text)), 0);
  }
  if (!address) return std::nullopt;
  sockaddr_in6 ipv6;
  std::memcpy(&ipv6, address->data(), sizeof ipv6);
  AddressBytes bytes;
  std::memcpy(bytes.data(), &ipv6.sin6_addr, bytes.size());
  return bytes;
}

bool IsMapped(const AddressBytes& bytes) {
  const auto zeros = bytes.begin() + 10;
  return std::all_of(bytes.begin(), zeros, [](unsigned char byte) { return byte == 0; }) &&
         zeros[0] == 0xff && zeros[1] == 0xff;
}

bool SameBits(const AddressBytes& a, const AddressBytes& b, int bits) {
  const auto whole = static_cast<std::size_t>(bits / 8);
  if (!std::equal(a.begin(), a.begin() + whole, b.begin())) return false;
  const int rest = bits % 8;
  return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

struct NoProxyEntry {
  bool all = false;
  std::string name = {};                               // in lower case
  std::optional<AddressBytes> address = std::nullopt;  // instead of a name
  int bits = kAddressBits;                             // of the address that count
  int port = 0;                                        // 0: any
};

// Removes host and brackets from the front of `text`, and leaves [/bits][:port]; empty: there is
// no host.
std::string_view TakeEntryHost(std::string_view& text) {
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return {};
    const std::string_view host = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    return host;
  }
  // With two colons it is an IPv6 address, which has no port without brackets.
  std::string_view host = text.substr(0, text.find('/'));
  if (std::ranges::count(host, ':') < 2) host = host.substr(0, host.find(':'));
  text.remove_prefix(host.size());
  return host;
}

// Removes a mark and the number behind it from the front of `text`; nullopt: that is out of range.
std::optional<int> TakeNumber(std::string_view& text, int min, int max) {
  text.remove_prefix(1);
  const auto end = std::min(text.find_first_not_of("0123456789"), text.size());
  int number = 0;
  if (!absl::SimpleAtoi(ToAbsl(text.substr(0, end)), &number)) return std::nullopt;
  text.remove_prefix(end);
  return number >= min && number <= max ? std::optional(number) : std::nullopt;
}

// The name of a host in lower case and without dots at its ends; empty: it is none. One that ends
// with a number is an address, and a malformed one here.
std::string NameOfHost(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(1);
  if (text.starts_with('.')) text.remove_prefix(1);
  if (text.ends_with('.')) text.remove_suffix(1);
  if (!IsHost(text)) return "";
  const std::string_view last = text.substr(text.rfind('.') + 1);
  if (last.find_first_not_of("0123456789") == std::string_view::npos) return "";
  return absl::AsciiStrToLower(ToAbsl(text));
}

std::optional<NoProxyEntry> ParseEntry(std::string_view text) {
  if (text == "*") return NoProxyEntry{.all = true};
  const bool brackets = text.starts_with('[');
  const std::string_view host = TakeEntryHost(text);
  NoProxyEntry entry = {.address = ParseBytes(host)};
  const bool ipv6 = host.find(':') != std::string_view::npos;
  if (brackets && !ipv6) return std::nullopt;
  if (!entry.address) entry.name = NameOfHost(host);
  if (!entry.address && entry.name.empty()) return std::nullopt;
  if (entry.address && text.starts_with('/')) {
    const int in_front = ipv6 ? 0 : kMappedBits;
    const auto bits = TakeNumber(text, 0, kAddressBits - in_front);
    if (!bits) return std::nullopt;
    entry.bits = in_front + *bits;
  }
  if (text.starts_with(':')) {
    const auto port = TakeNumber(text, 1, 65535);
    if (!port) return std::nullopt;
    entry.port = *port;
  }
  return text.empty() ? std::optional(entry) : std::nullopt;
}

// A host to compare entries with.
struct Destination {
  std::optional<AddressBytes> address;
  std::string name;
  int port;
};

bool Matches(const NoProxyEntry& entry, const Destination& host) {
  if (entry.all) return true;
  if (entry.port != 0 && entry.port != host.port) return false;
  if (entry.address.has_value() != host.address.has_value()) return false;
  if (entry.address && host.address) {
    return IsMapped(*entry.address) == IsMapped(*host.address) &&
           SameBits(*entry.address, *host.address, entry.bits);
  }
  return host.name == entry.name || absl::EndsWith(host.name, absl::StrCat(".", entry.name));
}

auto EntriesOf(std::string_view list) {
  return absl::StrSplit(ToAbsl(list), absl::ByAnyChar(", \t\r\n"), absl::SkipEmpty());
}

}  // namespace

absl::Status CheckNoProxy(std::string_view list) {
  for (const absl::string_view entry : EntriesOf(list)) {
    if (ParseEntry(ToStd(entry))) continue;
    // A URL may have a password in it.
    const bool shown = entry.find('@') == absl::string_view::npos;
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", shown ? absl::CHexEscape(entry) : "...",
        "\" is no name, address or block of addresses, with or without a port, and not \"*\""));
  }
  return absl::OkStatus();
}

bool NeedsNoProxy(std::string_view list, std::string_view host, int port) {
  Destination to = {.address = ParseBytes(host.substr(0, host.find('%'))),
                    .name = absl::AsciiStrToLower(ToAbsl(host)),
                    .port = port};
  if (to.name.ends_with('.')) to.name.pop_back();
  for (const absl::string_view text : EntriesOf(list)) {
    const auto entry = ParseEntry(ToStd(text));
    if (entry && Matches(*entry, to)) return true;
  }
  return false;
}

}  // namespace holdfast::http::internal
