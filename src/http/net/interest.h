// What a descriptor is waited for, and what it was found ready for.
#ifndef HOLDFAST_SRC_HTTP_NET_INTEREST_H_
#define HOLDFAST_SRC_HTTP_NET_INTEREST_H_

#include "src/http/net/stream.h"

namespace holdfast::http::internal {

struct Interest {
  bool read = false;
  bool write = false;

  // None for a state in which an operation waits for nothing.
  static Interest Of(IoState state) {
    return {.read = state == IoState::kWaitRead, .write = state == IoState::kWaitWrite};
  }
  bool any() const { return read || write; }
  Interest operator|(Interest other) const {
    return {.read = read || other.read, .write = write || other.write};
  }
  Interest operator&(Interest other) const {
    return {.read = read && other.read, .write = write && other.write};
  }
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_INTEREST_H_
