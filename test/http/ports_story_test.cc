// A crawler that connected anew for each request used up the local ports, until connect failed with
// "Cannot assign requested address". Here that takes 32 ports instead of 28,000: in a network
// namespace of its own.
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include "holdfast/http.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

namespace holdfast::http::ports_story_test {
namespace {

using test::ContainsSubstring;
using test::FaultServer;
using test::kHello;
using test::MakeRequest;
using test::Peer;
using Code = absl::StatusCode;

constexpr int kPorts = 32;
constexpr int kRequests = 2'000;

std::string Errno(const std::string& what) { return what + ": " + std::strerror(errno); }

// These files are those of the namespace that the thread which opens them is in.
bool Write(const std::string& path, const std::string& value) {
  std::ofstream file(path);
  return static_cast<bool>(file << value << std::flush);
}

bool RaiseLoopback() {
  const int sock = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request = {};
  std::strncpy(request.ifr_name, "lo", sizeof request.ifr_name - 1);
  bool up = ::ioctl(sock, SIOCGIFFLAGS, &request) == 0;
  request.ifr_flags |= IFF_UP;
  up = up && ::ioctl(sock, SIOCSIFFLAGS, &request) == 0;
  ::close(sock);
  return up;
}

// Moves this thread, and those that it will start, into a network of nothing but loopback and few
// local ports. What kept it from that; empty: nothing did.
std::string EnterSmallNetwork() {
  if (::unshare(CLONE_NEWNET) != 0) return Errno("no network namespace");
  if (!RaiseLoopback()) return Errno("no loopback");
  const int first = 40'000;
  const std::string range = std::to_string(first) + " " + std::to_string(first + kPorts - 1);
  if (!Write("/proc/sys/net/ipv4/ip_local_port_range", range)) return Errno("no range of ports");
  // On loopback a port is otherwise taken out of TIME_WAIT a second after it went there.
  if (!Write("/proc/sys/net/ipv4/tcp_tw_reuse", "0")) return Errno("no way to keep ports waiting");
  return "";
}

// Runs `body` in such a network, which is gone with the last of its threads and sockets. False
// where that is not permitted. What it finds is for the test's own thread to check.
bool InSmallNetwork(const std::function<void()>& body) {
  std::string obstacle;
  std::thread([&] {
    obstacle = EnterSmallNetwork();
    if (obstacle.empty()) body();
  }).join();
  if (!obstacle.empty()) WARN("skipped: " << obstacle);
  return obstacle.empty();
}

// Leaves it to the client to close, which is where TIME_WAIT is then, and the port with it.
FaultServer::Script Polite() {
  return [](const Peer& peer) {
    while (peer.ReadRequest() && peer.Write(kHello)) {
    }
  };
}

// 0: connected.
int ErrnoOfConnect(const sockaddr_in& address) {
  const int sock = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int error =
      ::connect(sock, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
  ::close(sock);
  return error;
}

TEST_CASE("a connection for each request uses up the local ports") {
  int answered = 0;
  httplib::Error naive = httplib::Error::Success;
  int connect_errno = 0;
  absl::Status unpooled;
  absl::Status pooled;
  const bool permitted = InSmallNetwork([&] {
    FaultServer server(Polite());
    const auto get = [&] {
      httplib::Client client("http://" + server.Host());
      client.set_keep_alive(true);
      const httplib::Result result = client.Get("/");
      naive = result.error();
      return static_cast<bool>(result);
    };
    while (answered <= kPorts && get()) ++answered;
    connect_errno = ErrnoOfConnect(server.address());
    unpooled =
        Transport("http://" + server.Host(), {.max_idle = 0})(MakeRequest("GET", "/")).status();
    // Which is too late: the ports are gone for all.
    pooled = Transport("http://" + server.Host())(MakeRequest("GET", "/")).status();
  });
  if (!permitted) return;
  CHECK(answered > 0);
  CHECK(answered <= kPorts);
  CHECK(naive == httplib::Error::Connection);
  CHECK(connect_errno == EADDRNOTAVAIL);
  for (const absl::Status& status : {unpooled, pooled}) {
    CHECK(status.code() == Code::kResourceExhausted);
    CHECK_THAT(std::string(status.message()), ContainsSubstring("Cannot assign requested address"));
    CHECK(TransportErrorOf(status) == TransportError::kConnect);
  }
}

TEST_CASE("a transport that keeps no connection uses up the local ports, and says so") {
  int answered = 0;
  absl::Status status;
  TransportStats stats;
  const bool permitted = InSmallNetwork([&] {
    FaultServer server(Polite());
    const Transport transport("http://" + server.Host(), {.max_idle = 0});
    for (; status.ok() && answered <= kPorts; answered += status.ok() ? 1 : 0) {
      status = transport(MakeRequest("GET", "/")).status();
    }
    stats = transport.stats();
  });
  if (!permitted) return;
  CHECK(answered > 0);
  CHECK(answered <= kPorts);
  CHECK(status.code() == Code::kResourceExhausted);
  CHECK_THAT(std::string(status.message()), ContainsSubstring("Cannot assign requested address"));
  CHECK(stats.opened == answered);
  CHECK(stats.idle == 0);
}

TEST_CASE("a transport that is shared does not use up the local ports") {
  int answered = 0;
  int accepted = 0;
  TransportStats stats;
  const bool permitted = InSmallNetwork([&] {
    FaultServer server(Polite());
    const Transport transport("http://" + server.Host());
    for (int i = 0; i < kRequests; ++i) answered += transport(MakeRequest("GET", "/")).ok() ? 1 : 0;
    accepted = server.accepted();
    stats = transport.stats();
  });
  if (!permitted) return;
  CHECK(answered == kRequests);
  CHECK(accepted == 1);
  CHECK(stats.opened == 1);
  CHECK(stats.reused == kRequests - 1);
}

}  // namespace
}  // namespace holdfast::http::ports_story_test
