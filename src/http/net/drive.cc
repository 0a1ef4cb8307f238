#include "src/http/net/drive.h"

#include <array>

namespace holdfast::http::internal {

DriveResult DriveDuplex(Stream& stream, Duplex& protocol, const DriveLimits& limits,
                        const StopSignal& stop) {
  std::array<char, Mover::kRoom> room;  // the kernel fills what is used of it
  Mover mover(stream, protocol, limits);
  for (;;) {
    const TimePoint now = holdfast::internal::ReadClock(nullptr);
    switch (mover.Turn(now, stop.stopped(), room)) {
      case Mover::Next::kAgain:
        continue;
      case Mover::Next::kOver:
        return mover.result();
      case Mover::Next::kWait:
        break;
    }
    const WaitOutcome outcome = Wait(stream.descriptor(), mover.interest(), mover.until(), stop);
    if (outcome.end == WaitEnd::kFailed) return Mover::CantWait(outcome.error);
    if (outcome.end == WaitEnd::kReady) mover.Ready(outcome.ready);
    // Turn will say which time has come, and whether it is stopped.
  }
}

}  // namespace holdfast::http::internal
