// That a Transport can't be made to smuggle a request: of what would be read in two ways nothing is
// sent.
#include <absl/status/status.h>

#include "holdfast/http.h"
#include "test/http/smuggled.h"
#include "test/support/catch.h"

namespace holdfast::http::smuggling_test {
namespace {

TEST_CASE("a request that smuggles is refused before it connects, and others arrive as meant") {
  for (const auto& [id, request] : test::SmuggledRequests()) {
    CAPTURE(id);
    test::StrictServer server;
    const absl::Status status = Transport(server.Url())(request).status();
    test::CheckNotSmuggled(id, request, status, server);
  }
}

}  // namespace
}  // namespace holdfast::http::smuggling_test
