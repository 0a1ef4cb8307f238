// That an AsyncTransport can't be made to smuggle a request.
#include <absl/status/status.h>

#include "holdfast/http_asio.h"
#include "test/asio/support/net.h"
#include "test/http/smuggled.h"
#include "test/http_asio/support/calls.h"
#include "test/support/catch.h"

namespace holdfast::http::async_smuggling_test {
namespace {

TEST_CASE("an asynchronous request that smuggles is refused, and others arrive as meant") {
  net::io_context io;
  for (const auto& [id, request] : test::SmuggledRequests()) {
    CAPTURE(id);
    test::StrictServer server;
    const AsyncTransport transport(io, server.Url());
    const absl::Status status = test::Fetch(io, transport, request).status();
    test::CheckNotSmuggled(id, request, status, server);
  }
}

}  // namespace
}  // namespace holdfast::http::async_smuggling_test
