#include "src/http/net/mover.h"

#include <optional>
#include <string_view>

namespace holdfast::http::internal {

Mover::Next Mover::Turn(TimePoint now, bool stopped, std::span<char> room) {
  if (const auto end = steps_.Look(now)) return Over(*end);
  if (stopped) return Over(DriveEnd::kStopped);
  if (steps_.takes_more()) {
    steps_.TakeMore();
    return Next::kAgain;
  }
  if (steps_.body_due(now)) {
    steps_.SendBody();
    return Next::kAgain;
  }
  if (!can_write_now() && !can_read_now()) return Next::kWait;
  if (can_write_now()) Write();
  if (!steps_.done() && can_read_now()) Read(room);
  // Then the time does not matter any more.
  return steps_.done() ? Over(DriveEnd::kDone) : Next::kAgain;
}

void Mover::Write() {
  const std::span<const std::string_view> parts = steps_.BeginWrite();
  if (parts.empty()) return;
  const IoResult result = stream_.Write(parts);
  steps_.Wrote(result);
  if (result.state == IoState::kWaitRead || result.state == IoState::kWaitWrite) {
    write_now_ = false;
    write_awaits_ = result.state;
    return;
  }
  // A peer may answer early while there is always room for more.
  if (steps_.wants_write() || read_awaits_ == IoState::kWaitWrite) read_now_ = true;
}

void Mover::Read(std::span<char> room) {
  const IoResult result = stream_.Read(room);
  switch (result.state) {
    case IoState::kWaitRead:
    case IoState::kWaitWrite:
      read_now_ = false;
      read_awaits_ = result.state;
      break;
    case IoState::kDone:
      read_now_ = result.bytes == 0 || result.bytes == room.size() || stream_.HasBuffered();
      break;
    case IoState::kEnd:
    case IoState::kLost:
      break;
  }
  // It may have taken what the write waits for.
  if (write_awaits_ == IoState::kWaitRead) write_now_ = true;
  steps_.Read(result, std::string_view(room.data(), result.bytes));
}

Interest Mover::interest() const {
  Interest interest;
  if (steps_.reads()) interest = Interest::Of(read_awaits_);
  if (steps_.wants_write()) interest = interest | Interest::Of(write_awaits_);
  return interest;
}

void Mover::Ready(Interest ready) {
  if (steps_.reads() && (ready & Interest::Of(read_awaits_)).any()) read_now_ = true;
  if (steps_.wants_write() && (ready & Interest::Of(write_awaits_)).any()) write_now_ = true;
}

}  // namespace holdfast::http::internal
