// A server that does what a script of bytes says: see ScriptedServer.
#ifndef HOLDFAST_TEST_FUZZ_SCRIPTED_SERVER_H_
#define HOLDFAST_TEST_FUZZ_SCRIPTED_SERVER_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "holdfast/http/wire/reader.h"
#include "src/http/net/descriptor.h"

namespace holdfast::fuzz {

inline void Require(bool truth) {
  if (!truth) __builtin_trap();
}

// One connection after the other, each to the end that the script gives it. A step is one byte:
//   r, h      reads a request; reads the head of one
//   a         writes an answer with the body "hello"
//   w         writes what follows in the script, up to a byte 0xff
//   c, x, f   closes the connection; resets it; sends nothing more over it
//   z         says nothing until the client is gone, if the server may be silent
// Others mean nothing. After the last step it closes what it has, and whatever else connects. A
// client that sends nothing for some time while it is read from is given up as well, since it may
// be waiting for an answer.
class ScriptedServer {
 public:
  // How often the head of a request was read, by the request's target.
  using Heads = std::map<std::string, int>;

  ScriptedServer() {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    Require(::bind(listener_.get(), any, size) == 0 && ::listen(listener_.get(), 64) == 0 &&
            ::getsockname(listener_.get(), any, &size) == 0);
    port_ = ntohs(address.sin_port);
    std::thread([this] { Serve(); }).detach();
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  std::string Url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  void Begin(std::string_view script, bool may_be_silent) {
    const std::lock_guard lock(mutex_);
    script_ = script;
    may_be_silent_ = may_be_silent;
    heads_.clear();
    serving_ = true;
    changed_.notify_all();
  }

  // Cuts the script and all connections short.
  Heads End() {
    const std::uint64_t one = 1;
    Require(::write(over_.get(), &one, sizeof one) == sizeof one);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !serving_; });
    return heads_;
  }

 private:
  using Descriptor = http::internal::Descriptor;
  using Event = http::wire::Event;

  static constexpr int kPatience = 2;  // ms

  [[noreturn]] void Serve() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return serving_; });
      while (!script_.empty() && Connected()) Step();
      Close();
      while (Connected()) Close();
      while (Accept()) Close();  // of those that came before the end
      std::uint64_t count = 0;
      Require(::read(over_.get(), &count, sizeof count) == sizeof count);
      serving_ = false;
      changed_.notify_all();
    }
  }

  void Step() {
    const char step = script_.front();
    script_.remove_prefix(1);
    switch (step) {
      case 'r':
        return ReadUntil(Event::kEnd);
      case 'h':
        return ReadUntil(Event::kHead);
      case 'a':
        return Write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
      case 'w': {
        const std::string_view text = script_.substr(0, script_.find('\xff'));
        script_.remove_prefix(std::min(text.size() + 1, script_.size()));
        return Write(text);
      }
      case 'c':
        return Close();
      case 'x':
        return Reset();
      case 'f':
        ::shutdown(connection_.get(), SHUT_WR);
        return;
      case 'z':
        if (!may_be_silent_) return;
        Wait(POLLRDHUP, -1);
        return Close();
      default:
        return;
    }
  }

  // Waits for a client where there is none. False: there is to be none any more.
  bool Connected() {
    if (connection_) return true;
    std::array<pollfd, 2> events = {{{.fd = over_.get(), .events = POLLIN, .revents = 0},
                                     {.fd = listener_.get(), .events = POLLIN, .revents = 0}}};
    Require(::poll(events.data(), events.size(), -1) > 0);
    return events[0].revents == 0 && Accept();
  }

  bool Accept() {
    connection_.Reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    reader_.emplace();
    begin_ = end_ = 0;
    return static_cast<bool>(connection_);
  }

  void Close() { connection_.Reset(); }

  void Reset() {
    const linger now = {.l_onoff = 1, .l_linger = 0};
    ::setsockopt(connection_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    Close();
  }

  // Whether `event` came of the connection, before the time and the end.
  bool Wait(short event, int milliseconds) {
    std::array<pollfd, 2> events = {{{.fd = over_.get(), .events = POLLIN, .revents = 0},
                                     {.fd = connection_.get(), .events = event, .revents = 0}}};
    return ::poll(events.data(), events.size(), milliseconds) > 0 && events[0].revents == 0;
  }

  void ReadUntil(Event wanted) {
    for (;;) {
      std::string_view bytes(buffer_.data() + begin_, end_ - begin_);
      const Event event = reader_->Next(bytes);
      begin_ = end_ - bytes.size();
      Require(event != Event::kFault);  // whatever a client is told, it sends requests
      if (event == Event::kHead) ++heads_[std::string(reader_->target())];
      if (event == wanted || event == Event::kEnd) return;
      if (event != Event::kNeedMore) continue;
      if (!Wait(POLLIN, kPatience)) return Close();
      const ssize_t got = ::recv(connection_.get(), buffer_.data(), buffer_.size(), 0);
      if (got <= 0) return Close();
      begin_ = 0;
      end_ = static_cast<std::size_t>(got);
    }
  }

  void Write(std::string_view text) {
    const ssize_t wrote = ::send(connection_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    if (wrote != static_cast<ssize_t>(text.size())) Close();
  }

  const Descriptor listener_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  const Descriptor over_{::eventfd(0, EFD_CLOEXEC)};
  int port_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool serving_ = false;
  std::string_view script_;
  bool may_be_silent_ = false;
  Heads heads_;

  Descriptor connection_;
  std::optional<http::wire::RequestReader> reader_;
  std::array<char, 65'536> buffer_;
  std::size_t begin_ = 0;  // of what was received and is not read
  std::size_t end_ = 0;
};

}  // namespace holdfast::fuzz

#endif  // HOLDFAST_TEST_FUZZ_SCRIPTED_SERVER_H_
