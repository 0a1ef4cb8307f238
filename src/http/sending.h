// One way of a request over one connection.
#ifndef HOLDFAST_SRC_HTTP_SENDING_H_
#define HOLDFAST_SRC_HTTP_SENDING_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <optional>

#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/call/trace_context.h"
#include "holdfast/http/message.h"
#include "src/http/connection.h"
#include "src/http/exchange/exchange.h"
#include "src/http/exchange_meter.h"
#include "src/http/net/mover.h"
#include "src/http/net/pace.h"
#include "src/http/net/waiting.h"
#include "src/http/pool.h"

namespace holdfast::http::internal {

// What bounds an exchange; the deadline is on the steady clock.
struct SendLimits {
  TimePoint deadline;
  const StopSignal& stop;
};

// What a request says of its call. The trace context, if there is one, must live until the Sending
// is made.
struct OfCall {
  int attempt = 1;
  const TraceContext* trace = nullptr;
  bool traced = false;  // as Call::traced()
};

// Not OK: no request of this origin. To be asked before a Sending is made: a target that does not
// begin with / would change the host in what a proxy is told.
absl::Status CheckRequest(const Route& route, const Request& request);

class Sending {
 public:
  // The pool has a route; `request` must stay as it is and where it is. The timer, which must
  // outlive it, learns in the end of what came.
  Sending(Pool& pool, const Request& request, const OfCall& of_call, ExchangeTimer& timer);
  Sending(Pool& pool, Request&& request, const OfCall& of_call, ExchangeTimer& timer) = delete;
  Sending(const Sending&) = delete;
  Sending& operator=(const Sending&) = delete;
  ~Sending() { timer_.Saw(exchange_.status(), exchange_.minor_version()); }

  // Not OK: the request can't be sent at all.
  absl::Status refusal();

  // Once, if there is no refusal. The connection goes back to the pool or is closed. An exception
  // of a callback of the request passes through.
  absl::StatusOr<Response> Over(Connection connection, const SendLimits& limits);

  // What Over is made of, for a driver that waits in its own way: it moves the bytes of exchange()
  // within bounds(), and Settles what that comes to; then again, unless that is over.
  Exchange& exchange() { return exchange_; }
  DriveLimits bounds(TimePoint deadline) const;
  // Tells the exchange why its driver ended. False: it goes on; an answer may come after a write
  // timeout.
  bool Settle(DriveEnd end);
  // After that was true, as Over. `began`: when it got the connection.
  absl::StatusOr<Response> Finish(Connection connection, const DriveResult& driven,
                                  TimePoint began);

  // After a failure: whether the server had given up the connection, without a byte of an answer
  // (RFC 9112, 9.3.1). One that failed by a timeout met a server that is there.
  bool lost() const { return lost_; }
  // Whether nothing of the request was written, so that it can be sent again whatever it is.
  bool unsent() const { return !exchange_.handed_out(); }

 private:
  Pool& pool_;
  const Request& request_;
  ExchangeTimer& timer_;
  Exchange exchange_;
  bool lost_ = false;
};

// Whether the request of a way that was lost() may go another one.
bool MayGoAgain(const Sending& first, const Repeatability& request);

// What comes of it then.
absl::StatusOr<Response> AfterResend(const Sending& first, absl::StatusOr<Response> second);

// Until when a call may take, on the steady clock; nullopt: that has passed.
std::optional<TimePoint> SteadyDeadline(Call& call);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_SENDING_H_
