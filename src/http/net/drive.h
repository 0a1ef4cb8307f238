// The blocking driver: one thread moves a protocol's bytes both ways over a stream, and waits.
#ifndef HOLDFAST_SRC_HTTP_NET_DRIVE_H_
#define HOLDFAST_SRC_HTTP_NET_DRIVE_H_

#include "src/http/net/mover.h"
#include "src/http/net/steps.h"
#include "src/http/net/stream.h"
#include "src/http/net/waiting.h"

namespace holdfast::http::internal {

// Until the protocol is done, a limit has passed or a stop is requested. What is ready is not
// waited for. It reads while it writes, so that an early answer is seen while a body is sent, and
// goes on reading after a write has failed: an answer may have come before. With a deadline that
// has passed, or with a stop before it, it asks for nothing to write and moves nothing. It may be
// called again for a protocol that is not done. Needs 20 KiB of stack beside what the protocol and
// the stream need.
DriveResult DriveDuplex(Stream& stream, Duplex& protocol, const DriveLimits& limits,
                        const StopSignal& stop);

template <DuplexProtocol P>
DriveResult Drive(Stream& stream, P& protocol, const DriveLimits& limits, const StopSignal& stop) {
  DuplexOf<P> duplex(protocol);
  return DriveDuplex(stream, duplex, limits, stop);
}

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_DRIVE_H_
