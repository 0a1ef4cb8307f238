// AsyncTransport sends HTTP requests to one origin over a pool of keep-alive connections, as
// operations of Asio. It is an executor for the bottom of an asynchronous stack.
//
//   asio::io_context io;
//   holdfast::http::AsyncTransport transport(io, "http://localhost:8080", {.max_idle = 4});
//   auto fetch =
//       holdfast::Stack(holdfast::Retry({}), holdfast::Timeout(2s)).AroundAsync(transport, io);
//
//   holdfast::http::Request request = {.target = "/orders/7"};
//   fetch(request, [](const absl::StatusOr<holdfast::http::Response>& response) {});
//   io.run();
#ifndef HOLDFAST_HTTP_ASIO_ASYNC_TRANSPORT_H_
#define HOLDFAST_HTTP_ASIO_ASYNC_TRANSPORT_H_

#include <absl/status/statusor.h>

#include <concepts>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "holdfast/asio/any_async_executor.h"
#include "holdfast/asio/around.h"
#include "holdfast/asio/config.h"
#include "holdfast/call/call.h"
#include "holdfast/call/collector.h"
#include "holdfast/http/message.h"
#include "holdfast/http/transport.h"
#include "holdfast/http_asio/internal/async_call.h"

namespace holdfast::http {

// The asynchronous Transport (transport.h): it has the same options, connections and rules for
// them, resends what that resends, and returns the same errors. It sends an http::Request and
// returns an http::Response (message.h). What follows is what differs.
//
// Calls. A call completes with (std::exception_ptr, absl::StatusOr<Response>), where the exception
// is one of the request's callbacks; a handler that takes the StatusOr alone gets that, and an
// exception then leaves the context's run(). Any completion token starts a call. The handler is
// called in its associated executor; without one, in the transport's.
//
// Cancellation. The handler's slot ends a call at any point, with kCancelled, and closes its
// connection. Terminal and partial cancellation always do; total cancellation does as long as
// nothing of the request was written. A call that is cut off waits for nothing.
//
// Where it runs. Each call has a strand of the transport's executor, and everything of the call
// runs there, the request's callbacks included; a callback that blocks holds up a thread of the
// context. So a context may have any number of threads. Names are resolved by the threads that
// Transport uses, and idle connections are closed by its thread. Files of TLS are read where the
// connection is opened, at the first and after a change; threads that open others of the same
// transport meanwhile wait for the first.
//
// A call has no thread, and no descriptor but its connection's and one for each address that is
// tried while that is opened. A sender that has nothing now, and a receiver that can take nothing
// now (BodyAnswer::Later), are called again after 1 ms.
//
// Lifetime. A handle: copies share the connections, and calls keep them. It is thread-safe, and
// may outlive the context, but then starts no call. The context ends the calls that are under way
// when it is destroyed, without calling their handlers, and closes their connections.
//
// fork(). The context needs Asio's notify_fork(). In the child the transport starts with no
// connections. No call may be under way at a fork(), unless the child neither runs nor destroys
// that context.
class AsyncTransport {
 public:
  using executor_type = net::any_io_executor;

  // `origin` and `options` as Transport's. Throws std::invalid_argument as that does.
  AsyncTransport(net::any_io_executor executor, std::string_view origin,
                 TransportOptions options = {});
  template <std::derived_from<net::execution_context> Context>
  AsyncTransport(Context& context, std::string_view origin, TransportOptions options = {})
      : AsyncTransport(net::any_io_executor(context.get_executor()), origin, std::move(options)) {}

  executor_type get_executor() const noexcept { return executor_; }

  // The last argument is a completion token. The call's deadline, its stop token and the number of
  // its attempt are read here; a stop that is requested later has to come through the slot, as it
  // does in a stack.
  static constexpr bool kTakesCall = true;
  template <class Token>
  auto operator()(Request request, Call& call, Token&& token) const {
    return Start(std::move(request), internal::LimitsOf(call), std::forward<Token>(token));
  }

  // Without a deadline but total_timeout.
  template <class Token>
  auto operator()(Request request, Token&& token) const {
    return Start(std::move(request), internal::AsyncLimits(), std::forward<Token>(token));
  }

  TransportStats stats() const;

  // For a registry of metrics, as Transport's.
  std::string_view name() const;
  void Collect(Collector& collector) const;
  CollectedObject Collected() const;

 private:
  using Result = absl::StatusOr<Response>;

  struct Initiation {
    using executor_type = net::any_io_executor;
    executor_type get_executor() const noexcept { return executor; }

    template <class Handler>
    void operator()(Handler&& handler, Request request, const internal::AsyncLimits& limits) const {
      using Done = internal::AsyncCompletion<std::decay_t<Handler>>;
      auto slot = net::get_associated_cancellation_slot(handler);
      std::optional<internal::AsyncCanceller> canceller;
      if (slot.is_connected()) slot.assign(canceller.emplace());
      internal::StartAsync(pool, executor, std::move(request), limits,
                           canceller ? &*canceller : nullptr,
                           Done(std::forward<Handler>(handler), executor));
    }

    internal::AsyncPool pool;
    net::any_io_executor executor;
  };

  template <class Token>
  auto Start(Request request, const internal::AsyncLimits& limits, Token&& token) const {
    using Signatures = holdfast::internal::TokenSignature<std::decay_t<Token>, Result>;
    using Signature = std::conditional_t<Signatures::kAlone, typename Signatures::Alone,
                                         typename Signatures::type>;
    return net::async_initiate<Token, Signature>(Initiation{pool_, executor_}, token,
                                                 std::move(request), limits);
  }

  net::any_io_executor executor_;
  internal::AsyncPool pool_;
};

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_ASIO_ASYNC_TRANSPORT_H_
