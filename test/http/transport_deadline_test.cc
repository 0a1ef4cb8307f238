#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/http.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

// An exchange ends when its call has to, whatever the peer does.

namespace holdfast::http {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using Code = absl::StatusCode;
using std::chrono::steady_clock;
using test::BlackHole;
using test::DefaultSigpipe;
using test::FaultServer;
using test::kHello;
using test::MakeRequest;
using test::Peer;

constexpr Duration kDeadline = 100ms;
// Far less than any of the faults lasts, and more than a loaded machine needs; alone it is 1 ms.
constexpr Duration kSlack = 400ms;

// A request that is cut off at its deadline, on its clock.
void CheckCutOff(const std::string& url, const httplib::Request& request) {
  const Transport transport(url);
  const auto fetch = Stack(Timeout(kDeadline)).Around(transport);
  const auto start = steady_clock::now();
  const absl::Status status = fetch(request).status();
  const Duration took = steady_clock::now() - start;
  CHECK(status.code() == Code::kDeadlineExceeded);
  CHECK(std::string(status.message()) == url + ": no answer before the call's deadline");
  CHECK_FALSE(RejectionOf(status).has_value());
  CHECK(took >= kDeadline);
  CHECK(took < kDeadline + kSlack);
  CHECK(transport.stats().idle == 0);
  CHECK(transport.stats().in_use == 0);
}

TEST_CASE("a deadline is a deadline for a peer") {
  const DefaultSigpipe sigpipe;
  httplib::Request request = MakeRequest("GET", "/");
  std::string scheme = "http://";
  FaultServer::Script script;
  SECTION("that never answers") {
    script = [](const Peer& peer) { peer.ReadAll(); };
  }
  SECTION("that stalls in the TLS handshake") {
    scheme = "https://";
    script = [](const Peer& peer) { peer.ReadAll(); };
  }
  SECTION("that drips its header") {
    script = [](const Peer& peer) {
      peer.ReadRequest();
      peer.Drip("HTTP/1.1 200 OK\r\nSlow: " + std::string(200, 'x'));
    };
  }
  SECTION("that drips its body") {
    script = [](const Peer& peer) {
      peer.ReadRequest();
      peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n");
      peer.Drip(std::string(200, 'x'));
    };
  }
  SECTION("that drips a body which ends with the connection") {
    script = [](const Peer& peer) {
      peer.ReadRequest();
      peer.Write("HTTP/1.1 200 OK\r\n\r\n");
      peer.Drip(std::string(200, 'x'));
    };
  }
  SECTION("that never reads the request") {
    request = MakeRequest("POST", "/", std::string(8'000'000, 'x'));
    script = [](const Peer& peer) { peer.Stall(); };
  }
  FaultServer server(script);
  CheckCutOff(scheme + server.Host(), request);
}

TEST_CASE("a deadline is a deadline for a host that doesn't answer") {
  const BlackHole hole;
  CheckCutOff("http://" + hole.Host(), MakeRequest("GET", "/"));
}

TEST_CASE("a deadline that has passed touches no connection") {
  FaultServer server([](const Peer& peer) { peer.ReadAll(); });
  const Transport transport("http://" + server.Host());
  // No policy: the machine lets a call through whose deadline is this very moment.
  const auto fetch = [&](const httplib::Request& request, Call& call) {
    call.set_deadline(call.now());
    return transport(request, call);
  };
  CHECK(Stack(Fallback([](const absl::Status& s) { return absl::StatusOr<httplib::Response>(s); }))
            .Around(fetch)(MakeRequest("GET", "/"))
            .status()
            .code() == Code::kDeadlineExceeded);
  CHECK(server.accepted() == 0);
}

TEST_CASE("an exchange that ends in time is not touched by its deadline afterwards") {
  FaultServer server([](const Peer& peer) {
    while (peer.ReadRequest() && peer.Write(kHello)) {
    }
  });
  const Transport transport("http://" + server.Host());
  const auto soon = Stack(Timeout(30ms)).Around(transport);
  int in_time = 0;
  for (int i = 0; i < 20; ++i) in_time += soon(MakeRequest("GET", "/")).ok() ? 1 : 0;
  std::this_thread::sleep_for(60ms);                 // until all those deadlines have passed
  REQUIRE(transport(MakeRequest("GET", "/")).ok());  // a connection, though the last was cut off
  const std::int64_t opened = transport.stats().opened;
  CHECK(in_time > 0);
  for (int i = 0; i < 20; ++i) CHECK(transport(MakeRequest("GET", "/")).ok());
  CHECK(transport.stats().opened == opened);
}

TEST_CASE("deadlines of different lengths are kept at once, each by itself") {
  FaultServer server([](const Peer& peer) { peer.ReadAll(); });
  const Transport transport("http://" + server.Host());
  std::array<Duration, 6> took = {};
  {
    std::vector<std::jthread> threads;
    // The longest first, so that the watchdog has to be woken for each that is shorter.
    for (std::size_t i = took.size(); i-- > 0;) {
      threads.emplace_back([&, i] {
        const auto start = steady_clock::now();
        (void)Stack(Timeout(50ms * (i + 1))).Around(transport)(MakeRequest("GET", "/"));
        took[i] = steady_clock::now() - start;
      });
    }
  }
  for (std::size_t i = 0; i < took.size(); ++i) {
    CHECK(took[i] >= 50ms * (i + 1));
    CHECK(took[i] < 50ms * (i + 1) + kSlack);
  }
}

TEST_CASE("a stop request interrupts an exchange") {
  std::atomic<bool> arrived{false};
  FaultServer server([&](const Peer& peer) {
    peer.ReadRequest();
    arrived = true;
    arrived.notify_all();
    peer.ReadAll();
  });
  const Transport transport("http://" + server.Host());
  const auto fetch = Stack(Retry({.max_attempts = 3}), Timeout(20s)).Around(transport);
  std::stop_source source;
  steady_clock::time_point asked;
  std::jthread stopper([&] {
    arrived.wait(false);
    asked = steady_clock::now();
    source.request_stop();
  });
  const absl::Status status =
      fetch.With({.stop = source.get_token()}, MakeRequest("GET", "/")).status();
  stopper.join();
  CHECK(steady_clock::now() - asked < kSlack);
  CHECK(status.code() == Code::kCancelled);
  CHECK(server.accepted() == 1);
  CHECK(transport.stats().idle == 0);
}

}  // namespace
}  // namespace holdfast::http
