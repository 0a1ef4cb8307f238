#include "src/http/connect_error.h"

#include <absl/strings/str_cat.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <system_error>

#include "holdfast/base/internal/string_view.h"

namespace holdfast::http::internal {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPatience{100};

// As poll() until then: a signal that interrupts it does not give it its full time again.
int PollUntil(pollfd& waiting, steady_clock::time_point until) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - steady_clock::now()).count();
    if (left <= 0) return 0;
    const int ready = ::poll(&waiting, 1, static_cast<int>(left));
    if (ready >= 0 || errno != EINTR) return ready;
  }
}

// Its errno; 0 if it connects after all, ETIMEDOUT if nothing is known by `until`.
int TryConnect(const addrinfo& address, steady_clock::time_point until) {
  const int sock = ::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (sock < 0) return errno;
  int error = ::connect(sock, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    pollfd waiting = {.fd = sock, .events = POLLOUT, .revents = 0};
    socklen_t size = sizeof error;
    if (PollUntil(waiting, until) <= 0) {
      error = ETIMEDOUT;
    } else if (::getsockopt(sock, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
      error = errno;
    }
  }
  ::close(sock);
  return error;
}

}  // namespace

absl::Status DiagnoseConnect(const std::string& host, int port, std::string_view url) {
  const auto until = steady_clock::now() + kPatience;
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return ConnectErrorStatus(0, url);
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  int error = 0;
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    error = TryConnect(*address, until);
    if (error == 0) break;
  }
  return ConnectErrorStatus(error, url);
}

absl::Status ConnectErrorStatus(int error, std::string_view url) {
  const absl::string_view where = holdfast::internal::ToAbsl(url);
  const std::string why = std::generic_category().message(error);
  switch (error) {
    case 0:  // it passed meanwhile
      return absl::UnavailableError(absl::StrCat(where, ": can't connect"));
    case ECONNREFUSED:
      return absl::UnavailableError(absl::StrCat(where, ": the connection was refused"));
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ETIMEDOUT:  // in the time that a refusal takes; who waits for nothing else is not asked
                     // here
    case ENETDOWN:
    case EHOSTDOWN:
      return absl::UnavailableError(absl::StrCat(where, ": the host is unreachable: ", why));
    case EADDRNOTAVAIL:
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return absl::ResourceExhaustedError(
          absl::StrCat(where, ": this side can't open another connection: ", why));
    default:
      return absl::UnavailableError(absl::StrCat(where, ": can't connect: ", why));
  }
}

}  // namespace holdfast::http::internal
