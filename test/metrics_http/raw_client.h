#ifndef HOLDFAST_TEST_METRICS_HTTP_RAW_CLIENT_H_
#define HOLDFAST_TEST_METRICS_HTTP_RAW_CLIENT_H_

// A connection on which a test says what it wants, and reads responses.

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace holdfast::test {

struct RawResponse {
  int status = 0;  // 0: the connection ended, or nothing came for ten seconds
  std::string head;
  std::string body;

  // The value of a field; empty if there is none.
  std::string Field(std::string_view name) const {
    const std::size_t at = head.find("\r\n" + std::string(name) + ": ");
    if (at == std::string::npos) return "";
    const std::size_t begin = at + 2 + name.size() + 2;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

class RawClient {
 public:
  // `receive_buffer`: of the kernel, in bytes; 0: as it likes.
  explicit RawClient(int port, int receive_buffer = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer > 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { ::close(fd_); }

  bool connected() const { return connected_; }

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void FinishSending() { ::shutdown(fd_, SHUT_WR); }

  // One response to a request with that method.
  RawResponse Read(std::string_view method = "GET") {
    RawResponse response;
    while (buffer_.find("\r\n\r\n") == std::string::npos) {
      if (!ReadMore()) return response;
    }
    const std::size_t end = buffer_.find("\r\n\r\n") + 4;
    response.head = buffer_.substr(0, end);
    buffer_.erase(0, end);
    response.status = std::atoi(response.head.c_str() + 9);
    const std::string length = response.Field("Content-Length");
    if (method == "HEAD" || length.empty()) return response;
    const auto size = static_cast<std::size_t>(std::atoll(length.c_str()));
    while (buffer_.size() < size && ReadMore()) {
    }
    response.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return response;
  }

  // Up to the empty line that ends a server-sent event; empty: the stream ended.
  std::string ReadEvent() {
    while (buffer_.find("\n\n") == std::string::npos) {
      if (!ReadMore()) return "";
    }
    const std::size_t end = buffer_.find("\n\n") + 2;
    std::string event = buffer_.substr(0, end);
    buffer_.erase(0, end);
    return event;
  }

  // Whether the server ends the connection, within ten seconds.
  bool Ended() {
    while (ReadMore()) {
    }
    return ended_;
  }

  RawResponse Get(std::string_view target, std::string_view fields = "") {
    Send("GET " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields) +
         "\r\n");
    return Read();
  }

 private:
  bool ReadMore() {
    constexpr int kPatience = 10'000;  // ms, for what is stuck
    pollfd polled = {.fd = fd_, .events = POLLIN, .revents = 0};
    if (::poll(&polled, 1, kPatience) <= 0) return false;
    std::array<char, 65536> bytes;
    const ssize_t size = ::recv(fd_, bytes.data(), bytes.size(), 0);
    ended_ = size <= 0;
    if (ended_) return false;
    buffer_.append(bytes.data(), static_cast<std::size_t>(size));
    return true;
  }

  int fd_;
  bool connected_ = false;
  bool ended_ = false;
  std::string buffer_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_METRICS_HTTP_RAW_CLIENT_H_
