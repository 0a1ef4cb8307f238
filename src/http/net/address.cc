#include "src/http/net/address.h"

#include <absl/status/status.h>
#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <net/if.h>

#include <cstdint>
#include <cstring>

#include "holdfast/base/internal/string_view.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ToAbsl;

// The longest text: a longer one is no address, and inet_pton and if_nametoindex read up to a NUL.
constexpr std::size_t kMaxLiteral = INET6_ADDRSTRLEN + 1 + IF_NAMESIZE;

// 0 for an interface that is not there, which no interface has.
std::uint32_t ScopeOf(std::string_view name) {
  std::uint32_t number = 0;
  const bool digits = name.find_first_not_of("0123456789") == std::string_view::npos;
  if (digits) return absl::SimpleAtoi(ToAbsl(name), &number) ? number : 0;
  return ::if_nametoindex(std::string(name).c_str());
}

sockaddr_in MakeIpv4(in_addr host, in_port_t network_port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = network_port;
  address.sin_addr = host;
  return address;
}

sockaddr_in6 MakeIpv6(const in6_addr& host, std::uint32_t scope, in_port_t network_port) {
  sockaddr_in6 address = {};
  address.sin6_family = AF_INET6;
  address.sin6_port = network_port;
  address.sin6_addr = host;
  address.sin6_scope_id = scope;
  return address;
}

in_port_t NetworkPort(int port) { return htons(static_cast<std::uint16_t>(port)); }

}  // namespace

template <class T>
Address Address::Of(const T& address, std::size_t size) {
  Address made;
  std::memcpy(made.bytes_.data(), &address, size);
  std::memcpy(&made.family_, made.bytes_.data() + offsetof(sockaddr, sa_family),
              sizeof made.family_);
  made.size_ = static_cast<socklen_t>(size);
  return made;
}

template <class T>
T Address::As() const {
  T address;
  std::memcpy(&address, bytes_.data(), sizeof address);
  return address;
}

std::optional<Address> Address::FromSockaddr(const sockaddr* address, socklen_t size) {
  if (address == nullptr || size < sizeof(sa_family_t)) return std::nullopt;
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in ipv4;
    std::memcpy(&ipv4, address, sizeof ipv4);
    return Of(MakeIpv4(ipv4.sin_addr, ipv4.sin_port));
  }
  if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 ipv6;
    std::memcpy(&ipv6, address, sizeof ipv6);
    return Of(MakeIpv6(ipv6.sin6_addr, ipv6.sin6_scope_id, ipv6.sin6_port));
  }
  if (address->sa_family != AF_UNIX || size <= offsetof(sockaddr_un, sun_path)) return std::nullopt;
  const char* const path = reinterpret_cast<const char*>(address) + offsetof(sockaddr_un, sun_path);
  const std::size_t length = size - offsetof(sockaddr_un, sun_path);
  auto parsed = path[0] == '\0' ? Unix(absl::StrCat("@", absl::string_view(path + 1, length - 1)))
                                : Unix(std::string_view(path, ::strnlen(path, length)));
  if (!parsed.ok()) return std::nullopt;
  return *std::move(parsed);
}

std::optional<Address> Address::Parse(std::string_view literal, int port) {
  if (literal.size() > kMaxLiteral || literal.find('\0') != std::string_view::npos || port < 0 ||
      port > 65535) {
    return std::nullopt;
  }
  in_addr ipv4;
  if (::inet_pton(AF_INET, std::string(literal).c_str(), &ipv4) == 1) {
    return Of(MakeIpv4(ipv4, NetworkPort(port)));
  }
  const auto percent = literal.find('%');
  const std::string host(literal.substr(0, percent));
  in6_addr ipv6;
  if (::inet_pton(AF_INET6, host.c_str(), &ipv6) != 1) return std::nullopt;
  std::uint32_t scope = 0;
  if (percent != std::string_view::npos) {
    scope = ScopeOf(literal.substr(percent + 1));
    if (scope == 0) return std::nullopt;
  }
  return Of(MakeIpv6(ipv6, scope, NetworkPort(port)));
}

absl::StatusOr<Address> Address::Unix(std::string_view path) {
  sockaddr_un address = {};
  const auto wrong = [path](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("bad path of a unix socket \"", absl::CHexEscape(ToAbsl(path)), "\": ", what));
  };
  const bool abstract = !path.empty() && path.front() == '@';
  if (path.empty() || path == "@") return wrong("it is empty");
  if (path.find('\0') != std::string_view::npos) return wrong("it has a NUL");
  if (path.size() >= sizeof address.sun_path) {
    return wrong(absl::StrCat("it is longer than ", sizeof address.sun_path - 1, " bytes"));
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (abstract) address.sun_path[0] = '\0';
  // A path ends with a NUL; an abstract name is as long as the size says.
  const std::size_t size =
      offsetof(sockaddr_un, sun_path) + path.size() + static_cast<std::size_t>(!abstract);
  return Of(address, size);
}

int Address::port() const {
  if (family_ == AF_INET) return ntohs(As<sockaddr_in>().sin_port);
  if (family_ == AF_INET6) return ntohs(As<sockaddr_in6>().sin6_port);
  return 0;
}

Address Address::WithPort(int port) const {
  if (family_ == AF_INET) return Of(MakeIpv4(As<sockaddr_in>().sin_addr, NetworkPort(port)));
  if (family_ != AF_INET6) return *this;
  const auto ipv6 = As<sockaddr_in6>();
  return Of(MakeIpv6(ipv6.sin6_addr, ipv6.sin6_scope_id, NetworkPort(port)));
}

std::string Address::ToString() const {
  std::array<char, INET6_ADDRSTRLEN> text = {};
  if (family_ == AF_INET) {
    const auto ipv4 = As<sockaddr_in>();
    ::inet_ntop(AF_INET, &ipv4.sin_addr, text.data(), text.size());
    return absl::StrCat(text.data(), ":", port());
  }
  if (family_ == AF_INET6) {
    const auto ipv6 = As<sockaddr_in6>();
    ::inet_ntop(AF_INET6, &ipv6.sin6_addr, text.data(), text.size());
    const std::string scope =
        ipv6.sin6_scope_id == 0 ? std::string() : absl::StrCat("%", ipv6.sin6_scope_id);
    return absl::StrCat("[", text.data(), scope, "]:", port());
  }
  if (family_ != AF_UNIX) return "no address";
  absl::string_view path = bytes();
  path.remove_prefix(offsetof(sockaddr_un, sun_path));
  if (path.front() == '\0') return absl::StrCat("unix:@", path.substr(1));
  path.remove_suffix(1);
  return absl::StrCat("unix:", path);
}

}  // namespace holdfast::http::internal
