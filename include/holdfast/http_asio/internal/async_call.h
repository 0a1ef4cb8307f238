// How AsyncTransport starts a call, and how that completes, without the type of its handler.
#ifndef HOLDFAST_HTTP_ASIO_INTERNAL_ASYNC_CALL_H_
#define HOLDFAST_HTTP_ASIO_INTERNAL_ASYNC_CALL_H_

#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include "holdfast/asio/config.h"
#include "holdfast/asio/internal/deliver.h"
#include "holdfast/asio/internal/executor.h"
#include "holdfast/base/internal/process.h"
#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/call/trace_context.h"
#include "holdfast/http/message.h"

namespace holdfast::http::internal {

class Pool;
using AsyncPool = std::shared_ptr<holdfast::internal::PerProcess<Pool>>;

// What a Call says of itself when it starts.
struct AsyncLimits {
  // On the steady clock; nullopt: it has passed.
  std::optional<TimePoint> deadline = TimePoint::max();
  bool stopped = false;
  int attempt = 1;
  std::optional<TraceContext> trace = std::nullopt;
  bool traced = false;  // as Call::traced()
};
AsyncLimits LimitsOf(Call& call);

// Called once, from the call's strand, unless the context goes away before.
using AsyncDone = absl::AnyInvocable<void(std::exception_ptr, absl::StatusOr<Response>)>;

// What is in the cancellation slot of a call's handler. It does not keep the call, which may end
// before it.
class AsyncCanceller {
 public:
  struct Link;  // to the call

  AsyncCanceller();  // of a call that is yet to start
  void operator()(net::cancellation_type type) const;

 private:
  friend void StartAsync(const AsyncPool& pool, const net::any_io_executor& executor,
                         Request request, const AsyncLimits& limits,
                         const AsyncCanceller* canceller, AsyncDone done);

  std::shared_ptr<Link> link_;
};

// Starts a call in a strand of `executor`; `done` is not called before it returns, unless in
// another thread. `canceller` is null where nobody cancels the call. Throws std::logic_error in a
// child of fork() whose context was not told of that.
void StartAsync(const AsyncPool& pool, const net::any_io_executor& executor, Request request,
                const AsyncLimits& limits, const AsyncCanceller* canceller, AsyncDone done);

// Calls the handler where it wants to run. Keeps that context running until then.
template <class Handler>
class AsyncCompletion {
 public:
  AsyncCompletion(Handler handler, const net::any_io_executor& io)
      : work_(holdfast::internal::ContextExecutorOf(handler, io)),
        slot_(net::get_associated_cancellation_slot(handler)),
        handler_(std::move(handler)) {}

  void operator()(std::exception_ptr error, absl::StatusOr<Response> result) {
    const Executor executor = work_.get_executor();
    net::dispatch(executor, [self = std::move(*this), error = std::move(error),
                             result = std::move(result)]() mutable {
      if (self.slot_.is_connected()) self.slot_.clear();
      const net::executor_work_guard<Executor> work = std::move(self.work_);
      holdfast::internal::CallHandler(std::move(self.handler_), std::move(error),
                                      std::move(result));
    });
  }

 private:
  using Executor = holdfast::internal::ContextExecutor<Handler, net::any_io_executor>;

  net::executor_work_guard<Executor> work_;
  net::associated_cancellation_slot_t<Handler> slot_;
  Handler handler_;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_HTTP_ASIO_INTERNAL_ASYNC_CALL_H_
