#include "src/metrics_http/listening.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "holdfast/base/internal/string_view.h"
#include "src/http/net/socket.h"
#include "src/http/net/system_call.h"

namespace holdfast::internal {
namespace {

using http::internal::Address;
using http::internal::Descriptor;

constexpr int kBacklog = 128;

absl::StatusCode CodeOfErrno(int error) {
  switch (error) {
    case EADDRINUSE:
      return absl::StatusCode::kAlreadyExists;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return absl::StatusCode::kInvalidArgument;
    case EACCES:
    case EPERM:
      return absl::StatusCode::kPermissionDenied;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return absl::StatusCode::kResourceExhausted;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

absl::Status CannotListen(const Address& address, int error) {
  return absl::Status(CodeOfErrno(error),
                      absl::StrCat("MetricsServer: can't listen on ", address.ToString(), ": ",
                                   std::generic_category().message(error)));
}

void TurnOn(int socket, int level, int option) {
  const int on = 1;
  ::setsockopt(socket, level, option, &on, sizeof on);
}

}  // namespace

bool IsLoopback(std::string_view address) {
  const auto parsed = Address::Parse(address, 0);
  if (!parsed) return false;
  if (parsed->family() == AF_INET) {
    sockaddr_in ipv4;
    std::memcpy(&ipv4, parsed->data(), sizeof ipv4);
    return (ntohl(ipv4.sin_addr.s_addr) >> 24) == 127;
  }
  return parsed == Address::Parse("::1", 0);
}

absl::StatusOr<Listening> ListenOn(std::string_view address, int port) {
  const auto parsed = Address::Parse(address, port);
  if (!parsed) {
    return absl::InvalidArgumentError(
        absl::StrCat("MetricsServer: \"", ToAbsl(address), "\" is no address of IPv4 or IPv6"));
  }
  Descriptor socket(
      ::socket(parsed->family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!socket) return CannotListen(*parsed, errno);
  // A restart need not wait until the connections of the last run are forgotten.
  TurnOn(socket.get(), SOL_SOCKET, SO_REUSEADDR);
  if (::bind(socket.get(), parsed->data(), parsed->size()) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    return CannotListen(*parsed, errno);
  }
  const auto bound = http::internal::LocalAddress(socket.get());
  if (!bound) return CannotListen(*parsed, errno);
  return Listening{.socket = std::move(socket), .address = *bound};
}

Accepted AcceptFrom(int listening) {
  const auto socket = http::internal::Uninterrupted(
      [&] { return ::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC); });
  if (socket < 0) return {.socket = {}, .error = errno};
  Accepted accepted = {.socket = Descriptor(static_cast<int>(socket)), .error = 0};
  TurnOn(accepted.socket.get(), IPPROTO_TCP, TCP_NODELAY);
  return accepted;
}

}  // namespace holdfast::internal
