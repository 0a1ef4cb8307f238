#include "src/http/net/drive.h"

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ReadClock;

// As large as a record of TLS, and a quarter of the smallest stack that a thread may have.
constexpr std::size_t kRoom = std::size_t{16} << 10;

class Driver {
 public:
  Driver(Stream& stream, Duplex& protocol, const DriveLimits& limits, const StopSignal& stop)
      : stream_(stream), stop_(stop), steps_(protocol, limits), read_now_(stream.HasBuffered()) {}

  DriveResult Run();

 private:
  void Write();
  void Read(std::span<char> room);
  std::optional<DriveResult> AwaitReady();

  DriveResult Over(DriveEnd end) const { return {.end = end, .error = steps_.error()}; }
  bool can_write_now() const { return write_now_ && steps_.wants_write(); }
  bool can_read_now() const { return read_now_ && steps_.reads(); }

  Stream& stream_;
  const StopSignal& stop_;
  Steps steps_;

  // Whether an operation is tried before the wait, and what it waits for if not. The kernel takes
  // a write more often than not. A read finds nothing right after a request was written, and
  // nothing more after one that did not fill its room; asking the kernel would be a call wasted.
  bool write_now_ = true;
  bool read_now_;
  IoState write_awaits_ = IoState::kWaitWrite;
  IoState read_awaits_ = IoState::kWaitRead;
};

DriveResult Driver::Run() {
  std::array<char, kRoom> room;  // the kernel fills what is used of it
  for (;;) {
    const TimePoint now = ReadClock(nullptr);
    if (const auto end = steps_.Look(now)) return Over(*end);
    if (stop_.stopped()) return Over(DriveEnd::kStopped);
    if (steps_.body_due(now)) {
      steps_.SendBody();
    } else if (can_write_now() || can_read_now()) {
      if (can_write_now()) Write();
      if (!steps_.done() && can_read_now()) Read(room);
    } else if (const auto ended = AwaitReady()) {
      return *ended;
    }
  }
}

void Driver::Write() {
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

void Driver::Read(std::span<char> room) {
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

// Nothing where the exchange goes on: something is ready, or Look will say which time has come.
std::optional<DriveResult> Driver::AwaitReady() {
  Interest interest;
  if (steps_.reads()) interest = Interest::Of(read_awaits_);
  const bool writes = steps_.wants_write();
  if (writes) interest = interest | Interest::Of(write_awaits_);
  const WaitOutcome outcome = Wait(stream_.descriptor(), interest, steps_.until(), stop_);
  switch (outcome.end) {
    case WaitEnd::kReady:
      if (steps_.reads()) read_now_ = (outcome.ready & Interest::Of(read_awaits_)).any();
      if (writes) write_now_ = (outcome.ready & Interest::Of(write_awaits_)).any();
      return std::nullopt;
    case WaitEnd::kTimeUp:
      return std::nullopt;
    case WaitEnd::kStopped:
      return Over(DriveEnd::kStopped);
    case WaitEnd::kFailed:
      break;
  }
  return DriveResult{.end = DriveEnd::kFailed, .error = outcome.error};
}

}  // namespace

DriveResult DriveDuplex(Stream& stream, Duplex& protocol, const DriveLimits& limits,
                        const StopSignal& stop) {
  return Driver(stream, protocol, limits, stop).Run();
}

}  // namespace holdfast::http::internal
