#include "src/http/net/tcp_stream.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>

#include "src/http/net/system_call.h"

namespace holdfast::http::internal {
namespace {

// A head and a chunk of a body with its frame are five.
constexpr std::size_t kParts = 16;

}  // namespace

TcpStream::TcpStream(Descriptor socket, std::optional<SocketList::Entry> listed)
    : listed_(std::move(listed)), socket_(std::move(socket)) {
  if (listed_) listed_->Set(socket_.get());
}

// EPIPE is said where the peer's farewell had come before it refused more, and where what happened
// was said before: what was read up to it is whole.
IoResult TcpStream::Lost(int error) {
  if (lost_ == 0 && error != EPIPE) lost_ = error;
  return {.state = IoState::kLost, .bytes = 0, .error = error};
}

IoResult TcpStream::Read(std::span<char> room) {
  const ssize_t size =
      Uninterrupted([&] { return ::recv(socket_.get(), room.data(), room.size(), MSG_DONTWAIT); });
  if (size > 0) {
    return {.state = IoState::kDone, .bytes = static_cast<std::size_t>(size), .error = 0};
  }
  if (size < 0 && WouldBlock(errno)) {
    return {.state = IoState::kWaitRead, .bytes = 0, .error = 0};
  }
  if (size < 0) return Lost(errno);
  if (lost_ != 0) return Lost(lost_);
  return {.state = IoState::kEnd, .bytes = 0, .error = 0};
}

IoResult TcpStream::Write(std::span<const std::string_view> parts) {
  std::array<iovec, kParts> bytes;
  msghdr message = {};
  message.msg_iov = bytes.data();
  for (const std::string_view part : parts) {
    if (part.empty()) continue;
    // The kernel does not change what it is given to write.
    bytes[message.msg_iovlen] = {.iov_base = const_cast<char*>(part.data()),
                                 .iov_len = part.size()};
    if (++message.msg_iovlen == kParts) break;
  }
  const ssize_t size = Uninterrupted(
      [&] { return ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT); });
  if (size >= 0) {
    return {.state = IoState::kDone, .bytes = static_cast<std::size_t>(size), .error = 0};
  }
  if (WouldBlock(errno)) return {.state = IoState::kWaitWrite, .bytes = 0, .error = 0};
  return Lost(errno);
}

bool TcpStream::Quiet() {
  char byte = 0;
  const ssize_t size =
      Uninterrupted([&] { return ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT); });
  if (size < 0 && !WouldBlock(errno)) Lost(errno);
  return size < 0 && WouldBlock(errno) && lost_ == 0;
}

void TcpStream::Finish() noexcept { ::shutdown(socket_.get(), SHUT_WR); }

std::pair<Descriptor, std::optional<SocketList::Entry>> TcpStream::Release() && {
  return {std::move(socket_), std::exchange(listed_, std::nullopt)};
}

}  // namespace holdfast::http::internal
