// What a system call on a socket that does not block may answer.
#ifndef HOLDFAST_SRC_HTTP_NET_SYSTEM_CALL_H_
#define HOLDFAST_SRC_HTTP_NET_SYSTEM_CALL_H_

#include <sys/types.h>

#include <cerrno>

namespace holdfast::http::internal {

inline bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

// Calls `operation` until no signal interrupts it.
template <class F>
ssize_t Uninterrupted(const F& operation) {
  for (;;) {
    const ssize_t result = operation();
    if (result >= 0 || errno != EINTR) return result;
  }
}

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_SYSTEM_CALL_H_
