// Which time limit of an exchange comes next: without a clock and without I/O.
#ifndef HOLDFAST_SRC_HTTP_NET_PACE_H_
#define HOLDFAST_SRC_HTTP_NET_PACE_H_

#include <algorithm>
#include <optional>

#include "holdfast/base/time.h"

namespace holdfast::http::internal {

// Why a driver has ended an exchange.
enum class DriveEnd : signed char {
  kDone,          // the protocol says so
  kClosed,        // nothing more can be moved, and the protocol does not say that it is done
  kDeadline,      // of the whole
  kReadTimeout,   // nothing came
  kWriteTimeout,  // nothing could be written, and nothing came
  kStopped,       // by the stop token
  kFailed,        // the system can't wait
};

// The deadline is on the steady clock; max: none.
struct DriveLimits {
  TimePoint deadline = TimePoint::max();
  // Between two steps while nothing is to be written.
  Duration read_timeout = Duration::max();
  // The same while something is. A byte in either direction is a step: a peer may well finish its
  // answer before it reads on.
  Duration write_timeout = Duration::max();
  // How long a body is held back for a peer that does not ask for it.
  Duration continue_timeout = Duration::max();
};

// A value. One that has not begun a step has the deadline only.
class Pace {
 public:
  explicit Pace(const DriveLimits& limits) : limits_(limits) {}

  // A byte was moved, or what is waited for has changed. `writes`: something is to be written.
  void Begin(TimePoint now, bool writes) {
    writes_ = writes;
    step_ends_ = SaturatingAdd(now, writes ? limits_.write_timeout : limits_.read_timeout);
  }

  TimePoint until() const { return std::min(limits_.deadline, step_ends_); }

  // The limit that has passed, the earlier of two.
  std::optional<DriveEnd> Over(TimePoint now) const {
    if (now < until()) return std::nullopt;
    if (limits_.deadline <= step_ends_) return DriveEnd::kDeadline;
    return writes_ ? DriveEnd::kWriteTimeout : DriveEnd::kReadTimeout;
  }

 private:
  DriveLimits limits_;
  TimePoint step_ends_ = TimePoint::max();
  bool writes_ = false;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_PACE_H_
