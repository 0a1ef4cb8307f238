#ifndef HOLDFAST_TEST_HTTP_FAULT_SERVER_H_
#define HOLDFAST_TEST_HTTP_FAULT_SERVER_H_

// A server on raw sockets that misbehaves as its script says.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "src/http/net/address.h"

namespace holdfast::test {

// A socket that listens on a free port of loopback.
class Listener {
 public:
  explicit Listener(int backlog) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&address_), sizeof address_) != 0) std::abort();
    ::listen(fd_, backlog);
    socklen_t size = sizeof address_;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address_), &size);
  }
  // On a unix socket instead: a path, or '@' and an abstract name.
  Listener(int backlog, const std::string& path)
      : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto at = http::internal::Address::Unix(path);
    if (!at.ok() || ::bind(fd_, at->data(), at->size()) != 0) std::abort();
    ::listen(fd_, backlog);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { ::close(fd_); }

  int fd() const { return fd_; }
  const sockaddr_in& address() const { return address_; }
  std::string Host() const { return "127.0.0.1:" + std::to_string(ntohs(address_.sin_port)); }

 private:
  int fd_;
  sockaddr_in address_ = {};
};

// The server's end of one connection.
class Peer {
 public:
  Peer(int fd, int number) : fd_(fd), number_(number) {}

  // From 1, in the order of arrival.
  int number() const { return number_; }

  int fd() const { return fd_; }

  // Up to the end of the header; false where the client is gone.
  bool ReadRequest() const {
    std::string header;
    char byte = 0;
    while (!header.ends_with("\r\n\r\n")) {
      if (::recv(fd_, &byte, 1, 0) <= 0) return false;
      header += byte;
    }
    return true;
  }

  // A whole request as it came, with a body of its Content-Length or in chunks; empty where the
  // client is gone.
  std::string ReadMessage() const {
    std::string message;
    const auto read_until = [&](const auto& complete) {
      char byte = 0;
      while (!complete()) {
        if (::recv(fd_, &byte, 1, 0) <= 0) return false;
        message += byte;
      }
      return true;
    };
    if (!read_until([&] { return message.ends_with("\r\n\r\n"); })) return "";
    bool whole = true;
    if (const auto at = message.find("Content-Length: "); at != std::string::npos) {
      const std::size_t end = message.size() + std::stoul(message.substr(at + 16));
      whole = read_until([&] { return message.size() == end; });
    } else if (message.find("Transfer-Encoding: chunked") != std::string::npos) {
      whole = read_until([&] { return message.ends_with("\r\n0\r\n\r\n"); });
    }
    return whole ? message : "";
  }

  bool Write(std::string_view text) const {
    return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
  }

  // One byte after the other with a gap; false once the client is gone.
  bool Drip(std::string_view text,
            std::chrono::milliseconds gap = std::chrono::milliseconds(20)) const {
    for (const char& byte : text) {
      if (!Write({&byte, 1})) return false;
      std::this_thread::sleep_for(gap);  // the fault itself
    }
    return true;
  }

  // Until the client is gone, or the server ends.
  void ReadAll() const {
    char buffer[4096];
    while (::recv(fd_, buffer, sizeof buffer, 0) > 0) {
    }
  }

  // Reads nothing until the server ends.
  void Stall() const { stopping_->wait(false); }

  // Closes with RST instead of FIN.
  void ResetAtEnd() const {
    const linger now = {.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }

 private:
  friend class FaultServer;
  int fd_;
  int number_;
  std::atomic<bool>* stopping_ = nullptr;
};

// Runs `script` for each connection in a thread of its own and closes it after that.
class FaultServer {
 public:
  using Script = std::function<void(const Peer&)>;

  explicit FaultServer(Script script)
      : script_(std::move(script)), acceptor_([this] { Accept(); }) {}
  // On a unix socket, and not at Host().
  FaultServer(Script script, const std::string& path)
      : listener_(kBacklog, path), script_(std::move(script)), acceptor_([this] { Accept(); }) {}
  FaultServer(const FaultServer&) = delete;
  FaultServer& operator=(const FaultServer&) = delete;
  ~FaultServer() {
    stopping_ = true;
    stopping_.notify_all();
    ::shutdown(listener_.fd(), SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    for (std::thread& thread : threads_) thread.join();
  }

  std::string Host() const { return listener_.Host(); }
  const sockaddr_in& address() const { return listener_.address(); }
  int accepted() const { return accepted_; }
  // Connections whose script has not ended.
  int open() {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(open_.size());
  }
  // Returns when `n` connections were closed.
  void WaitForClosed(int n) const {
    for (int closed = closed_; closed < n; closed = closed_) closed_.wait(closed);
  }

 private:
  void Accept() {
    for (;;) {
      const int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      Peer peer(fd, ++accepted_);
      peer.stopping_ = &stopping_;
      const std::lock_guard lock(mutex_);
      open_.push_back(fd);
      threads_.emplace_back([this, peer] {
        script_(peer);
        {
          const std::lock_guard lock_open(mutex_);
          open_.remove(peer.fd_);
          ::close(peer.fd_);
        }
        ++closed_;
        closed_.notify_all();
      });
    }
  }

  static constexpr int kBacklog = 1024;  // a full queue loses connections for seconds

  Listener listener_{kBacklog};
  Script script_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> accepted_{0};
  std::atomic<int> closed_{0};
  std::mutex mutex_;
  std::list<int> open_;
  std::list<std::thread> threads_;
  std::thread acceptor_;
};

// What a server was sent, in the order in which it came. Thread-safe.
class Recorder {
 public:
  // How many there are with it.
  std::size_t Add(std::string message) {
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
    return messages_.size();
  }
  std::vector<std::string> messages() const {
    const std::lock_guard lock(mutex_);
    return messages_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> messages_;
};

// A listener whose queue is full, so that it leaves a SYN without an answer.
class BlackHole {
 public:
  BlackHole() : listener_(0) {
    for (int& fd : fillers_) {
      fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      const int connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&listener_.address()),
                                      sizeof listener_.address());
      if (connected != 0 && errno != EINPROGRESS) std::abort();
    }
  }
  BlackHole(const BlackHole&) = delete;
  BlackHole& operator=(const BlackHole&) = delete;
  ~BlackHole() {
    for (const int fd : fillers_) ::close(fd);
  }
  std::string Host() const { return listener_.Host(); }

 private:
  Listener listener_;
  std::array<int, 4> fillers_;
};

// With SIGPIPE doing what it does where nobody changed it: cpp-httplib's servers do.
class DefaultSigpipe {
 public:
  DefaultSigpipe() : before_(std::signal(SIGPIPE, SIG_DFL)) {}
  DefaultSigpipe(const DefaultSigpipe&) = delete;
  DefaultSigpipe& operator=(const DefaultSigpipe&) = delete;
  ~DefaultSigpipe() { std::signal(SIGPIPE, before_); }

 private:
  void (*before_)(int);
};

inline constexpr std::string_view kBusy =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
inline constexpr std::string_view kHello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

// Keeps what it is sent, and answers hello to each request.
inline FaultServer::Script Greets(Recorder& asked) {
  return [&asked](const Peer& peer) {
    for (std::string message = peer.ReadMessage(); !message.empty(); message = peer.ReadMessage()) {
      asked.Add(std::move(message));
      if (!peer.Write(kHello)) return;
    }
  };
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_FAULT_SERVER_H_
