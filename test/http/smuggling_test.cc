// That a Transport can't be made to smuggle a request: of what would be read in two ways nothing is
// sent.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "holdfast/http.h"
#include "test/http/fault_server.h"
#include "test/http/smuggled.h"
#include "test/support/catch.h"

namespace holdfast::http::smuggling_test {
namespace {

TEST_CASE("a request that smuggles is refused before it connects, and others arrive as meant") {
  for (const auto& [id, request] : test::SmuggledRequests()) {
    CAPTURE(id);
    test::StrictServer server;
    absl::StatusOr<Response> response = absl::UnknownError("");
    {
      const Transport transport(server.Url());
      response = transport(request);
    }
    CAPTURE(response.status().ToString());
    CHECK(response.ok() == test::MayBeSent(id));
    if (response.ok()) {
      CHECK(server.requests() == std::vector{test::AsMeant(request)});
    } else {
      CHECK(response.status().code() == absl::StatusCode::kInvalidArgument);
      CHECK(TransportErrorOf(response.status()) == TransportError::kRequest);
      CHECK(server.accepted() == 0);
    }
  }
}

}  // namespace
}  // namespace holdfast::http::smuggling_test
