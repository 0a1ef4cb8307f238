// What the README says of a server that takes a request and never answers.
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "holdfast/http.h"
#include "holdfast/testing/fake_clock.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

namespace holdfast::http::silent_server_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using Code = absl::StatusCode;
using test::FaultServer;
using test::MakeRequest;
using test::Peer;

// The first example of the README, with shorter times. Nothing but the deadline ends its attempts:
// without it they would last for an hour.
TEST_CASE("a stack around a Transport ends its call on a silent server") {
  FaultServer silent([](const Peer& peer) { peer.ReadAll(); });
  const auto fetch =
      Stack(Timeout(500ms), Retry({.max_attempts = 4}), CircuitBreak({.name = "api"}),
            RateLimit({.rate = 100, .burst = 20}), Timeout(50ms))
          .Around(Transport("http://" + silent.Host(), {.read_timeout = 1h}));
  Report report;
  const absl::Status status = fetch.With({.report = &report}, MakeRequest("GET", "/")).status();
  CHECK(status.code() == Code::kDeadlineExceeded);
  CHECK(report.attempts >= 1);
}

// The server answers when the deadline has long passed on the stack's clock.
TEST_CASE("a plain httplib::Client runs on after the deadline of a Timeout without a pool") {
  testing::FakeClock clock;
  FaultServer late([&](const Peer& peer) {
    if (!peer.ReadRequest()) return;
    clock.Advance(1h);
    peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
  });
  httplib::Client client("http://" + late.Host());
  const auto get =
      Stack(Timeout(1s)).Around([&](const std::string& path) { return client.Get(path); }, &clock);
  const httplib::Result result = get("/");
  REQUIRE(result);
  CHECK(result->body == "late");
}

// The server ends the exchange after the call has returned, and not before.
TEST_CASE("a Timeout with a pool goes on without a plain httplib::Client") {
  std::atomic<bool> returned = false;
  std::atomic<bool> attempt_ended = false;
  FaultServer silent([&](const Peer&) { returned.wait(false); });
  httplib::Client client("http://" + silent.Host());
  client.set_read_timeout(1h);
  {
    const auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{.max_threads = 1});
    const auto get = Stack(Timeout(50ms, pool)).Around([&](const std::string& path) {
      httplib::Result result = client.Get(path);
      attempt_ended = true;
      return result;
    });
    const httplib::Result result = get(std::string("/"));
    CHECK(ResultTraits<httplib::Result>::StatusOf(result).code() == Code::kDeadlineExceeded);
    CHECK_FALSE(attempt_ended);
    returned = true;
    returned.notify_all();
  }  // the pool awaits the attempt
  CHECK(attempt_ended);
}

}  // namespace
}  // namespace holdfast::http::silent_server_test
