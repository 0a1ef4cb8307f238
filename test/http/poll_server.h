#ifndef HOLDFAST_TEST_HTTP_POLL_SERVER_H_
#define HOLDFAST_TEST_HTTP_POLL_SERVER_H_

// A server of one thread, however many connections it has, on all addresses of loopback.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "src/http/net/descriptor.h"

namespace holdfast::test {

// Answers each request without a body with the address that it was sent to.
class PollServer {
 public:
  PollServer() {
    sockaddr_in address = {};
    address.sin_family = AF_INET;  // of any address
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_.get(), any, size) != 0 || ::listen(listener_.get(), 1024) != 0 ||
        ::getsockname(listener_.get(), any, &size) != 0) {
      std::abort();
    }
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  PollServer(const PollServer&) = delete;
  PollServer& operator=(const PollServer&) = delete;
  ~PollServer() {
    stopping_ = true;
    Wake();
    thread_.join();
  }

  int port() const { return port_; }
  std::string Url(const std::string& host) const {
    return "http://" + host + ":" + std::to_string(port_);
  }
  int accepted() const { return accepted_; }
  int open() const { return open_; }

  // Returns when there is none of the connections that there were.
  void CloseAll() {
    closing_ = true;
    Wake();
    closing_.wait(true);
  }

 private:
  struct Connection {
    http::internal::Descriptor socket;
    std::string received = {};
  };

  void Wake() const {
    const std::uint64_t one = 1;
    if (::write(wake_.get(), &one, sizeof one) != sizeof one) std::abort();
  }

  void Serve() {
    while (!stopping_) {
      std::vector<pollfd> events = {{.fd = wake_.get(), .events = POLLIN, .revents = 0},
                                    {.fd = listener_.get(), .events = POLLIN, .revents = 0}};
      for (const Connection& each : connections_) {
        events.push_back({.fd = each.socket.get(), .events = POLLIN, .revents = 0});
      }
      if (::poll(events.data(), events.size(), -1) <= 0) continue;
      for (std::size_t i = 0; i < connections_.size(); ++i) {
        if (events[i + 2].revents != 0) Read(connections_[i]);
      }
      std::erase_if(connections_, [](const Connection& each) { return !each.socket; });
      if (events[1].revents != 0) Accept();
      if (events[0].revents != 0) HeedWake();
      open_ = static_cast<int>(connections_.size());
    }
  }

  void HeedWake() {
    std::uint64_t count = 0;
    if (::read(wake_.get(), &count, sizeof count) != sizeof count) std::abort();
    if (!closing_) return;
    connections_.clear();
    closing_ = false;
    closing_.notify_all();
  }

  void Accept() {
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    ++accepted_;
    connections_.push_back({.socket = http::internal::Descriptor(fd)});
  }

  // Without a socket afterwards where the client is gone.
  static void Read(Connection& connection) {
    std::array<char, 4096> buffer;
    const ssize_t got = ::recv(connection.socket.get(), buffer.data(), buffer.size(), 0);
    if (got <= 0) return connection.socket.Reset();
    connection.received.append(buffer.data(), static_cast<std::size_t>(got));
    if (!connection.received.ends_with("\r\n\r\n")) return;
    connection.received.clear();
    const std::string body = AddressOf(connection.socket.get());
    const std::string answer =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    ::send(connection.socket.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  }

  // Of this end.
  static std::string AddressOf(int fd) {
    sockaddr_in address = {};
    socklen_t size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    std::array<char, INET_ADDRSTRLEN> text{};
    return ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
  }

  const http::internal::Descriptor listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  const http::internal::Descriptor wake_{::eventfd(0, EFD_CLOEXEC)};
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> closing_ = false;
  std::atomic<int> accepted_ = 0;
  std::atomic<int> open_ = 0;
  std::vector<Connection> connections_;
  std::thread thread_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_POLL_SERVER_H_
