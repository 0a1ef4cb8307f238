#ifndef HOLDFAST_TEST_HTTP_ASIO_SUPPORT_CALLS_H_
#define HOLDFAST_TEST_HTTP_ASIO_SUPPORT_CALLS_H_

// Calls of an AsyncTransport in a context that the test runs.

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <exception>
#include <optional>
#include <string>
#include <utility>

#include "holdfast/http_asio.h"
#include "test/asio/support/net.h"

namespace holdfast::test {

using AsyncResult = absl::StatusOr<http::Response>;

// Where a handler writes down what it was called with; it must outlive that.
struct AsyncEnd {
  int calls = 0;
  std::exception_ptr error = nullptr;
  AsyncResult result = absl::UnknownError("not called");

  auto handler() {
    return [this](std::exception_ptr thrown, AsyncResult got) {
      ++calls;
      error = std::move(thrown);
      result = std::move(got);
    };
  }
  absl::Status status() const { return result.status(); }
  std::optional<http::TransportError> kind() const {
    return http::TransportErrorOf(result.status());
  }
};

inline http::Request AsyncRequest(std::string method, std::string target, std::string body = "") {
  http::Request request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.body = std::move(body);
  return request;
}

// Runs the context until it has nothing left to do.
inline void RunAll(net::io_context& io) {
  io.restart();
  io.run();
}

// Makes one call and runs the context until it has nothing left to do.
inline AsyncResult Fetch(net::io_context& io, const http::AsyncTransport& transport,
                         const http::Request& request) {
  AsyncEnd end;
  transport(request, end.handler());
  RunAll(io);
  if (end.error != nullptr) std::rethrow_exception(end.error);
  return std::move(end.result);
}

// Runs the context until `done` is true.
template <class Done>
void RunUntil(net::io_context& io, Done done) {
  const auto work = net::make_work_guard(io);
  io.restart();
  while (!done()) io.run_one_for(std::chrono::milliseconds(10));
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_ASIO_SUPPORT_CALLS_H_
