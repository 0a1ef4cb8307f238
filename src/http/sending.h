// One way of a request over one connection.
#ifndef HOLDFAST_SRC_HTTP_SENDING_H_
#define HOLDFAST_SRC_HTTP_SENDING_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "holdfast/base/time.h"
#include "holdfast/http/message.h"
#include "src/http/connection.h"
#include "src/http/exchange/exchange.h"
#include "src/http/net/waiting.h"
#include "src/http/pool.h"

namespace holdfast::http::internal {

// What bounds an exchange; the deadline is on the steady clock.
struct SendLimits {
  TimePoint deadline;
  const StopSignal& stop;
};

class Sending {
 public:
  // The pool has a route; `request` must stay as it is and where it is. `attempt` is the number of
  // the attempt in its call.
  Sending(Pool& pool, const Request& request, int attempt);
  Sending(Pool& pool, Request&& request, int attempt) = delete;
  Sending(const Sending&) = delete;
  Sending& operator=(const Sending&) = delete;

  // Not OK: the request can't be sent at all.
  absl::Status refusal();

  // Once, if there is no refusal. The connection goes back to the pool or is closed. An exception
  // of a callback of the request passes through.
  absl::StatusOr<Response> Over(Connection connection, const SendLimits& limits);

  // After a failure: whether the server had given up the connection, without a byte of an answer
  // (RFC 9112, 9.3.1). One that failed by a timeout met a server that is there.
  bool lost() const { return lost_; }
  // Whether nothing of the request was written, so that it can be sent again whatever it is.
  bool unsent() const { return !exchange_.handed_out(); }

 private:
  Pool& pool_;
  const Request& request_;
  Exchange exchange_;
  bool lost_ = false;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_SENDING_H_
