// How a thread waits for descriptors, a time and a stop request at once.
#ifndef HOLDFAST_SRC_HTTP_NET_WAITING_H_
#define HOLDFAST_SRC_HTTP_NET_WAITING_H_

#include <absl/status/status.h>
#include <poll.h>

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>

#include "holdfast/base/time.h"
#include "src/http/net/descriptor.h"
#include "src/http/net/interest.h"

namespace holdfast::http::internal {

// Has waits end once a stop is requested: one for all waits of a call. It has a descriptor of its
// own, which a callback of the token makes readable, and which stays so; none where the token can't
// be stopped. The thread that requests the stop never blocks.
//
// A child of fork() has a copy of the descriptor, and maybe of the token. A stop that it requests
// is no stop in its parent.
class StopSignal {
 public:
  StopSignal() = default;  // never
  explicit StopSignal(std::stop_token stop);
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  // kResourceExhausted where the process has no descriptor left: a wait would not notice a stop.
  absl::Status status() const;

  const std::stop_token& token() const { return stop_; }
  bool stopped() const { return stop_.stop_requested(); }
  int descriptor() const { return event_.get(); }  // readable once stopped; -1: none

 private:
  struct Raise {
    int event;
    std::uint32_t generation;  // of the process that made it
    void operator()() const noexcept;
  };

  std::stop_token stop_;
  int error_ = 0;  // why there is no descriptor
  Descriptor event_;
  std::optional<std::stop_callback<Raise>> raise_;  // after what it writes to
};

enum class WaitEnd : signed char {
  kReady,    // a descriptor is, or has failed: the operation will say
  kTimeUp,   // not before the time on the steady clock
  kStopped,  // comes before kReady
  kFailed,   // the system can't wait, or a descriptor is none
};

struct WaitOutcome {
  WaitEnd end = WaitEnd::kTimeUp;
  Interest ready = {};  // of Wait, and of kReady: some of what it was asked for
  int error = 0;        // errno of kFailed
};

// Waits until `descriptor` is ready for some of `interest`, until that time (max: no time) or until
// a stop. What is ready when the time has passed is found still. Without an interest, or with -1,
// only the time and the stop end it. However often signals interrupt it, it ends at its time.
WaitOutcome Wait(int descriptor, Interest interest, TimePoint until, const StopSignal& stop);

// The same for any of several; `revents` says of which, and for what (as poll() does).
WaitOutcome WaitAny(std::span<pollfd> descriptors, TimePoint until, const StopSignal& stop);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_WAITING_H_
