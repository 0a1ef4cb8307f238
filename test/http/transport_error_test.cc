#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "holdfast/http.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"
#include "test/support/sanitizers.h"

// What goes wrong comes back as a status that says which.

namespace holdfast::http::transport_error_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using Code = absl::StatusCode;
using test::BlackHole;
using test::ContainsSubstring;
using test::DefaultSigpipe;
using test::FaultServer;
using test::kHello;
using test::Listener;
using test::MakeRequest;
using test::Peer;
using test::StartsWith;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

absl::Status Get(const Transport& transport) { return transport(MakeRequest("GET", "/")).status(); }

TEST_CASE("a bad URL is said to be one by every call") {
  const auto [url, what] = GENERATE(table<std::string, std::string>({
      {"", "scheme://host"},
      {"localhost:80", "scheme://host"},
      {"ftp://host", "http or https"},
      {"http://", "host is missing"},
      {"http://:80", "host is missing"},
      {"http://ho st", "host is missing or malformed"},
      {"http://[::1", "host is missing or malformed"},
      {"http://[host]", "host is missing or malformed"},
      {"http://host:", "port"},
      {"http://host:0", "port"},
      {"http://host:65536", "port"},
      {"http://host:-1", "port"},
      {"http://host:80x", "port"},
      {"http://[::1]80", "port"},
      {"http://host/path", "no path"},
      {"http://host?query", "no path"},
  }));
  CAPTURE(url);
  const Transport transport(url);
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = Get(transport);
    CHECK(status.code() == Code::kInvalidArgument);
    CHECK_THAT(Message(status), ContainsSubstring("\"" + url + "\"") && ContainsSubstring(what));
  }
  CHECK(transport.stats().opened == 0);
}

TEST_CASE("a password in a URL is refused and not repeated") {
  const absl::Status status = Get(Transport("http://user:secret@host"));
  CHECK(status.code() == Code::kInvalidArgument);
  CHECK_THAT(Message(status), ContainsSubstring("http://...@host"));
  CHECK_THAT(Message(status), !ContainsSubstring("secret"));
}

TEST_CASE("a bad request is said to be one") {
  const Transport transport("http://127.0.0.1:1");
  const auto check = [&](const httplib::Request& request, const std::string& what) {
    const absl::Status status = transport(request).status();
    CHECK(status.code() == Code::kInvalidArgument);
    CHECK_THAT(Message(status), ContainsSubstring(what));
  };
  check(MakeRequest("", "/"), "method");
  check(MakeRequest("GET /x HTTP/1.1\r\n", "/"), "method");
  check(MakeRequest("GET", ""), "target");
  check(MakeRequest("GET", "http://host/"), "target");
  httplib::Request request = MakeRequest("GET", "/");
  request.headers.emplace("Token", "a\r\nInjected: b");
  check(request, "\"Token\"");
}

TEST_CASE("what would be sent as something else is refused") {
  const Transport transport("http://127.0.0.1:1");
  httplib::Request request = MakeRequest("GET", "/not encoded");
  CHECK_THAT(Message(transport(request).status()), ContainsSubstring("must be percent-encoded"));
  request.path = "/";
  request.params.emplace("q", "lost");
  CHECK_THAT(Message(transport(request).status()), ContainsSubstring("params or a form"));
}

TEST_CASE("a host that can't be resolved") {
  // No label of a name is that long, so that no name server is asked.
  const std::string host = std::string(70, 'x') + ".invalid";
  const absl::Status status = Get(Transport("http://" + host));
  CHECK(status.code() == Code::kUnavailable);
  CHECK_THAT(Message(status), ContainsSubstring(host + ": the host was not found"));
}

TEST_CASE("a refused connection") {
  std::string host;
  {
    host = Listener(1).Host();
  }
  const absl::Status status = Get(Transport("http://" + host));
  CHECK(status.code() == Code::kUnavailable);
  CHECK(Message(status) == "http://" + host + ": the connection was refused");
}

TEST_CASE("an unreachable host") {
  const absl::Status status = Get(Transport("http://255.255.255.255:80"));
  CHECK(status.code() == Code::kUnavailable);
  CHECK_THAT(Message(status), ContainsSubstring(": the host is unreachable"));
}

TEST_CASE("a host that doesn't answer is given up after connect_timeout") {
  const BlackHole hole;
  const absl::Status status = Get(Transport("http://" + hole.Host(), {.connect_timeout = 50ms}));
  CHECK(status.code() == Code::kUnavailable);
  CHECK_THAT(Message(status), StartsWith("http://" + hole.Host() + ": not connected in time"));
}

#if !HOLDFAST_NEEDS_DESCRIPTORS
TEST_CASE("no file descriptor left") {
  const Listener listener(1);
  const Transport transport("http://" + listener.Host());
  rlimit before = {};
  ::getrlimit(RLIMIT_NOFILE, &before);
  const int next = ::dup(listener.fd());
  ::close(next);
  rlimit few = before;
  few.rlim_cur = static_cast<rlim_t>(next);
  ::setrlimit(RLIMIT_NOFILE, &few);
  const absl::Status status = Get(transport);
  ::setrlimit(RLIMIT_NOFILE, &before);
  CHECK(status.code() == Code::kResourceExhausted);
  CHECK_THAT(Message(status), ContainsSubstring("can't open another connection"));
}
#endif

TEST_CASE("a connection that is lost, or silent for longer than read_timeout") {
  const auto [script, reason] = GENERATE(table<FaultServer::Script, std::string>({
      {[](const Peer&) {}, "before a response came"},  // with FIN or RST
      {[](const Peer& peer) {
         peer.ReadRequest();
         peer.ResetAtEnd();
       },
       "the connection was lost before a response came: Connection reset by peer"},
      {[](const Peer& peer) {
         peer.ReadRequest();
         peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
       },
       "the server closed the connection within the response"},
      {[](const Peer& peer) { peer.ReadAll(); },
       "no byte of the response came within the read timeout"},
  }));
  CAPTURE(reason);
  FaultServer server(script);
  const Transport transport("http://" + server.Host(), {.read_timeout = 50ms});
  const absl::Status status = Get(transport);
  CHECK(status.code() == Code::kUnavailable);
  CHECK(TransportErrorOf(status) == TransportError::kOutcomeUnknown);
  CHECK_THAT(Message(status),
             StartsWith("http://" + server.Host() + ": ") && ContainsSubstring(reason));
  CHECK(transport.stats().idle == 0);
}

TEST_CASE("what is no HTTP is malformed, and not asked for again") {
  FaultServer server([](const Peer& peer) {
    peer.ReadRequest();
    peer.Write("not HTTP\r\n\r\n");
  });
  const auto fetch = Stack(Retry({})).Around(Transport("http://" + server.Host()));
  const absl::Status status = fetch(MakeRequest("GET", "/")).status();
  CHECK(status.code() == Code::kDataLoss);
  CHECK(TransportErrorOf(status) == TransportError::kMalformed);
  CHECK_THAT(Message(status),
             StartsWith("http://" + server.Host() + ": the response is malformed"));
  CHECK(server.accepted() == 1);
}

TEST_CASE("a peer that goes away during a write doesn't end the process") {
  const DefaultSigpipe sigpipe;
  FaultServer server([](const Peer& peer) {
    peer.ReadRequest();
    peer.ResetAtEnd();
  });
  const Transport transport("http://" + server.Host());
  const httplib::Request request = MakeRequest("POST", "/", std::string(8'000'000, 'x'));
  for (int i = 0; i < 3; ++i) {
    CHECK(transport(request).status().code() == Code::kUnavailable);
  }
}

TEST_CASE("a callback of the request that refuses to go on cancels it") {
  FaultServer server([](const Peer& peer) {
    peer.ReadRequest();
    peer.Write(kHello);
    peer.ReadAll();
  });
  const Transport transport("http://" + server.Host());
  httplib::Request request = MakeRequest("GET", "/");
  test::SetProgress(request, [](std::uint64_t, std::uint64_t) { return false; });
  CHECK(transport(request).status().code() == Code::kCancelled);
  CHECK(transport.stats().idle == 0);
}

}  // namespace
}  // namespace holdfast::http::transport_error_test
