#include <holdfast/holdfast.h>
#include <holdfast/http/httplib.h>
#include <holdfast/http_asio.h>
#include <holdfast/metrics.h>
#include <holdfast/metrics_http.h>
#include <holdfast/testing.h>
#include <httplib.h>

int main() {
  holdfast::testing::FakeClock clock;
  httplib::Client nobody("127.0.0.1", 1);
  auto get = holdfast::Stack(holdfast::Retry({.max_attempts = 2}))
                 .Around([&nobody] { return nobody.Get("/"); }, &clock);
  const httplib::Result refused = get();
  asio::io_context io;
  const holdfast::http::AsyncTransport nowhere(io, "http://127.0.0.1:1");
  bool unavailable = false;
  nowhere(holdfast::http::Request(), [&](const absl::StatusOr<holdfast::http::Response>& response) {
    unavailable = absl::IsUnavailable(response.status());
  });
  io.run();
  const holdfast::Metrics metrics;
  const bool counts = metrics.Snapshot().Count("holdfast.metrics.overflow") == 0 &&
                      holdfast::MetricsServer::Start(metrics).ok();
  holdfast::OtlpPush push(std::make_shared<holdfast::Metrics>(),
                          {.endpoint = "http://127.0.0.1:1", .timeout = std::chrono::seconds(1)});
  const bool pushes = push.Stop().ok();
  return !pushes && refused.error() == httplib::Error::Connection && unavailable && counts ? 0 : 1;
}
