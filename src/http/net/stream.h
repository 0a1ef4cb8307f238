// A connected stream of bytes whose operations never block.
#ifndef HOLDFAST_SRC_HTTP_NET_STREAM_H_
#define HOLDFAST_SRC_HTTP_NET_STREAM_H_

#include <absl/status/status.h>

#include <cstddef>
#include <span>
#include <string_view>

namespace holdfast::http::internal {

// How an operation ended. One that did not get on says what its caller waits for before it tries
// again; TLS may have to write in order to read, and to read in order to write.
enum class IoState : signed char {
  kDone,       // at least one byte was moved, or a step without bytes is over
  kWaitRead,   // nothing was: until the descriptor can be read
  kWaitWrite,  // nothing was: until it can be written
  kEnd,        // of a read: the peer sends no more, and said so (FIN; with TLS close_notify)
  kLost,       // the connection is of no use any more
};

struct IoResult {
  IoState state = IoState::kDone;
  std::size_t bytes = 0;  // of kDone
  int error = 0;          // of kLost: errno, or 0 where TLS failed or was cut without close_notify
};

// One thread at a time. The destructor closes the descriptor and says nothing to the peer.
class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  virtual ~Stream() = default;

  // `room` is not empty.
  virtual IoResult Read(std::span<char> room) = 0;

  // Writes the parts in order, as one sequence of bytes that is not empty; it may take only the
  // beginning. After kWaitRead or kWaitWrite the next Write begins with the same bytes.
  virtual IoResult Write(std::span<const std::string_view> parts) = 0;

  // Open with nothing to read: what comes unasked is the peer's farewell, or belongs to no request.
  virtual bool Quiet() = 0;

  // Whether a Read finds bytes though the descriptor may have none: TLS reads whole records.
  virtual bool HasBuffered() const { return false; }

  // Why an operation was kLost, where more is known than its errno; OK: it is not.
  virtual absl::Status failure() const { return absl::OkStatus(); }

  // Tells the peer that nothing more is sent, as far as that goes without blocking.
  virtual void Finish() noexcept = 0;

  virtual int descriptor() const = 0;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_STREAM_H_
