#ifndef HOLDFAST_TEST_HTTP_NET_LISTENERS_H_
#define HOLDFAST_TEST_HTTP_NET_LISTENERS_H_

// Where connections go to in tests: to who takes them, to who refuses them, and to who says
// nothing. None of them accepts: the kernel connects without it.

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "src/http/net/address.h"
#include "src/http/net/descriptor.h"
#include "src/http/net/socket.h"

namespace holdfast::test {

using http::internal::Address;
using http::internal::Descriptor;

inline Address Loopback(const std::string& literal, int port = 0) {
  return *Address::Parse(literal, port);
}

// A socket that is bound and does not listen: it refuses, and nobody else gets its port.
class Refusing {
 public:
  explicit Refusing(const Address& at)
      : socket_(::socket(at.family(), SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (::bind(socket_.get(), at.data(), at.size()) != 0) {
      throw std::system_error(errno, std::generic_category(), at.ToString());
    }
  }
  int get() const { return socket_.get(); }
  Address address() const { return *http::internal::LocalAddress(socket_.get()); }
  int port() const { return address().port(); }

 private:
  Descriptor socket_;
};

class Listening : public Refusing {
 public:
  explicit Listening(const Address& at, int backlog = 64) : Refusing(at) { SetBacklog(backlog); }
  void SetBacklog(int backlog) const {
    if (::listen(get(), backlog) != 0) throw std::system_error(errno, std::generic_category());
  }
};

// Its backlog is full, so that the kernel drops what asks for a connection (TCP) or has it come
// again (unix).
class Silent : public Listening {
 public:
  explicit Silent(const Address& at) : Listening(at, 0) {
    while (Fill()) {
      if (filling_.size() > 100) throw std::runtime_error("the backlog is never full");
    }
  }

  // Answers from now on; a SYN that was dropped comes again after a second.
  void Answer() const { SetBacklog(64); }

 private:
  static constexpr int kPatience = 200;  // ms; over loopback a connection is there at once

  bool Fill() {
    auto opened = http::internal::OpenSocket(address(), {});
    const int error = http::internal::StartConnect(opened.socket.get(), address());
    pollfd writable = {.fd = opened.socket.get(), .events = POLLOUT, .revents = 0};
    const bool filled =
        error == 0 || (error == EINPROGRESS && ::poll(&writable, 1, kPatience) == 1);
    // One whose SYN was dropped would take the place that Answer() makes.
    if (filled) filling_.push_back(std::move(opened.socket));
    return filled;
  }

  std::vector<Descriptor> filling_;
};

inline bool HasIpv6() {
  try {
    const Refusing any(Loopback("::1"));
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

// At the same port as `other`, on another address; nullopt: somebody has it.
template <class T>
std::optional<T> At(const std::string& literal, const Refusing& other) {
  try {
    return std::optional<T>(std::in_place, Loopback(literal, other.port()));
  } catch (const std::system_error&) {
    return std::nullopt;
  }
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_NET_LISTENERS_H_
