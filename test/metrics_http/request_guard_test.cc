#include "src/metrics_http/request_guard.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "test/support/catch.h"

namespace holdfast::request_guard_test {
namespace {

using http::wire::Event;
using http::wire::RequestReader;
using internal::BringsToken;
using internal::IsHostOf;
using internal::PathOf;

constexpr std::string_view kToken = "0123456789abcdef";

// The status of the refusal; 0: there is none.
int StatusOf(std::string bytes, const MetricsServerOptions& options = {}) {
  RequestReader reader;
  std::string_view left = bytes;
  REQUIRE(reader.Next(left) == Event::kHead);
  const auto refusal = internal::RefusalOf(reader, options);
  return refusal ? refusal->status : 0;
}

std::string Request(std::string_view line, std::string_view fields) {
  return std::string(line) + " HTTP/1.1\r\n" + std::string(fields) + "\r\n";
}

int StatusWith(std::string_view fields, const MetricsServerOptions& options = {},
               std::string_view path = "/metrics") {
  return StatusOf(Request("GET " + std::string(path), "Host: localhost\r\n" + std::string(fields)),
                  options);
}

TEST_CASE("a server is reached by localhost, by addresses and by the names that it is given") {
  const std::array<std::string, 1> names = {"metrics.example"};
  for (const std::string_view host :
       {"localhost", "LOCALHOST:9464", "localhost.", "127.0.0.1", "127.0.0.1:9464", "[::1]",
        "[::1]:80", "192.0.2.7:1", "metrics.example", "Metrics.Example:443"}) {
    CAPTURE(host);
    CHECK(IsHostOf(host, names));
  }
  for (const std::string_view host :
       {"", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
        "metrics.example.org", "[::1", "[::1]x", "[evil]", "1270.0.0.1", ":80"}) {
    CAPTURE(host);
    CHECK_FALSE(IsHostOf(host, names));
  }
}

TEST_CASE("a request for another host is refused, also where its target names the host") {
  CHECK(StatusOf(Request("GET /", "Host: localhost:1\r\n")) == 0);
  CHECK(StatusOf(Request("GET /", "Host: evil.example\r\n")) == 421);
  CHECK(StatusOf("GET / HTTP/1.0\r\n\r\n") == 421);
  CHECK(StatusOf(Request("GET http://evil.example/", "Host: localhost\r\n")) == 421);
  CHECK(StatusOf(Request("GET http://localhost/", "Host: evil.example\r\n")) == 0);
}

TEST_CASE("only GET and HEAD are answered") {
  for (const std::string method : {"GET", "HEAD"}) {
    CHECK(StatusOf(Request(method + " /", "Host: localhost\r\n")) == 0);
  }
  for (const std::string method : {"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"}) {
    CAPTURE(method);
    CHECK(StatusOf(Request(method + " /", "Host: localhost\r\n")) == 405);
  }
}

TEST_CASE("the path of a target has no query") {
  CHECK(PathOf("/") == "/");
  CHECK(PathOf("/metrics?x=/y") == "/metrics");
  CHECK(PathOf("http://a.example") == "/");
  CHECK(PathOf("http://a.example?x") == "/");
  CHECK(PathOf("HTTP://a.example/metrics?x") == "/metrics");
  CHECK(PathOf("*") == std::nullopt);
  CHECK(PathOf("a.example:443") == std::nullopt);
}

TEST_CASE("pages of other sites get nothing, but may link to the page") {
  constexpr std::string_view kLink =
      "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
  CHECK(StatusWith("Sec-Fetch-Site: same-origin\r\n") == 0);
  CHECK(StatusWith("Sec-Fetch-Site: none\r\n") == 0);
  CHECK(StatusWith("Sec-Fetch-Site: cross-site\r\n") == 403);
  CHECK(StatusWith("Sec-Fetch-Site: same-site\r\n") == 403);
  CHECK(StatusWith(kLink, {}, "/") == 0);
  CHECK(StatusWith(kLink, {}, "/snapshot.json") == 403);
  CHECK(StatusWith("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n"
                   "Sec-Fetch-Dest: iframe\r\n",
                   {}, "/") == 403);
}

TEST_CASE("a token comes as Bearer, or as the password of a Basic one") {
  CHECK(BringsToken("Bearer 0123456789abcdef", kToken));
  CHECK(BringsToken("bearer  0123456789abcdef", kToken));
  CHECK(BringsToken("Basic YW55Ym9keTowMTIzNDU2Nzg5YWJjZGVm", kToken));  // anybody:
  CHECK(BringsToken("basic OjAxMjM0NTY3ODlhYmNkZWY=", kToken));          // :
  for (const std::string_view wrong :
       {"", "Bearer", "Bearer ", "Bearer 0123456789abcdeX", "Bearer 0123456789abcdef0",
        "Bearer 0123456789abcde", "Digest 0123456789abcdef", "Basic 0123456789abcdef", "Basic !",
        "Basic MDEyMzQ1Njc4OWFiY2RlZg==", "0123456789abcdef"}) {
    CAPTURE(wrong);
    CHECK_FALSE(BringsToken(wrong, kToken));
  }
}

TEST_CASE("without its token a server says only that it is alive") {
  const MetricsServerOptions options = {.token = std::string(kToken)};
  CHECK(StatusWith("", options) == 401);
  CHECK(StatusWith("Authorization: Bearer wrong-wrong-wrong\r\n", options) == 401);
  CHECK(StatusWith("Authorization: Bearer 0123456789abcdef\r\n", options) == 0);
  CHECK(StatusWith("", options, "/healthz") == 0);
  CHECK(StatusWith("", options, "/healthz/../metrics") == 401);
}

}  // namespace
}  // namespace holdfast::request_guard_test
