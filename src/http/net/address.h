// Where a connection goes to or comes from: IPv4, IPv6 or a unix socket.
#ifndef HOLDFAST_SRC_HTTP_NET_ADDRESS_H_
#define HOLDFAST_SRC_HTTP_NET_ADDRESS_H_

#include <absl/status/statusor.h>
#include <absl/strings/string_view.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace holdfast::http::internal {

// A value. Two that lead to the same place are equal: of what the kernel gives, only family,
// address, scope and port are kept.
class Address {
 public:
  Address() = default;  // none: family() is AF_UNSPEC

  // Nullopt for a family that is none of the three, for a structure that is cut, and for a unix
  // socket without a name.
  static std::optional<Address> FromSockaddr(const sockaddr* address, socklen_t size);

  // Of a literal without brackets: "192.0.2.1", "2001:db8::1", "fe80::1%eth0", "fe80::1%2". Nullopt
  // for all else, and for a scope that is not the name of an interface of this machine. `port` is 0
  // to 65535.
  static std::optional<Address> Parse(std::string_view literal, int port);

  // A path, or '@' and a name of Linux's abstract namespace. kInvalidArgument where it is empty,
  // too long for the kernel (107 bytes) or has a NUL.
  static absl::StatusOr<Address> Unix(std::string_view path);

  int family() const { return family_; }
  bool is_unix() const { return family_ == AF_UNIX; }
  int port() const;  // 0 where there is none
  Address WithPort(int port) const;

  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(bytes_.data()); }
  socklen_t size() const { return size_; }

  // "192.0.2.1:80", "[fe80::1%2]:80", "unix:/run/x", "unix:@x".
  std::string ToString() const;

  friend bool operator==(const Address& a, const Address& b) { return a.bytes() == b.bytes(); }

  template <class H>
  friend H AbslHashValue(H state, const Address& address) {
    return H::combine(std::move(state), address.bytes());
  }

 private:
  template <class T>
  static Address Of(const T& address, std::size_t size = sizeof(T));
  template <class T>
  T As() const;

  absl::string_view bytes() const { return {bytes_.data(), size_}; }

  alignas(sockaddr_in6)
      std::array<char, std::max(sizeof(sockaddr_in6), sizeof(sockaddr_un))> bytes_ = {};
  socklen_t size_ = 0;
  sa_family_t family_ = AF_UNSPEC;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_ADDRESS_H_
