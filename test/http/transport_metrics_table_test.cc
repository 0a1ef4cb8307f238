// The table of what an HTTP transport counts, in docs/metrics.md, is what it tells, both ways.
#include "holdfast/http.h"
#include "holdfast/metrics/metrics.h"
#include "test/http/fault_server.h"
#include "test/metrics/name_table.h"
#include "test/support/catch.h"

namespace holdfast::http::transport_metrics_table_test {
namespace {

TEST_CASE("the page names each metric of a transport with its type, unit and attributes") {
  test::FaultServer server([](const test::Peer& peer) {
    if (peer.ReadRequest()) peer.Write(test::kHello);
  });
  const Transport transport("http://" + server.Host());
  Metrics metrics;
  REQUIRE(metrics.Add("orders_http", transport).ok());
  REQUIRE(transport(Request{}).ok());
  test::NameTable told = test::ToldBy(metrics);
  told.erase("holdfast.metrics.overflow");
  CHECK(told.size() == 5);
  test::CheckDocumented(told, test::DocumentedIn(HOLDFAST_METRICS_PAGE, [](const auto& section) {
                          return section == test::kHttpSection;
                        }));
}

}  // namespace
}  // namespace holdfast::http::transport_metrics_table_test
