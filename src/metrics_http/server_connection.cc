#include "src/metrics_http/server_connection.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <span>
#include <utility>

namespace holdfast::internal {
namespace {

using http::internal::Interest;
using http::internal::IoResult;
using http::internal::IoState;
using http::wire::Event;

constexpr std::chrono::seconds kLinger{1};

// A body is none of what is answered, so it is not read; a longer one is refused by its length.
http::wire::Limits LimitsOf(std::size_t max_request) {
  return {.head = max_request, .fields = 100, .body = std::size_t{1} << 20};
}

bool HasBody(const http::wire::RequestReader& request) {
  using http::wire::Framing;
  return request.framing() == Framing::kChunked ||
         (request.framing() == Framing::kLength && request.length() > 0);
}

ServerResponse WithoutBody(ServerResponse response) {
  if (response.status >= 400) return response;
  return SentenceResponse(400, "requests have no body here");
}

}  // namespace

ServerConnection::ServerConnection(http::internal::Descriptor socket, std::size_t max_request,
                                   Times times, TimePoint now)
    : times_(times),
      stream_(std::move(socket)),
      reader_(LimitsOf(max_request)),
      input_(kReadAtOnce, '\0') {
  WaitForRequest(now);
}

Interest ServerConnection::interest() const {
  const bool pending = !head_.empty() || body_ != nullptr;
  switch (state_) {
    case State::kReading:
    case State::kLingering:
      return {.read = true};
    case State::kWriting:
      return {.write = true};
    case State::kStreaming:
      return {.read = true, .write = pending};
    case State::kClosed:
      break;
  }
  return {};
}

void ServerConnection::Advance(TimePoint now, Interest ready, const Answer& answer) {
  if (state_ == State::kReading && (has_buffered() || ready.read)) Read(now, answer);
  if (state_ == State::kStreaming && ready.read) DropInput();
  if (state_ == State::kWriting || (state_ == State::kStreaming && ready.write)) Write(now);
  if (state_ == State::kLingering && ready.read) DropInput();
}

void ServerConnection::Expire(TimePoint now) {
  if (now < deadline_ || closed()) return;
  if (state_ == State::kReading && reader_.begun()) {
    Respond(SentenceResponse(408, "the request took too long"), {.close = true}, now);
  } else {
    Close();
  }
}

bool ServerConnection::FillBuffer() {
  const IoResult result = stream_.Read({input_.data(), input_.size()});
  if (result.state == IoState::kEnd || result.state == IoState::kLost) Close();
  if (result.state != IoState::kDone) return false;
  begin_ = 0;
  end_ = result.bytes;
  return true;
}

void ServerConnection::Read(TimePoint now, const Answer& answer) {
  if (!has_buffered() && !FillBuffer()) return;
  std::string_view bytes(input_.data() + begin_, end_ - begin_);
  const Event event = reader_.Next(bytes);
  begin_ = end_ - bytes.size();
  if (event == Event::kNeedMore) return;
  if (event == Event::kFault) {
    return Respond(SentenceResponse(reader_.fault().status, reader_.fault().text), {.close = true},
                   now);
  }
  ServerResponse response = answer(reader_);
  now = ReadClock(nullptr);  // what takes long to make has all of its time to be sent
  const bool to_head = reader_.method() == "HEAD";
  if (HasBody(reader_)) {
    return Respond(WithoutBody(std::move(response)), {.to_head = to_head, .close = true}, now);
  }
  const bool keeps = reader_.keeps_alive();
  reader_.Next(bytes);  // without a body the end is there with the head
  begin_ = end_ - bytes.size();
  Respond(std::move(response), {.to_head = to_head, .close = !keeps}, now);
}

void ServerConnection::Respond(ServerResponse response, Kind kind, TimePoint now) {
  closes_ = kind.close || (response.stream && kind.to_head);
  becomes_stream_ = response.stream && !kind.to_head;
  head_ = HeadOf(response, kind.to_head, closes_);
  body_ = kind.to_head || response.status == 204 ? nullptr : std::move(response.body);
  written_ = 0;
  state_ = State::kWriting;
  deadline_ = SaturatingAdd(now, times_.write);
}

void ServerConnection::Write(TimePoint now) {
  for (;;) {
    std::string_view head = head_;
    std::string_view body = body_ == nullptr ? std::string_view() : std::string_view(*body_);
    const std::size_t of_head = std::min(written_, head.size());
    head.remove_prefix(of_head);
    body.remove_prefix(written_ - of_head);
    if (head.empty() && body.empty()) return Written(now);
    const std::array<std::string_view, 2> parts = {head, body};
    const IoResult result = stream_.Write(parts);
    if (result.state == IoState::kWaitWrite) return;
    if (result.state != IoState::kDone) return Close();
    written_ += result.bytes;
  }
}

void ServerConnection::Written(TimePoint now) {
  head_.clear();
  body_ = nullptr;
  written_ = 0;
  if (state_ == State::kStreaming || becomes_stream_) {
    state_ = State::kStreaming;
    deadline_ = TimePoint::max();
  } else if (closes_) {
    stream_.Finish();
    state_ = State::kLingering;
    since_ = now;
    deadline_ = SaturatingAdd(now, kLinger);
  } else {
    WaitForRequest(now);
  }
}

void ServerConnection::Offer(const SharedText& text, TimePoint now) {
  if (state_ != State::kStreaming || body_ != nullptr) return;
  body_ = text;
  deadline_ = SaturatingAdd(now, times_.write);
  Write(now);
}

// One read, so that a client that sends without end does not hold the thread.
void ServerConnection::DropInput() {
  FillBuffer();
  begin_ = end_ = 0;
}

void ServerConnection::Stop() {
  if (state_ == State::kWriting && !becomes_stream_) {
    closes_ = true;
    return;
  }
  stream_.Finish();  // a child of fork() may have the socket, too
  Close();
}

void ServerConnection::WaitForRequest(TimePoint now) {
  state_ = State::kReading;
  since_ = now;
  deadline_ = SaturatingAdd(now, times_.read);
}

}  // namespace holdfast::internal
