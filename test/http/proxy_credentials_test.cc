// The user and the password of a proxy: who is sent them, and who is not.
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>

#include <string>
#include <vector>

#include "holdfast/http.h"
#include "test/http/certificate.h"
#include "test/http/fault_server.h"
#include "test/http/proxy_variables.h"
#include "test/http/test_server.h"
#include "test/http/tls_server.h"
#include "test/http/tunnel.h"
#include "test/support/catch.h"

namespace holdfast::http::proxy_credentials_test {
namespace {

using test::Certificate;
using test::ContainsSubstring;
using test::FaultServer;
using test::Greets;
using test::Listener;
using test::MakeRequest;
using test::Peer;
using test::PemFile;
using test::ProxyVariables;
using test::Recorder;
using test::StartsWith;
using test::TunnelTo;
using Code = absl::StatusCode;

const std::string kAuthorization = "Proxy-Authorization: Basic c2NvdHQ6dGlnZXI=\r\n";

std::string WithUser(const std::string& host) { return "http://scott:tiger@" + host; }

std::size_t CountIn(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

void CheckSilentOfPassword(const absl::Status& status) {
  for (const char* const secret : {"scott", "tiger", "c2NvdHQ6dGlnZXI="}) {
    CHECK_THAT(status.ToString(), !ContainsSubstring(secret));
  }
}

TEST_CASE("each request that a proxy receives has user and password") {
  Recorder asked;
  FaultServer proxy(Greets(asked));
  const Transport transport("http://orders.invalid", {.proxy = WithUser(proxy.Host())});
  CHECK(transport(MakeRequest("GET", "/a")).ok());
  CHECK(transport(MakeRequest("POST", "/b", "body")).ok());
  REQUIRE(asked.messages().size() == 2);
  for (const std::string& message : asked.messages()) {
    CHECK(CountIn(message, "Proxy-Authorization") == 1);
    CHECK_THAT(message, ContainsSubstring(kAuthorization));
    CHECK_THAT(message, ContainsSubstring("Accept: */*\r\n") && ContainsSubstring("User-Agent: "));
  }
}

TEST_CASE("a request's own Proxy-Authorization goes before that of the options") {
  Recorder asked;
  FaultServer proxy(Greets(asked));
  httplib::Request request = MakeRequest("GET", "/");
  request.set_header("proxy-authorization", "Bearer token");
  const Transport transport("http://orders.invalid", {.proxy = WithUser(proxy.Host())});
  CHECK(transport(request).ok());
  CHECK_THAT(asked.messages().at(0), ContainsSubstring("proxy-authorization: Bearer token\r\n") &&
                                         !ContainsSubstring("Basic"));
}

TEST_CASE("a proxy without user and password is told none") {
  Recorder asked;
  FaultServer proxy(Greets(asked));
  const Transport transport("http://orders.invalid", {.proxy = "http://" + proxy.Host()});
  CHECK(transport(MakeRequest("GET", "/")).ok());
  CHECK_THAT(asked.messages().at(0), !ContainsSubstring("Proxy-Authorization"));
}

TEST_CASE("user and password open a tunnel, and do not go through it") {
  const Certificate certificate("IP:127.0.0.1");
  const PemFile pem(certificate);
  test::SuspiciousTlsServer server(certificate);
  Recorder asked;
  FaultServer proxy(TunnelTo(server.port(), asked));
  const Transport transport("https://" + server.Host(),
                            {.ca_file = pem.path(), .proxy = WithUser(proxy.Host())});
  CHECK(transport(MakeRequest("GET", "/")).value().body == "hello");
  REQUIRE(asked.messages().size() == 1);
  CHECK_THAT(asked.messages()[0], StartsWith("CONNECT ") && ContainsSubstring(kAuthorization));
  CHECK(CountIn(asked.messages()[0], "Proxy-Authorization") == 1);
}

TEST_CASE("a proxy that refuses user and password for a tunnel is told so") {
  Recorder asked;
  FaultServer proxy([&](const Peer& peer) {
    asked.Add(peer.ReadMessage());
    peer.Write("HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n");
  });
  const Transport transport("https://orders.invalid", {.proxy = WithUser(proxy.Host())});
  const absl::Status status = transport(MakeRequest("GET", "/")).status();
  CHECK(status.code() == Code::kFailedPrecondition);
  CHECK(TransportErrorOf(status) == TransportError::kConnect);
  CHECK_THAT(std::string(status.message()),
             ContainsSubstring("HTTP 407 Who; it refused the user and password in its URL"));
  CheckSilentOfPassword(status);
  CHECK_THAT(asked.messages().at(0), ContainsSubstring(kAuthorization));
}

TEST_CASE("a proxy that refuses user and password for a request answers it") {
  FaultServer proxy([](const Peer& peer) {
    if (peer.ReadRequest()) peer.Write("HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n");
  });
  const Transport transport("http://orders.invalid", {.proxy = WithUser(proxy.Host())});
  CHECK(transport(MakeRequest("GET", "/")).value().status == 407);
}

TEST_CASE("no message shows user or password of a proxy") {
  std::string nobody;
  {
    const Listener listener(1);
    nobody = listener.Host();
  }
  for (const char* const origin : {"http://orders.invalid", "https://orders.invalid"}) {
    const Transport transport(origin, {.proxy = WithUser(nobody)});
    const absl::Status refused = transport(MakeRequest("GET", "/")).status();
    CHECK_THAT(std::string(refused.message()), ContainsSubstring("by the proxy http://" + nobody));
    CheckSilentOfPassword(refused);
    CheckSilentOfPassword(transport(MakeRequest("GET", "no slash")).status());
  }
  FaultServer silent([](const Peer& peer) { peer.ReadRequest(); });
  CheckSilentOfPassword(Transport("https://orders.invalid",
                                  {.proxy = WithUser(silent.Host())})(MakeRequest("GET", "/"))
                            .status());
}

TEST_CASE("an origin that is an exception is reached without the proxy") {
  Recorder asked;
  FaultServer server(Greets(asked));
  FaultServer proxy([](const Peer& peer) { peer.ReadRequest(); });
  const Transport transport("http://" + server.Host(),
                            {.proxy = WithUser(proxy.Host()), .no_proxy = "127.0.0.0/8"});
  CHECK(transport(MakeRequest("GET", "/")).ok());
  CHECK_THAT(asked.messages().at(0),
             StartsWith("GET / HTTP/1.1\r\n") && !ContainsSubstring("Proxy-Authorization"));
  CHECK(proxy.accepted() == 0);
}

TEST_CASE("what is for a proxy does not go to an origin that is reached without it") {
  Recorder asked;
  FaultServer origin(Greets(asked));
  const Request request = {.headers = {{"Proxy-Authorization", "Basic s3cret"}}};
  const Transport exempt("http://" + origin.Host(),
                         {.proxy = "http://proxy.test", .no_proxy = "127.0.0.0/8"});
  const absl::Status status = exempt(request).status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(TransportErrorOf(status) == TransportError::kRequest);
  CHECK(Transport("http://" + origin.Host())(request).ok());
}

TEST_CASE("the environment is read when a transport is made that is told to") {
  Recorder asked;
  FaultServer proxy(Greets(asked));
  const ProxyVariables variables;
  variables.Set("http_proxy", "scott:tiger@" + proxy.Host());
  const Transport transport("http://orders.invalid", {.proxy_from_environment = true});
  variables.Set("http_proxy", "");
  CHECK(transport(MakeRequest("GET", "/")).ok());
  CHECK_THAT(asked.messages().at(0), StartsWith("GET http://orders.invalid/ HTTP/1.1\r\n") &&
                                         ContainsSubstring(kAuthorization));
}

TEST_CASE("each call tells which variable of the environment names no proxy") {
  const ProxyVariables variables;
  variables.Set("https_proxy", "https://scott:tiger@proxy");
  const Transport transport("https://orders.invalid", {.proxy_from_environment = true});
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = transport(MakeRequest("GET", "/")).status();
    CHECK(status.code() == Code::kInvalidArgument);
    CHECK(TransportErrorOf(status) == TransportError::kRequest);
    CHECK_THAT(std::string(status.message()),
               ContainsSubstring("https_proxy") && ContainsSubstring("TLS to a proxy"));
    CheckSilentOfPassword(status);
  }
}

}  // namespace
}  // namespace holdfast::http::proxy_credentials_test
