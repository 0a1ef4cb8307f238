// Retries end to end: mitmproxy between a stack and a real server turns answers into 502.
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "holdfast/http.h"
#include "test/http/certificate.h"
#include "test/http/mitmdump.h"
#include "test/http/test_server.h"
#include "test/http/tls_server.h"
#include "test/support/catch.h"

namespace holdfast::http::mitmproxy_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::Certificate;
using test::MakeRequest;
using test::Mitmdump;
using test::TestServer;

// What a call ended with, after how many attempts, and why.
struct Ended {
  int status;
  int attempts;
  EndReason ended_by;

  friend bool operator==(const Ended&, const Ended&) = default;
};

Ended Get(const StandardClient& fetch) {
  Report report;
  const auto response = fetch.With({.report = &report}, MakeRequest("GET", "/"));
  return {.status = response.ok() ? response->status : 0,
          .attempts = report.attempts,
          .ended_by = report.ended_by};
}

template <class Server>
void Answer(Server& server) {
  server.Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("hello", "text/plain");
  });
  server.Start();
}

StandardClientOptions Through(const Mitmdump& proxy) {
  return {.retry = {.backoff = Backoff::Constant(1ms)}, .transport = {.proxy = proxy.Url()}};
}

// Where mitmproxy is not installed there is nothing to test.
bool Runs(const Mitmdump& proxy) {
  if (!proxy.installed()) {
    WARN("skipped: there is no mitmdump; Debian's package is mitmproxy");
    return false;
  }
  CAPTURE(proxy.output());
  REQUIRE(proxy.port() != 0);
  return true;
}

TEST_CASE("mitmproxy breaks the first answers, and a stack gets through") {
  TestServer server;
  Answer(server);
  const Mitmdump proxy({"fail=first", "count=2"});
  if (!Runs(proxy)) return;
  const StandardClient fetch("http://" + server.Host(), Through(proxy));
  CHECK(Get(fetch) == Ended{.status = 200, .attempts = 3, .ended_by = EndReason::kSuccess});
  CHECK(Get(fetch) == Ended{.status = 200, .attempts = 1, .ended_by = EndReason::kSuccess});
  CHECK(proxy.requests() == 4);
  CHECK(server.requests() == 4);
}

TEST_CASE("mitmproxy breaks every answer, and a stack hands on the last") {
  TestServer server;
  Answer(server);
  const Mitmdump proxy({"fail=always"});
  if (!Runs(proxy)) return;
  const StandardClient fetch("http://" + server.Host(), Through(proxy));
  CHECK(Get(fetch) == Ended{.status = 502, .attempts = 4, .ended_by = EndReason::kAttempts});
  CHECK(proxy.requests() == 4);
}

TEST_CASE("mitmproxy breaks answers at random, and each call takes the attempts that it needs") {
  TestServer server;
  Answer(server);
  const Mitmdump proxy({"fail=random", "percent=50", "seed=7"});
  if (!Runs(proxy)) return;
  StandardClientOptions options = Through(proxy);
  options.retry.max_attempts = 50;
  options.retry.budget = RetryBudget::Unlimited();
  options.breaker.rules = {ConsecutiveFailures(1000)};
  options.attempt_timeout = 500ms;
  const StandardClient fetch("http://" + server.Host(), options);
  std::uintmax_t attempts = 0;
  for (int i = 0; i < 30; ++i) {
    const Ended ended = Get(fetch);
    CHECK(ended.status == 200);
    attempts += static_cast<std::uintmax_t>(ended.attempts);
  }
  CHECK(attempts > 40);
  CHECK(attempts < 90);
  CHECK(proxy.requests() == attempts);
}

TEST_CASE("mitmproxy breaks answers within TLS") {
  const Certificate certificate("IP:127.0.0.1");
  test::TlsServer server(certificate);
  Answer(server);
  const Mitmdump proxy({"fail=first", "count=2"});
  if (!Runs(proxy)) return;
  StandardClientOptions options = Through(proxy);
  const auto get = [&] { return Get(StandardClient("https://" + server.Host(), options)); };
  const Ended third = {.status = 200, .attempts = 3, .ended_by = EndReason::kSuccess};
  SECTION("for who trusts its authority") {
    options.transport.ca_file = proxy.CaFile();
    CHECK(get() == third);
    CHECK(proxy.requests() == 3);
  }
  SECTION("for who verifies nothing") {
    options.transport.verify = false;
    CHECK(get() == third);
    CHECK(proxy.requests() == 3);
  }
  SECTION("but not for who trusts only the system's authorities") {
    CHECK(get() == Ended{.status = 0, .attempts = 1, .ended_by = EndReason::kNotRetryable});
    CHECK(proxy.requests() == 0);
  }
}

}  // namespace
}  // namespace holdfast::http::mitmproxy_test
