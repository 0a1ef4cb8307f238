// Moves a protocol's bytes both ways over a stream as far as that goes without waiting: what the
// blocking and the asynchronous driver have in common.
#ifndef HOLDFAST_SRC_HTTP_NET_MOVER_H_
#define HOLDFAST_SRC_HTTP_NET_MOVER_H_

#include <cstddef>
#include <span>

#include "holdfast/base/time.h"
#include "src/http/net/interest.h"
#include "src/http/net/steps.h"
#include "src/http/net/stream.h"

namespace holdfast::http::internal {

struct DriveResult {
  DriveEnd end = DriveEnd::kDone;
  // errno with which the connection was lost or, of kFailed, could not be waited for.
  int error = 0;
};

// One thread at a time.
//
//   while (true) {
//     switch (mover.Turn(now, stopped, room)) {
//       case Mover::Next::kAgain: continue;
//       case Mover::Next::kOver: return mover.result();
//       case Mover::Next::kWait: // for interest(), until until(); Ready if that is what came
//     }
//   }
class Mover {
 public:
  // As large as a record of TLS, and a quarter of the smallest stack that a thread may have.
  static constexpr std::size_t kRoom = std::size_t{16} << 10;

  enum class Next : signed char { kAgain, kWait, kOver };

  // Both must outlive it.
  Mover(Stream& stream, Duplex& protocol, const DriveLimits& limits)
      : stream_(stream), steps_(protocol, limits), read_now_(stream.HasBuffered()) {}
  Mover(const Mover&) = delete;
  Mover& operator=(const Mover&) = delete;

  // At most one write and one read, with `room` for what is read, or one step of taking in more.
  // `stopped`: somebody wants no more of it. What a callback of the protocol throws passes through.
  Next Turn(TimePoint now, bool stopped, std::span<char> room);

  // After kWait. No interest: only a time or a stop ends the wait.
  Interest interest() const;
  TimePoint until() const { return steps_.until(); }
  // Some of that has come, maybe for a wait that began long before.
  void Ready(Interest ready);

  // After kOver.
  const DriveResult& result() const { return result_; }
  // The system can't wait; `error` is an errno.
  static DriveResult CantWait(int error) { return {.end = DriveEnd::kFailed, .error = error}; }

 private:
  Next Over(DriveEnd end) {
    result_ = {.end = end, .error = steps_.error()};
    return Next::kOver;
  }
  void Write();
  void Read(std::span<char> room);
  bool can_write_now() const { return write_now_ && steps_.wants_write(); }
  bool can_read_now() const { return read_now_ && steps_.reads(); }

  Stream& stream_;
  Steps steps_;
  DriveResult result_;

  // Whether an operation is tried before the wait, and what it waits for if not. The kernel takes
  // a write more often than not. A read finds nothing right after a request was written, and
  // nothing more after one that did not fill its room; asking the kernel would be a call wasted.
  bool write_now_ = true;
  bool read_now_;
  IoState write_awaits_ = IoState::kWaitWrite;
  IoState read_awaits_ = IoState::kWaitRead;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_MOVER_H_
