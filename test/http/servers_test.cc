// The servers that people run, as they come: what they do with connections, bodies and limits.
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "holdfast/http.h"
#include "test/http/real_server.h"
#include "test/http/real_server_configs.h"
#include "test/support/catch.h"

namespace holdfast::http::servers_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::RealServer;

constexpr int kMany = 30;

// Where a server is not installed there is nothing to test.
bool Runs(const RealServer& server, std::string_view package) {
  if (!server.installed()) {
    WARN("skipped: there is no server of Debian's package " << package);
    return false;
  }
  CAPTURE(server.output(), server.Read("error.log"));
  REQUIRE(server.port() != 0);
  return true;
}

Transport To(const RealServer& server) { return Transport(server.Url(), {.total_timeout = 60s}); }

absl::StatusOr<Response> Get(const Transport& transport, std::string target, Headers headers = {}) {
  return transport(Request{.target = std::move(target), .headers = std::move(headers)});
}

Request Post(std::string target, std::string body) {
  return {.method = "POST", .target = std::move(target), .body = std::move(body)};
}

// So many bytes, in chunks, that are not all the same.
Request Chunked(std::string target, std::size_t size, std::string& sent) {
  sent.clear();
  return {.method = "POST",
          .target = std::move(target),
          .sender = [&sent, size](std::uint64_t offset, std::string& bytes) {
            if (offset < size) {
              bytes.assign(std::min<std::size_t>(size - offset, 10'000),
                           static_cast<char>('a' + offset / 10'000 % 26));
              sent += bytes;
            }
            return true;
          }};
}

// As the script of Node answers.
std::string Taken(const std::string& method, const std::string& body) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  ::EVP_Digest(body.data(), body.size(), digest.data(), &size, ::EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned i = 0; i < size; ++i)
    absl::StrAppend(&hex, absl::Hex(digest.at(i), absl::kZeroPad2));
  return absl::StrCat(method, " ", body.size(), " ", hex);
}

// What the static file of a server is good for, with validators and without.
void CheckFile(const Transport& transport) {
  const auto whole = Get(transport, "/hello.txt");
  CAPTURE(whole.status().ToString());
  REQUIRE(whole.ok());
  CHECK(whole->status == 200);
  CHECK(whole->body == test::kFile);
  const auto head = transport(Request{.method = "HEAD", .target = "/hello.txt"});
  REQUIRE(head.ok());
  CHECK(head->status == 200);
  CHECK(head->body.empty());
  CHECK(head->headers.Find("Content-Length") == whole->headers.Find("Content-Length"));
  const auto since = whole->headers.Find("Last-Modified");
  REQUIRE(since);
  Headers conditional = {{"If-Modified-Since", std::string(*since)}};
  if (const auto tag = whole->headers.Find("ETag")) {
    conditional = {{"If-None-Match", std::string(*tag)}};
  }
  const auto same = Get(transport, "/hello.txt", conditional);
  REQUIRE(same.ok());
  CHECK(same->status == 304);
  CHECK(same->body.empty());
  CHECK(Get(transport, "/hello.txt").value().body == test::kFile);
  CHECK(Get(transport, "/none").value().status == 404);
}

// Every third has a body. None may be lost at the end of a connection.
void CheckMany(const Transport& transport, const std::string& target, int connections) {
  for (int i = 0; i < kMany; ++i) {
    const auto response = i % 3 == 0 ? transport(Post(target, "a body")) : Get(transport, target);
    CAPTURE(i, response.status().ToString());
    REQUIRE(response.ok());
    REQUIRE(response->status == 200);
  }
  CHECK(transport.stats().opened == connections);
  CHECK(transport.stats().reused == kMany - connections);
}

void CheckUploads(const Transport& transport) {
  for (const std::size_t size : {0, 1, 10'000, 3'000'000}) {
    CAPTURE(size);
    std::string sent;
    const auto chunked = transport(Chunked("/", size, sent));
    CAPTURE(chunked.status().ToString());
    REQUIRE(chunked.ok());
    CHECK(chunked->body == Taken("POST", sent));
    CHECK(transport(Post("/", sent)).value().body == Taken("POST", sent));
  }
  CHECK(transport.stats().opened == 1);
}

TEST_CASE("nginx keeps a connection, serves a file, and packs it") {
  const RealServer nginx = test::Nginx({});
  if (!Runs(nginx, "nginx")) return;
  const Transport transport = To(nginx);
  CheckMany(transport, "/post", 1);
  CheckFile(transport);
  const auto packed = Get(transport, "/hello.txt", {{"Accept-Encoding", "gzip"}});
  REQUIRE(packed.ok());
  CHECK(packed->headers.Find("Vary"));
  CHECK_FALSE(packed->headers.Has("Content-Encoding"));
  CHECK(packed->body == test::kFile);
  CHECK(transport.stats().opened == 1);
  const Transport raw(nginx.Url(), {.decode = false});
  CHECK(Get(raw, "/hello.txt", {{"Accept-Encoding", "gzip"}})
            .value()
            .headers.Find("Content-Encoding") == "gzip");
}

TEST_CASE("nginx ends a connection after five requests, and no request is lost") {
  const RealServer nginx = test::Nginx({.keepalive_requests = 5});
  if (!Runs(nginx, "nginx")) return;
  CheckMany(To(nginx), "/post", kMany / 5);
}

TEST_CASE("nginx refuses in mid-upload what is too large for it") {
  const RealServer nginx = test::Nginx({});
  if (!Runs(nginx, "nginx")) return;
  const Transport transport = To(nginx);
  std::string sent;
  const bool chunked = GENERATE(false, true);
  const auto refused = chunked ? transport(Chunked("/limited", 20'000'000, sent))
                               : transport(Post("/post", std::string(20'000'000, 'x')));
  CAPTURE(chunked, refused.status().ToString());
  REQUIRE(refused.ok());
  CHECK(refused->status == 413);
  CHECK(transport.stats().idle == 0);
  CHECK(transport(Post("/post", "small")).value().status == 200);
}

TEST_CASE("nginx and HAProxy hand an upload on to Node, whole") {
  const RealServer node = test::Node({});
  if (!Runs(node, "nodejs")) return;
  SECTION("Node itself") { CheckUploads(To(node)); }
  SECTION("nginx") {
    const RealServer nginx = test::Nginx({.upstream = node.port()});
    if (Runs(nginx, "nginx")) CheckUploads(To(nginx));
  }
  SECTION("HAProxy") {
    const RealServer haproxy = test::Haproxy(node.port());
    if (Runs(haproxy, "haproxy")) CheckUploads(To(haproxy));
  }
}

TEST_CASE("HAProxy keeps a connection, and says when there is no server behind it") {
  const RealServer node = test::Node({});
  if (!Runs(node, "nodejs")) return;
  const RealServer haproxy = test::Haproxy(node.port());
  if (!Runs(haproxy, "haproxy")) return;
  const Transport transport = To(haproxy);
  CheckMany(transport, "/", 1);
  const auto head = transport(Request{.method = "HEAD"});
  CHECK(head.value().status == 200);
  const RealServer alone = test::Haproxy(1);
  REQUIRE(Runs(alone, "haproxy"));
  CHECK(Get(To(alone), "/").value().status == 503);
}

TEST_CASE("Node ends a connection after five requests, and no request is lost") {
  const RealServer node = test::Node({.max_requests_per_socket = 5});
  if (!Runs(node, "nodejs")) return;
  CheckMany(To(node), "/", kMany / 5);
}

TEST_CASE("Node ends a connection that is idle for a second, and no request is lost") {
  const RealServer node = test::Node({.keep_alive_timeout = 1000});
  if (!Runs(node, "nodejs")) return;
  const Transport transport = To(node);
  for (const auto pause : {0ms, 300ms, 1000ms}) {
    std::this_thread::sleep_for(pause);  // about as long as the server waits
    const auto response = transport(Post("/", "a body"));
    CAPTURE(pause.count(), response.status().ToString());
    REQUIRE(response.ok());
    CHECK(response->body == Taken("POST", "a body"));
  }
}

TEST_CASE("Apache ends a connection after six requests, and no request is lost") {
  const RealServer apache = test::Apache(5);  // after the first
  if (!Runs(apache, "apache2-bin")) return;
  CheckMany(To(apache), "/hello.txt", kMany / 6);
}

TEST_CASE("Apache keeps a connection and serves a file") {
  const RealServer apache = test::Apache(0);
  if (!Runs(apache, "apache2-bin")) return;
  const Transport transport = To(apache);
  for (int i = 0; i < 20; ++i) REQUIRE(Get(transport, "/hello.txt").value().status == 200);
  CheckFile(transport);
  CHECK(transport.stats().opened == 1);
}

TEST_CASE("Python's server speaks HTTP/1.0, and ends each connection") {
  const RealServer python = test::Python();
  if (!Runs(python, "python3")) return;
  const Transport transport = To(python);
  for (int i = 0; i < 20; ++i) REQUIRE(Get(transport, "/hello.txt").value().minor_version == 0);
  CheckFile(transport);
  CHECK(transport(Post("/hello.txt", "a body")).value().status == 501);
  CHECK(transport.stats().reused == 0);
}

}  // namespace
}  // namespace holdfast::http::servers_test
