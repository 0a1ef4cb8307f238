// Which redirects are followed, and with what; no network.
#include "holdfast/http/redirect.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/http.h"
#include "test/http/redirecting_server.h"
#include "test/support/catch.h"

namespace holdfast::http::redirect_test {
namespace {

using test::ContainsSubstring;
using test::Page;
using test::RedirectingServer;
using test::RedirectTo;
using Answer = absl::StatusOr<Response>;

constexpr char kOrigin[] = "https://a.test";

Answer Fetch(RedirectingServer& server, const Request& request, RedirectOptions options = {}) {
  if (options.origin.empty()) options.origin = kOrigin;
  return FollowRedirects(std::ref(server), std::move(options))(request);
}

std::string HeadersOf(const Request& request) {
  std::string text;
  for (const auto& [name, value] : request.headers) text += name + "=" + value + ";";
  return text;
}

TEST_CASE("the status and the method say what the next request is") {
  struct Row {
    int status;
    std::string method;
    std::string next;  // its method
    bool keeps_body;
  };
  const Row row = GENERATE(values<Row>({
      {301, "GET", "GET", true},   {301, "HEAD", "HEAD", true},   {301, "POST", "GET", false},
      {301, "PUT", "PUT", true},   {301, "post", "post", true},   {302, "GET", "GET", true},
      {302, "POST", "GET", false}, {302, "PATCH", "PATCH", true}, {302, "DELETE", "DELETE", true},
      {303, "GET", "GET", false},  {303, "HEAD", "HEAD", false},  {303, "POST", "GET", false},
      {303, "PUT", "GET", false},  {303, "DELETE", "GET", false}, {307, "GET", "GET", true},
      {307, "POST", "POST", true}, {307, "PATCH", "PATCH", true}, {308, "HEAD", "HEAD", true},
      {308, "POST", "POST", true}, {308, "PUT", "PUT", true},
  }));
  CAPTURE(row.status, row.method);
  RedirectingServer server{{RedirectTo("/new", row.status), Page()}};
  const Request request = {.method = row.method,
                           .target = "/old",
                           .headers = {{"Accept", "x"},
                                       {"content-type", "text/plain"},
                                       {"Content-Language", "de"},
                                       {"Transfer-Encoding", "chunked"},
                                       {"Trailer", "T"},
                                       {"Digest", "d"},
                                       {"Last-Modified", "l"},
                                       {"expect", "100-continue"},
                                       {"Authorization", "a"}},
                           .body = "body",
                           .trailers = [] { return Headers(); }};
  const Answer answer = Fetch(server, request);
  REQUIRE(answer.ok());
  CHECK(answer->body == "page");
  REQUIRE(server.requests.size() == 2);
  const Request& next = server.requests[1];
  CHECK(next.target == "/new");
  CHECK(next.method == row.next);
  CHECK(next.body == (row.keeps_body ? "body" : ""));
  CHECK(bool(next.trailers) == row.keeps_body);
  CHECK(HeadersOf(next) ==
        (row.keeps_body ? HeadersOf(request) : std::string("Accept=x;Authorization=a;")));
}

TEST_CASE("a body from a sender is sent again only if it can start over") {
  const auto [status, with_length, followed] =
      GENERATE(table<int, bool, bool>({{303, false, true},
                                       {303, true, true},
                                       {302, false, true},
                                       {307, true, true},
                                       {307, false, false},
                                       {308, false, false}}));
  CAPTURE(status, with_length);
  RedirectingServer server{{RedirectTo("/new", status), Page()}};
  Request request = {.method = "POST"};
  request.sender = [](std::uint64_t, std::string&) { return true; };
  if (with_length) request.sender_length = 7;
  const Answer answer = Fetch(server, request);
  CHECK(answer->status == (followed ? 200 : status));
  REQUIRE(server.requests.size() == (followed ? 2 : 1));
  if (!followed) return;
  const bool kept = status == 307;
  CHECK(bool(server.requests[1].sender) == kept);
  CHECK(server.requests[1].sender_length ==
        (kept ? std::optional<std::uint64_t>(7) : std::nullopt));
}

TEST_CASE("what is not to be followed is returned as it is") {
  Response response = RedirectTo("/new");
  Request request;
  SECTION("another status") {
    response.status = GENERATE(200, 201, 300, 304, 305, 306, 309, 404, 503);
  }
  SECTION("no Location") { response.headers.Remove("Location"); }
  SECTION("two") { response.headers.Add("location", "/new"); }
  SECTION("one that can't be followed") {
    response.headers.Set("Location", GENERATE("", "/a b", "ftp://a.test/", "https://u@a.test/"));
  }
  SECTION("another origin, for which there is nobody") {
    response.headers.Set("Location", GENERATE("https://b.test/", "//b.test/", "https://a.test:1/"));
  }
  SECTION("an end of TLS") { response.headers.Set("Location", "http://a.test/"); }
  SECTION("an answer to CONNECT") { request = {.method = "CONNECT", .target = "a.test:1"}; }
  CAPTURE(response.status);
  RedirectingServer server{{response}};
  const Answer answer = Fetch(server, request);
  REQUIRE(answer.ok());
  CHECK(answer->status == response.status);
  CHECK(answer->headers == response.headers);
  CHECK(answer->body == "moved");
}

TEST_CASE("each Location is resolved beside the one before") {
  RedirectingServer server{{RedirectTo("b/c?d#e"), RedirectTo("../f"),
                            RedirectTo("HTTPS://A.TEST:443/g?h"), RedirectTo("?i"), Page()}};
  CHECK(Fetch(server, {.target = "/a/x?y"})->body == "page");
  std::vector<std::string> targets;
  for (const Request& request : server.requests) targets.push_back(request.target);
  CHECK(targets == std::vector<std::string>{"/a/x?y", "/a/b/c?d", "/a/f", "/g?h", "/g?i"});
}

TEST_CASE("a call is redirected so often and no more") {
  const int most = GENERATE(1, 2, 10, 100);
  CAPTURE(most);
  RedirectingServer server{
      std::vector<Answer>(static_cast<std::size_t>(most) + 1, RedirectTo("/loop"))};
  bool told = false;
  const Request request = {.receiver = [&](std::string_view) { return told = true; },
                           .on_head = [&](const Response&) { return told = true; }};
  const Answer answer = Fetch(server, request, {.max_redirects = most});
  CHECK(server.requests.size() == server.answers.size());
  CHECK(answer.status().code() == absl::StatusCode::kFailedPrecondition);
  CHECK(TransportErrorOf(answer.status()) == TransportError::kRedirect);
  CHECK_THAT(std::string(answer.status().message()),
             ContainsSubstring(kOrigin) &&
                 ContainsSubstring("more than " + std::to_string(most) + " redirect"));
  CHECK_FALSE(told);
}

TEST_CASE("the last redirect that is allowed is followed") {
  RedirectingServer server{{RedirectTo("/a"), RedirectTo("/b"), Page()}};
  CHECK(Fetch(server, {}, {.max_redirects = 2})->body == "page");
}

TEST_CASE("with a limit of 0 a redirect is a response as any other") {
  RedirectingServer server{{RedirectTo("/a")}};
  std::string got;
  const Request request = {.receiver = [&](std::string_view part) {
    got += part;
    return true;
  }};
  CHECK(Fetch(server, request, {.max_redirects = 0})->status == 302);
  CHECK(got == "moved");
}

TEST_CASE("another origin gets the request without what is for one") {
  RedirectingServer home{{RedirectTo("https://B.test:8443/x?y", 307), RedirectTo("/end"), Page()}};
  RedirectingServer other{{RedirectTo("z", 308), RedirectTo("https://a.test/back", 307)}};
  std::vector<std::string> origins;
  const RedirectOptions options = {
      .origin = kOrigin,
      .elsewhere = [&](const std::string& origin, const Request& request, const CallOptions&) {
        origins.push_back(origin);
        return other(request);
      }};
  const Request request = {.method = "POST",
                           .target = "/a",
                           .headers = {{"Accept", "x"},
                                       {"authorization", "s"},
                                       {"Cookie", "s"},
                                       {"Cookie2", "s"},
                                       {"Proxy-Authorization", "s"},
                                       {"Host", "a.test"},
                                       {"Content-Type", "t"}},
                           .body = "b"};
  CHECK(Fetch(home, request, options)->body == "page");
  CHECK(origins == std::vector<std::string>(2, "https://b.test:8443"));
  REQUIRE(other.requests.size() == 2);
  CHECK(other.requests[0].target == "/x?y");
  CHECK(other.requests[1].target == "/z");
  for (const Request& one : other.requests) {
    CHECK(one.method == "POST");
    CHECK(one.body == "b");
    CHECK(HeadersOf(one) == "Accept=x;Content-Type=t;");
  }
  REQUIRE(home.requests.size() == 3);
  CHECK(home.requests[1].target == "/back");
  CHECK(HeadersOf(home.requests[1]) == "Accept=x;Content-Type=t;");
  CHECK(HeadersOf(home.requests[2]) == "Accept=x;");
}

TEST_CASE("TLS is not left for another origin either, and may be begun") {
  const auto follow = [](const std::string& from, const std::string& to) {
    RedirectingServer home{{RedirectTo(to)}};
    return Fetch(home, {},
                 {.origin = from,
                  .elsewhere = [](const std::string&, const Request&,
                                  const CallOptions&) { return Answer(Page()); }})
        ->status;
  };
  CHECK(follow("https://a.test", "http://b.test/") == 302);
  CHECK(follow("https://a.test", "http://a.test/") == 302);
  CHECK(follow("http://a.test", "https://a.test/") == 200);
  CHECK(follow("http://a.test", "http://b.test/") == 200);
}

TEST_CASE("the caller sees the head and the body of the last response only") {
  Response redirect = RedirectTo("/new");
  RedirectingServer server{{redirect, redirect, Page()}};
  std::vector<int> heads;
  std::string got;
  Request request = {.on_head = [&](const Response& head) {
    heads.push_back(head.status);
    return true;
  }};
  SECTION("with a receiver") {
    request.receiver = [&](std::string_view part) {
      got += part;
      return true;
    };
    CHECK(Fetch(server, request)->body.empty());
    CHECK(got == "page");
  }
  SECTION("with a receiver alone") {
    request.on_head = nullptr;
    request.receiver = [&](std::string_view part) {
      got += part;
      return true;
    };
    CHECK(Fetch(server, request).ok());
    CHECK(got == "page");
    return;
  }
  SECTION("without") { CHECK(Fetch(server, request)->body == "page"); }
  SECTION("where that is a redirect") {
    server.answers[1].value().headers.Set("Location", "ftp://a.test/");
    CHECK(Fetch(server, request)->status == 302);
    CHECK(heads == std::vector<int>{302});
    return;
  }
  SECTION("and may refuse it") {
    request.on_head = [](const Response& head) { return head.status != 200; };
    CHECK(absl::IsCancelled(Fetch(server, request).status()));
    CHECK(server.requests.size() == 3);
    return;
  }
  CHECK(heads == std::vector<int>{200});
}

TEST_CASE("the other callbacks are those of each hop") {
  RedirectingServer server{{RedirectTo("/new", 307), Page()}};
  const BodyProgress progress = [](std::uint64_t, std::optional<std::uint64_t>) { return true; };
  const Request request = {
      .on_interim = [](const Response&) {}, .on_upload = progress, .on_download = progress};
  CHECK(Fetch(server, request).ok());
  CHECK(server.requests[1].on_interim);
  CHECK(server.requests[1].on_upload);
  CHECK(server.requests[1].on_download);
}

TEST_CASE("a later hop that fails does not say that a POST before it was not sent") {
  const absl::Status refused =
      WithTransportError(absl::UnavailableError("refused"), TransportError::kConnect);
  const absl::Status rejected =
      MakeRejection(absl::StatusCode::kUnavailable,
                    {.kind = RejectionKind::kCircuitOpen, .policy = "CircuitBreak"}, "");
  for (const absl::Status& failure : {refused, rejected}) {
    RedirectingServer server{{RedirectTo("/done", 303), failure}};
    const absl::Status status = Fetch(server, {.method = "POST"}).status();
    CHECK(status.code() == failure.code());
    CHECK(status.message() == failure.message());
    CHECK(TransportErrorOf(status) == TransportError::kOutcomeUnknown);
    CHECK_FALSE(RejectionOf(status));
    RedirectingServer again{{RedirectTo("/done", 303), failure}};
    CHECK(Fetch(again, {.method = "PUT"}).status() == failure);
  }
}

TEST_CASE("of the body of a redirect no more is waited for than is needed") {
  const bool endless = GENERATE(true, false);
  std::size_t taken = 0;
  const auto send = [&](const Request& request) -> Answer {
    if (request.target == "/new") {
      CHECK(request.on_head(Page()));
      CHECK_FALSE(request.receiver("page").cancels());
      return Page();
    }
    CHECK(request.on_head(RedirectTo("/new")));
    const std::string part(10'000, 'x');
    while (taken < 1'000'000 && !request.receiver(part).cancels() && endless) taken += part.size();
    return WithTransportError(
        endless ? absl::CancelledError("a callback") : absl::UnavailableError("lost"),
        TransportError::kPartialResponse);
  };
  std::string got;
  const Request request = {.target = "/old", .receiver = [&](std::string_view part) {
                             got += part;
                             return true;
                           }};
  CHECK(FollowRedirects(send, {.origin = kOrigin})(request).ok());
  CHECK(got == "page");
  CHECK(taken < 100'000);
}

TEST_CASE("who is stopped in the body of a redirect goes nowhere") {
  const auto send = [](const Request& request) -> Answer {
    CHECK(request.on_head(RedirectTo("/new")));
    CHECK_FALSE(request.receiver("x").cancels());
    return WithTransportError(absl::CancelledError("stopped"), TransportError::kPartialResponse);
  };
  const Request request = {.receiver = [](std::string_view) { return true; }};
  CHECK(absl::IsCancelled(FollowRedirects(send, {.origin = kOrigin})(request).status()));
}

TEST_CASE("an error and an exception of a hop pass through") {
  RedirectingServer server{{RedirectTo("/new"), absl::UnavailableError("down")}};
  CHECK(Fetch(server, {}).status() == absl::UnavailableError("down"));
  int ran = 0;
  const auto throws = [&](const Request&) -> Answer {
    if (++ran == 2) throw std::runtime_error("broken");
    return RedirectTo("/new");
  };
  const FollowRedirects fetch(throws, {.origin = kOrigin});
  CHECK_THROWS_AS(fetch(Request()), std::runtime_error);
}

}  // namespace
}  // namespace holdfast::http::redirect_test
