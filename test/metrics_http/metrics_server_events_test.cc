// The stream of a server of metrics.
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "holdfast/metrics_http/metrics_server.h"
#include "test/http/descriptors.h"
#include "test/metrics_http/raw_client.h"
#include "test/metrics_http/scene.h"
#include "test/support/catch.h"

namespace holdfast::metrics_server_events_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::Eventually;
using test::OpenDescriptors;
using test::RawClient;
using test::RawResponse;
using test::Scene;

// The JSON of an event.
std::string DataOf(const std::string& event) {
  const std::size_t at = event.find("data: ");
  return at == std::string::npos ? "" : event.substr(at + 6, event.size() - at - 8);
}

TEST_CASE("a stream begins with what /snapshot.json has, and goes on") {
  const Scene scene({.refresh = 100ms, .history = 0s});
  scene.Calls(2, 1);
  RawClient other(scene.port());
  RawClient stream(scene.port());
  const RawResponse head = stream.Get("/events");
  CHECK(head.status == 200);
  CHECK(head.Field("Content-Type") == "text/event-stream");
  const std::string first = stream.ReadEvent();
  CHECK(first.starts_with("retry: 1000\n"));
  CHECK(DataOf(first) == other.Get("/snapshot.json").body);
  scene.Calls(1, 0);
  const auto shows_four = [&] {
    const auto json = nlohmann::json::parse(DataOf(stream.ReadEvent()));
    return json["stacks"][0]["total"]["calls"]["success"] == 3;
  };
  CHECK(Eventually(shows_four));
}

TEST_CASE("there are as many streams as the options say, and a place is free when one ends") {
  const Scene scene({.max_streams = 2});
  auto first = std::make_unique<RawClient>(scene.port());
  RawClient second(scene.port());
  RawClient third(scene.port());
  CHECK(first->Get("/events").status == 200);
  CHECK(second.Get("/events").status == 200);
  const RawResponse refused = third.Get("/events");
  CHECK(refused.status == 204);  // which tells a browser not to come back
  CHECK(refused.Field("Content-Type") == "text/event-stream");
  CHECK(third.Get("/snapshot.json").status == 200);
  first.reset();
  CHECK(Eventually([&] { return RawClient(scene.port()).Get("/events").status == 200; }));
}

TEST_CASE("a reader that takes nothing loses what came between, and then its stream") {
  Scene scene({.write_timeout = 200ms, .refresh = 100ms, .history = 0s});
  // So much that it does not fit into the buffers of the kernel.
  std::vector<std::unique_ptr<Stack<CircuitBreak<>>>> stacks;
  for (int i = 0; i < 80; ++i) {
    stacks.push_back(std::make_unique<Stack<CircuitBreak<>>>(
        CircuitBreak({.name = std::string(4000, 'x') + std::to_string(i)})));
    REQUIRE(scene.metrics.Add("stack" + std::to_string(i), *stacks.back()).ok());
  }
  RawClient slow(scene.port(), 4096);
  RawClient other(scene.port());
  REQUIRE(slow.Get("/healthz").status == 200);
  REQUIRE(other.Get("/healthz").status == 200);
  const int open = OpenDescriptors();
  slow.Send("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n");
  // The others are served meanwhile. Nobody reads what the stream has.
  int failed = 0;
  CHECK(Eventually([&] {
    failed += other.Get("/metrics").status == 200 ? 0 : 1;
    return OpenDescriptors() == open - 1;
  }));
  CHECK(failed == 0);
  CHECK(slow.Ended());
}

TEST_CASE("with streams open the rest is answered") {
  const Scene scene({.refresh = 100ms});
  std::vector<std::unique_ptr<RawClient>> streams;
  for (int i = 0; i < 4; ++i) {
    streams.push_back(std::make_unique<RawClient>(scene.port()));
    REQUIRE(streams.back()->Get("/events").status == 200);
  }
  for (int i = 0; i < 20; ++i) {
    RawClient client(scene.port());
    CHECK(client.Get("/metrics").status == 200);
  }
  for (const auto& stream : streams) CHECK_FALSE(stream->ReadEvent().empty());
}

}  // namespace
}  // namespace holdfast::metrics_server_events_test
