#include "src/metrics_http/server_loop.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/base/time.h"
#include "src/http/net/tcp_stream.h"

namespace holdfast::internal {
namespace {

using http::internal::Interest;
using http::internal::WaitEnd;

// Where the process has no descriptor left, the socket stays ready and its connections wait.
constexpr std::chrono::milliseconds kPause{100};
constexpr std::chrono::milliseconds kDrainTime{500};

Interest ReadyFor(const pollfd& polled) {
  const bool failed = (polled.revents & (POLLERR | POLLHUP)) != 0;
  return {.read = (polled.events & POLLIN) != 0 && (failed || (polled.revents & POLLIN) != 0),
          .write = (polled.events & POLLOUT) != 0 && (failed || (polled.revents & POLLOUT) != 0)};
}

// As much as the kernel takes at once.
void Refuse(http::internal::Descriptor socket) {
  const ServerResponse response = SentenceResponse(503, "there are too many connections");
  const std::string head = HeadOf(response, /*to_head=*/false, /*close=*/true);
  http::internal::TcpStream stream(std::move(socket));
  const std::array<std::string_view, 2> parts = {head, *response.body};
  stream.Write(parts);
  stream.Finish();
}

}  // namespace

ServerLoop::ServerLoop(const MetricsServerOptions& options, ServerSite& site, Listening listening)
    : options_(options), site_(site), listening_(std::move(listening)) {}

void ServerLoop::Run(const http::internal::StopSignal& stop) {
  while (!stop.stopped()) {
    bool served = false;
    try {
      served = Round(stop);
    } catch (...) {  // NOLINT(bugprone-empty-catch): no memory; it comes back
    }
    if (served) continue;
    http::internal::Wait(-1, {}, SaturatingAdd(ReadClock(nullptr), kPause), stop);
  }
  ::shutdown(listening_.socket.get(), SHUT_RDWR);  // a child of fork() may have it, too
  listening_.socket.Reset();
  try {
    Drain(SaturatingAdd(ReadClock(nullptr), kDrainTime));
  } catch (...) {  // NOLINT(bugprone-empty-catch): then they are closed at once
  }
  connections_.clear();
}

// False where it could not wait: no memory, for all that poll() says here.
bool ServerLoop::Round(const http::internal::StopSignal& stop) {
  std::vector<pollfd> polled = Polled();
  const auto outcome = http::internal::WaitAny(polled, NextTime(ReadClock(nullptr)), stop);
  if (outcome.end == WaitEnd::kFailed) return false;
  if (outcome.end == WaitEnd::kStopped) return true;
  Serve(polled);
  Tick(ReadClock(nullptr));
  DropClosed();
  return true;
}

std::vector<pollfd> ServerLoop::Polled() const {
  std::vector<pollfd> polled;
  polled.reserve(connections_.size() + 1);
  for (const ServerConnection& connection : connections_) {
    const Interest interest = connection.interest();
    const int events = (interest.read ? POLLIN : 0) | (interest.write ? POLLOUT : 0);
    polled.push_back({.fd = connection.descriptor(),
                      .events = static_cast<short>(events),  // NOLINT(google-runtime-int)
                      .revents = 0});
  }
  const bool accepts = listening_.socket && ReadClock(nullptr) >= accepts_from_;
  polled.push_back({.fd = accepts ? listening_.socket.get() : -1, .events = POLLIN, .revents = 0});
  return polled;
}

TimePoint ServerLoop::NextTime(TimePoint now) const {
  TimePoint next = site_.NextSample();
  if (accepts_from_ > now) next = std::min(next, accepts_from_);
  for (const ServerConnection& connection : connections_) {
    if (connection.has_buffered()) return now;
    next = std::min(next, connection.deadline());
    if (connection.streams()) next = std::min(next, next_stream_);
  }
  return next;
}

void ServerLoop::Serve(const std::vector<pollfd>& polled) {
  std::size_t at = 0;
  for (ServerConnection& connection : connections_) {
    const Interest ready = ReadyFor(polled[at++]);
    const TimePoint now = ReadClock(nullptr);  // the ones before may have taken long
    try {
      connection.Advance(now, ready,
                         [this](const auto& request) { return site_.Answer(request, Streams()); });
      connection.Expire(now);
    } catch (...) {
      connection.Close();
    }
  }
  if ((polled.back().revents & POLLIN) != 0) Accept(ReadClock(nullptr));
}

// One at a time: those that are served already are not to wait for a crowd.
void ServerLoop::Accept(TimePoint now) {
  Accepted accepted = AcceptFrom(listening_.socket.get());
  if (!accepted.socket) {
    const bool none_left = accepted.error == EMFILE || accepted.error == ENFILE ||
                           accepted.error == ENOBUFS || accepted.error == ENOMEM;
    if (none_left) accepts_from_ = SaturatingAdd(now, kPause);
    return;
  }
  if (!MakeRoom()) return Refuse(std::move(accepted.socket));
  connections_.emplace_back(
      std::move(accepted.socket), options_.max_request,
      ServerConnection::Times{.read = options_.read_timeout, .write = options_.write_timeout}, now);
}

bool ServerLoop::MakeRoom() {
  DropClosed();
  if (connections_.size() < static_cast<std::size_t>(options_.max_connections)) return true;
  auto oldest = connections_.end();
  for (auto each = connections_.begin(); each != connections_.end(); ++each) {
    if (!each->replaceable() || each->has_buffered()) continue;
    if (oldest == connections_.end() || each->since() < oldest->since()) oldest = each;
  }
  if (oldest == connections_.end()) return false;
  connections_.erase(oldest);
  return true;
}

void ServerLoop::Tick(TimePoint now) {
  site_.Sample(now);
  if (now < next_stream_ || Streams() == 0) return;
  next_stream_ = SaturatingAdd(now, options_.refresh);
  const SharedText text = site_.StreamText();
  for (ServerConnection& connection : connections_) connection.Offer(text, now);
}

// What the responses that are on their way still need.
void ServerLoop::Drain(TimePoint until) {
  for (ServerConnection& connection : connections_) connection.Stop();
  DropClosed();
  while (!connections_.empty()) {
    std::vector<pollfd> polled = Polled();
    const auto outcome = http::internal::WaitAny(polled, until, http::internal::StopSignal());
    const TimePoint now = ReadClock(nullptr);
    if (outcome.end != WaitEnd::kReady || now >= until) return;
    std::size_t at = 0;
    for (ServerConnection& connection : connections_) {
      connection.Advance(now, ReadyFor(polled[at++]), nullptr);
      if (!connection.writes()) connection.Close();
    }
    DropClosed();
  }
}

void ServerLoop::DropClosed() {
  connections_.remove_if([](const ServerConnection& connection) { return connection.closed(); });
}

std::size_t ServerLoop::Streams() const {
  return static_cast<std::size_t>(std::ranges::count_if(
      connections_, [](const ServerConnection& connection) { return connection.streams(); }));
}

}  // namespace holdfast::internal
