#include <absl/status/status.h>
#include <httplib.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/http.h"
#include "test/http/certificate.h"
#include "test/http/descriptors.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

// An exchange ends when its call has to, whatever the peer does.

namespace holdfast::http::transport_deadline_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using Code = absl::StatusCode;
using std::chrono::steady_clock;
using test::BlackHole;
using test::ContainsSubstring;
using test::DefaultSigpipe;
using test::Eventually;
using test::FaultServer;
using test::kHello;
using test::MakeRequest;
using test::OpenDescriptors;
using test::Peer;
using test::StartsWith;

constexpr Duration kDeadline = 80ms;
// Of a round of tries at least half keep to this, in one round of a few: what a machine had no time
// for says nothing, and what is always late is late in all of them. Alone it is 1 ms.
constexpr Duration kOvershoot = 50ms;
constexpr int kTries = 5;
constexpr int kRounds = 4;
// Far less than any of the faults lasts, and more than a loaded machine needs.
constexpr Duration kSlack = 5s;
constexpr auto kGap = 50ms;  // between the bytes that drip

// A request that is cut off at its deadline, on its clock. By how much it was late.
Duration CutOff(const Transport& transport, const std::string& origin,
                const httplib::Request& request) {
  const auto fetch = Stack(Timeout(kDeadline)).Around(transport);
  const auto start = steady_clock::now();
  const absl::Status status = fetch(request).status();
  const Duration overshoot = steady_clock::now() - start - kDeadline;
  CHECK(status.code() == Code::kDeadlineExceeded);
  CHECK_THAT(std::string(status.message()), StartsWith(origin));
  CHECK_THAT(std::string(status.message()),
             ContainsSubstring(": no answer before the call's deadline"));
  CHECK_FALSE(RejectionOf(status).has_value());
  CHECK(overshoot >= 0ms);
  CHECK(overshoot < kSlack);
  CHECK(transport.stats().idle == 0);
  CHECK(transport.stats().in_use == 0);
  return overshoot;
}

template <class Try>
void CheckOvershoot(const Try& overshoot_of) {
  Duration median = Duration::max();
  for (int round = 0; round < kRounds && median > kOvershoot; ++round) {
    std::array<Duration, kTries> overshoots;
    std::generate(overshoots.begin(), overshoots.end(), overshoot_of);
    std::nth_element(overshoots.begin(), overshoots.begin() + kTries / 2, overshoots.end());
    median = overshoots[kTries / 2];
  }
  CHECK(median <= kOvershoot);
}

// What a peer does with a connection while it is faulty, and while it is not.
struct Peers {
  FaultServer::Script fault;
  FaultServer::Script serve;  // one request
  std::string scheme = "http://";
  httplib::Request request = MakeRequest("GET", "/");  // that meets the fault
};

// Requests that meet the fault are cut off at their deadline, on its clock. Each takes its
// connection with it, so that the next request has another, and nothing stays open.
void CheckCutOff(const Peers& peers, bool by_proxy) {
  std::atomic<bool> faulty = true;
  const int before = OpenDescriptors() + 1;  // with what the server listens by, while it is quiet
  FaultServer server([&](const Peer& peer) { (faulty ? peers.fault : peers.serve)(peer); });
  const std::string origin = peers.scheme + (by_proxy ? "orders.invalid" : server.Host());
  const Transport transport(origin,
                            {.verify = false, .proxy = by_proxy ? "http://" + server.Host() : ""});
  CheckOvershoot([&] {
    faulty = true;
    const Duration overshoot = CutOff(transport, origin, peers.request);
    faulty = false;
    CHECK(transport(MakeRequest("GET", "/")).ok());
    return overshoot;
  });
  CHECK(transport.stats().reused == 0);
  int open = 0;
  int others = 0;
  const bool none_left = Eventually([&] {
    others = server.open();
    open = OpenDescriptors();
    return open == before + others;
  });
  CAPTURE(before, open, others);
  CHECK(none_left);
}

constexpr std::string_view kBye =
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbye";

void Serve(const Peer& peer) {
  if (peer.ReadRequest()) peer.Write(kBye);
}

void ReadAll(const Peer& peer) { peer.ReadAll(); }

void DripHeader(const Peer& peer) {
  if (peer.ReadRequest()) peer.Drip("HTTP/1.1 200 OK\r\nSlow: " + std::string(200, 'x'), kGap);
}

void DripBody(const Peer& peer) {
  if (!peer.ReadRequest()) return;
  peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n");
  peer.Drip(std::string(200, 'x'), kGap);
}

// A server's TLS.
class Tls {
 public:
  Tls() {
    SSL_CTX_use_certificate(context_.get(), certificate_.x509());
    SSL_CTX_use_PrivateKey(context_.get(), certificate_.key());
  }

  // `then` with the connection, once it has read a request.
  void Run(const Peer& peer, const std::function<void(SSL*)>& then) const {
    // OpenSSL writes to clients that are gone as to any other. This is the peer's own thread.
    sigset_t sigpipe;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe, nullptr);
    const std::unique_ptr<SSL, void (*)(SSL*)> tls(SSL_new(context_.get()), SSL_free);
    SSL_set_fd(tls.get(), peer.fd());
    std::array<char, 4096> request;
    if (SSL_accept(tls.get()) == 1 && SSL_read(tls.get(), request.data(), request.size()) > 0) {
      then(tls.get());
    }
  }

  static bool Write(SSL* tls, std::string_view text) {
    return SSL_write(tls, text.data(), static_cast<int>(text.size())) > 0;
  }

 private:
  test::Certificate certificate_{"IP:127.0.0.1"};
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_{SSL_CTX_new(TLS_server_method()),
                                                        SSL_CTX_free};
};

TEST_CASE("a deadline is a deadline for a peer") {
  const DefaultSigpipe sigpipe;
  Peers peers{.fault = ReadAll, .serve = Serve};
  SECTION("that never answers") {}
  SECTION("that drips its header") { peers.fault = DripHeader; }
  SECTION("that drips its body") { peers.fault = DripBody; }
  SECTION("that drips a body which ends with the connection") {
    peers.fault = [](const Peer& peer) {
      peer.ReadRequest();
      peer.Write("HTTP/1.1 200 OK\r\n\r\n");
      peer.Drip(std::string(200, 'x'), kGap);
    };
  }
  SECTION("that drips a body in chunks") {
    peers.fault = [](const Peer& peer) {
      peer.ReadRequest();
      peer.Write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      while (peer.Drip("1\r\nx\r\n", kGap)) {
      }
    };
  }
  SECTION("that never reads the request") {
    peers.request = MakeRequest("POST", "/", std::string(8'000'000, 'x'));
    peers.fault = [](const Peer& peer) { peer.Stall(); };
  }
  CheckCutOff(peers, /*by_proxy=*/false);
}

TEST_CASE("a deadline is a deadline for a peer with TLS") {
  const DefaultSigpipe sigpipe;
  const Tls server_tls;
  Peers peers{
      .fault = ReadAll,
      .serve =
          [&](const Peer& peer) { server_tls.Run(peer, [](SSL* tls) { Tls::Write(tls, kBye); }); },
      .scheme = "https://"};
  SECTION("that stalls in the handshake") {}
  SECTION("that drips its handshake") {
    peers.fault = [](const Peer& peer) {
      peer.Drip("\x16\x03\x03\x40" + std::string(200, 'x'), kGap);
    };
  }
  SECTION("that never answers") {
    peers.fault = [&](const Peer& peer) { server_tls.Run(peer, [&](SSL*) { peer.ReadAll(); }); };
  }
  SECTION("that drips its body") {
    peers.fault = [&](const Peer& peer) {
      server_tls.Run(peer, [](SSL* tls) {
        Tls::Write(tls, "HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n");
        while (Tls::Write(tls, "x")) std::this_thread::sleep_for(kGap);  // the fault itself
      });
    };
  }
  SECTION("that never reads the request") {
    peers.request = MakeRequest("POST", "/", std::string(8'000'000, 'x'));
    peers.fault = [&](const Peer& peer) { server_tls.Run(peer, [&](SSL*) { peer.Stall(); }); };
  }
  CheckCutOff(peers, /*by_proxy=*/false);
}

TEST_CASE("a deadline is a deadline for a proxy") {
  const DefaultSigpipe sigpipe;
  Peers peers{.fault = ReadAll, .serve = Serve};
  SECTION("that never answers") {}
  SECTION("that drips its header") { peers.fault = DripHeader; }
  SECTION("that drips its body") { peers.fault = DripBody; }
  SECTION("that never reads the request") {
    peers.request = MakeRequest("POST", "/", std::string(8'000'000, 'x'));
    peers.fault = [](const Peer& peer) { peer.Stall(); };
  }
  CheckCutOff(peers, /*by_proxy=*/true);
}

TEST_CASE("a deadline is a deadline for a proxy that tunnels") {
  const DefaultSigpipe sigpipe;
  const Tls server_tls;
  constexpr std::string_view kTunnel = "HTTP/1.1 200 Connection established\r\n\r\n";
  Peers peers{.fault = ReadAll,
              .serve =
                  [&](const Peer& peer) {
                    if (!peer.ReadRequest() || !peer.Write(kTunnel)) return;
                    server_tls.Run(peer, [](SSL* tls) { Tls::Write(tls, kBye); });
                  },
              .scheme = "https://"};
  SECTION("and gives none") {}
  SECTION("and drips its consent") { peers.fault = DripHeader; }
  SECTION("to what stalls in the handshake") {
    peers.fault = [&](const Peer& peer) {
      if (peer.ReadRequest() && peer.Write(kTunnel)) peer.ReadAll();
    };
  }
  SECTION("to what never answers") {
    peers.fault = [&](const Peer& peer) {
      if (!peer.ReadRequest() || !peer.Write(kTunnel)) return;
      server_tls.Run(peer, [&](SSL*) { peer.ReadAll(); });
    };
  }
  CheckCutOff(peers, /*by_proxy=*/true);
}

TEST_CASE("a deadline is a deadline for a host that doesn't answer") {
  const BlackHole hole;
  const int before = OpenDescriptors();
  const std::string scheme = GENERATE("http://", "https://");
  const bool by_proxy = GENERATE(false, true);
  CAPTURE(scheme, by_proxy);
  const std::string origin = scheme + (by_proxy ? "orders.invalid" : hole.Host());
  const Transport transport(origin, {.proxy = by_proxy ? "http://" + hole.Host() : ""});
  CheckOvershoot([&] { return CutOff(transport, origin, MakeRequest("GET", "/")); });
  CHECK(transport.stats().opened == 0);
  CHECK(OpenDescriptors() == before);
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
  for (int i = 0; i < 20 || in_time == 0; ++i) {
    in_time += soon(MakeRequest("GET", "/")).ok() ? 1 : 0;
  }
  std::this_thread::sleep_for(60ms);                 // until all those deadlines have passed
  REQUIRE(transport(MakeRequest("GET", "/")).ok());  // a connection, though the last was cut off
  const std::int64_t opened = transport.stats().opened;
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
}  // namespace holdfast::http::transport_deadline_test
