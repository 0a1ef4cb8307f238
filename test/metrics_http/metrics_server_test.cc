#include "holdfast/metrics_http/metrics_server.h"

#include <absl/status/status.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "test/http/descriptors.h"
#include "test/metrics/objects.h"
#include "test/metrics_http/raw_client.h"
#include "test/metrics_http/scene.h"
#include "test/support/catch.h"

namespace holdfast::metrics_server_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::ContainsSubstring;
using test::Eventually;
using test::RawClient;
using test::RawResponse;
using test::Scene;

constexpr std::string_view kGetMetrics = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

TEST_CASE("a server answers what it serves") {
  const Scene scene;
  scene.Calls(3, 2);
  RawClient client(scene.port());
  const RawResponse metrics = client.Get("/metrics?from=prometheus");
  CHECK(metrics.status == 200);
  CHECK(metrics.body == scene.metrics.Text());
  CHECK(metrics.Field("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(metrics.Field("Cache-Control") == "no-store");
  CHECK(client.Get("/healthz").body == "ok\n");
  CHECK(client.Get("/snapshot.json").Field("Content-Type") == "application/json");
  CHECK(client.Get("/nothing").status == 404);
  const RawResponse page = client.Get("/");
  CHECK(page.status == 200);
  CHECK(page.Field("Content-Type") == "text/html; charset=utf-8");
  CHECK_THAT(page.Field("Content-Security-Policy"), ContainsSubstring("default-src 'none'"));
  CHECK(page.Field("Access-Control-Allow-Origin").empty());
  CHECK(scene.server->url() == "http://127.0.0.1:" + std::to_string(scene.port()) + "/");
}

TEST_CASE("HEAD says what GET would, without the body") {
  const Scene scene;
  RawClient client(scene.port());
  for (const std::string path : {"/", "/metrics", "/snapshot.json", "/healthz"}) {
    client.Send("HEAD " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const RawResponse head = client.Read("HEAD");
    CHECK(head.status == 200);
    CHECK(head.head == client.Get(path).head);
  }
  client.Send("HEAD /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  CHECK(client.Read("HEAD").Field("Content-Type") == "text/event-stream");
  CHECK(client.Ended());
}

TEST_CASE("requests that are not for this server, or not to be read, are refused") {
  const Scene scene({.max_request = 512});
  const auto status_of = [&](const std::string& bytes) {
    RawClient client(scene.port());
    client.Send(bytes);
    return client.Read().status;
  };
  CHECK(status_of("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n") == 421);
  CHECK(status_of("GET / HTTP/1.1\r\n\r\n") == 400);
  CHECK(status_of("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n") == 405);
  CHECK(status_of("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc") == 405);
  CHECK(status_of("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc") == 400);
  CHECK(status_of("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n") == 413);
  CHECK(status_of("GET / HTTP/3.0\r\nHost: localhost\r\n\r\n") == 505);
  CHECK(status_of("\x16\x03\x01 not HTTP\r\n\r\n") == 400);
  CHECK(status_of("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(600, 'x')) == 431);
  CHECK(status_of("GET /" + std::string(600, 'x')) == 414);
}

TEST_CASE("after what can't be read the connection ends, and not before the response is there") {
  const Scene scene;
  RawClient client(scene.port());
  client.Send("no request\r\n\r\n" + std::string(200'000, 'x'));
  CHECK(client.Read().status == 400);
  CHECK(client.Ended());
}

TEST_CASE("requests that come at once are answered in their order") {
  const Scene scene;
  RawClient client(scene.port());
  std::string requests;
  constexpr int kRequests = 200;
  for (int i = 0; i < kRequests; ++i) {
    requests += i % 2 == 0 ? "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" : kGetMetrics;
  }
  client.Send(requests);
  int right = 0;
  for (int i = 0; i < kRequests; ++i) {
    const RawResponse response = client.Read();
    right += response.status == 200 && (response.body == "ok\n") == (i % 2 == 0) ? 1 : 0;
  }
  CHECK(right == kRequests);
}

TEST_CASE("a request may come byte by byte") {
  const Scene scene;
  RawClient client(scene.port());
  for (const char byte : kGetMetrics) client.Send({&byte, 1});
  CHECK(client.Read().status == 200);
}

TEST_CASE("half a request is given up after its time, and so is a connection without one") {
  const Scene scene({.read_timeout = 50ms});
  RawClient silent(scene.port());
  // Where this thread does not get to send in time, the connection ends without an answer.
  CHECK(Eventually([&] {
    RawClient half(scene.port());
    half.Send("GET / HTTP/1.1\r\nHost: local");
    return half.Read().status == 408 && half.Ended();
  }));
  CHECK(silent.Ended());
}

TEST_CASE("a byte now and then does not make the time for a request longer") {
  const Scene scene({.read_timeout = 100ms});
  RawClient slow(scene.port());
  slow.Send("GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
  // The server closes the connection, and then takes no more.
  CHECK(Eventually([&] { return !slow.Send("x"); }));
}

TEST_CASE("who sends no more is answered first") {
  const Scene scene;
  RawClient client(scene.port());
  client.Send(kGetMetrics);
  client.FinishSending();
  CHECK(client.Read().status == 200);
  CHECK(client.Ended());
}

TEST_CASE("a connection that waits makes room for another one") {
  const Scene scene({.max_connections = 2, .max_streams = 1});
  RawClient first(scene.port());
  CHECK(first.Get("/healthz").status == 200);
  RawClient second(scene.port());
  CHECK(second.Get("/healthz").status == 200);
  RawClient third(scene.port());
  CHECK(third.Get("/healthz").status == 200);
  CHECK(first.Ended());
  CHECK(second.Get("/healthz").status == 200);
}

TEST_CASE("many connections that say nothing do not keep /metrics from answering") {
  const Scene scene({.max_connections = 8});
  std::vector<std::unique_ptr<RawClient>> silent;
  for (int i = 0; i < 50; ++i) {
    silent.push_back(std::make_unique<RawClient>(scene.port()));
    silent.back()->Send("GET /metrics HTT");
  }
  RawClient client(scene.port());
  CHECK(client.Get("/metrics").status == 200);
}

TEST_CASE("a token is asked for where there is one") {
  const Scene scene({.token = "0123456789abcdef"});
  RawClient client(scene.port());
  const RawResponse refused = client.Get("/");
  CHECK(refused.status == 401);
  CHECK_THAT(refused.Field("WWW-Authenticate"), ContainsSubstring("Basic"));
  CHECK(client.Get("/", "Authorization: Bearer 0123456789abcdef\r\n").status == 200);
  CHECK(client.Get("/healthz").status == 200);
}

TEST_CASE("an object that throws makes a response of 500, and the server goes on") {
  Metrics metrics;
  const auto teller = test::Tells([](Collector& collector) {
    static int looks = 0;
    if (++looks > 1) throw std::runtime_error("no look");
    collector.Count(test::kGearCalls, 1);
  });
  REQUIRE(metrics.Add(teller).ok());
  const auto server = MetricsServer::Start(metrics).value();
  RawClient client(server->port());
  const RawResponse failed = client.Get("/metrics");
  CHECK(failed.status == 500);
  CHECK_THAT(failed.body, ContainsSubstring("no look"));
  CHECK(client.Get("/healthz").status == 200);
}

TEST_CASE("what keeps a server from starting is a status") {
  const Scene scene;
  const Metrics metrics;
  const auto code = [&](const MetricsServerOptions& options) {
    return MetricsServer::Start(metrics, options).status().code();
  };
  CHECK(code({.port = scene.port()}) == absl::StatusCode::kAlreadyExists);
  CHECK(code({.address = "192.0.2.1", .token = "0123456789abcdef"}) ==
        absl::StatusCode::kInvalidArgument);
  CHECK(code({.address = "localhost"}) == absl::StatusCode::kInvalidArgument);
  CHECK(code({.address = "0.0.0.0"}) == absl::StatusCode::kInvalidArgument);  // without a token
}

TEST_CASE("options out of their range are refused") {
  const auto ok = [](const MetricsServerOptions& options) { return Validate(options).ok(); };
  CHECK(ok({}));
  CHECK(ok({.address = "::1"}));
  CHECK(ok({.address = "127.8.9.10"}));
  CHECK_FALSE(ok({.address = "::"}));
  CHECK(ok({.address = "::", .token = "0123456789abcdef"}));
  CHECK_FALSE(ok({.address = "example.org"}));
  CHECK_FALSE(ok({.port = -1}));
  CHECK_FALSE(ok({.port = 65'536}));
  CHECK_FALSE(ok({.token = "short"}));
  CHECK_FALSE(ok({.token = "with a blank in it"}));
  CHECK_FALSE(ok({.token = std::string(257, 'x')}));
  CHECK(ok({.hosts = {"metrics.example"}}));
  CHECK_FALSE(ok({.hosts = {"metrics.example:80"}}));
  CHECK_FALSE(ok({.hosts = {""}}));
  CHECK_FALSE(ok({.max_connections = 1}));
  CHECK_FALSE(ok({.max_connections = 10'001}));
  CHECK_FALSE(ok({.max_streams = -1}));
  CHECK_FALSE(ok({.max_connections = 5, .max_streams = 5}));
  CHECK_FALSE(ok({.max_request = 255}));
  CHECK_FALSE(ok({.read_timeout = 9ms}));
  CHECK_FALSE(ok({.write_timeout = 11min}));
  CHECK_FALSE(ok({.refresh = 99ms}));
  CHECK_FALSE(ok({.refresh = 61s}));
  CHECK(ok({.history = 0s}));
  CHECK_FALSE(ok({.history = 1s}));
  CHECK_FALSE(ok({.history = 2h}));
  CHECK_THAT(std::string(Validate(MetricsServerOptions{.port = -1}).message()),
             ContainsSubstring("port must be in [0, 65535], not -1"));
}

TEST_CASE("a server that is stopped leaves nothing open") {
  const int before = test::OpenDescriptors();
  {
    Scene scene;
    RawClient waiting(scene.port());
    CHECK(waiting.Get("/healthz").status == 200);
    RawClient stream(scene.port());
    CHECK(stream.Get("/events").status == 200);
    const int port = scene.port();
    scene.server->Stop();
    scene.server->Stop();
    CHECK(waiting.Ended());
    CHECK(stream.Ended());
    CHECK_FALSE(RawClient(port).connected());
    CHECK(scene.server->port() == port);
  }
  CHECK(Eventually([&] { return test::OpenDescriptors() == before; }));
}

}  // namespace
}  // namespace holdfast::metrics_server_test
