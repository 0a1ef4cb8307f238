// FollowRedirects with stacks, a StandardClient and wrong options; no network.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "holdfast/http.h"
#include "holdfast/testing/fake_clock.h"
#include "test/http/redirecting_server.h"
#include "test/support/catch.h"

namespace holdfast::http::redirect_stack_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using holdfast::testing::FakeClock;
using test::ContainsSubstring;
using test::Page;
using test::RedirectingServer;
using test::RedirectTo;
using Answer = absl::StatusOr<Response>;

constexpr char kOrigin[] = "https://a.test";

TEST_CASE("options that make no sense are refused with a sentence") {
  const auto [options, why] = GENERATE(table<RedirectOptions, std::string>({
      {{.max_redirects = -1}, "FollowRedirects: max_redirects must be from 0 to 100, not -1"},
      {{.max_redirects = 101}, "not 101"},
      {{.origin = "a.test"}, "FollowRedirects: origin: bad URL"},
      {{.origin = "http://u:secret@a.test"}, "must not contain a user"},
  }));
  const absl::Status status = Validate(options);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(status.message()), ContainsSubstring(why));
  const auto page = [](const Request&) { return Answer(Page()); };
  CHECK_THROWS_AS(FollowRedirects(page, options), std::invalid_argument);
  CHECK_THROWS_AS(StandardClient("http://a.test", {.redirects = options}), std::invalid_argument);
  CHECK(Validate(RedirectOptions{}).ok());
}

TEST_CASE("an executor that does not know its origin has to be told it") {
  const auto page = [](const Request&) { return Answer(Page()); };
  CHECK_THROWS_WITH(FollowRedirects(page),
                    "FollowRedirects: origin is missing; set it to scheme://host[:port] of the "
                    "executor");
  CHECK(FollowRedirects(page, {.origin = kOrigin})(Request()).ok());
  // A bad origin comes from a configuration, and is what each call says.
  CHECK(FollowRedirects(Transport("localhost:8080"))(Request()).status().code() ==
        absl::StatusCode::kInvalidArgument);
  CHECK(Transport("HTTP://localhost:80").origin() == "http://localhost");
  CHECK(Transport("localhost").origin().empty());
  CHECK(StandardClient("http://localhost:8080/").origin() == "http://localhost:8080");
  CHECK(StandardClient("localhost").origin().empty());
}

TEST_CASE("each hop goes through the stack inside once, and a stack outside sees one call") {
  FakeClock clock;
  int ran = 0;
  std::vector<TimePoint> deadlines;
  const auto hop = Stack(Retry({.max_attempts = 2, .backoff = Backoff::Constant(1s)}))
                       .Around(
                           [&](const Request& request, Call& call) -> Answer {
                             deadlines.push_back(call.deadline());
                             if (++ran % 2 == 1) return absl::UnavailableError("down");
                             return request.target == "/" ? RedirectTo("/new") : Page();
                           },
                           &clock);
  const auto fetch = Stack(Timeout(10s)).Around(FollowRedirects(hop, {.origin = kOrigin}), &clock);
  CHECK(fetch(Request())->body == "page");
  CHECK(ran == 4);
  // One deadline for all: it is absolute.
  CHECK(deadlines == std::vector<TimePoint>(4, TimePoint(10s)));
}

TEST_CASE("Retry outside does not repeat a call that was redirected too often") {
  FakeClock clock;
  RedirectingServer server{std::vector<Answer>(2, RedirectTo("/loop"))};
  const FollowRedirects follow(std::ref(server), {.max_redirects = 1, .origin = kOrigin});
  const auto fetch = Stack(Retry({})).Around(follow, &clock);
  CHECK(TransportErrorOf(fetch(Request()).status()) == TransportError::kRedirect);
  CHECK(server.requests.size() == 2);
}

TEST_CASE("who sends to another origin is told the call's deadline") {
  FakeClock clock;
  std::vector<TimePoint> deadlines;
  const RedirectOptions options = {
      .origin = kOrigin,
      .elsewhere = [&](const std::string&, const Request&, const CallOptions& call) -> Answer {
        deadlines.push_back(call.deadline);
        return Page();
      }};
  const auto executor = [](const Request&) { return Answer(RedirectTo("https://b.test/")); };
  const TimePoint in_a_second = clock.Now() + 1s;
  SECTION("by a standard client") {
    const StandardClient client(executor, {.redirects = options, .clock = &clock});
    CHECK(client.With({.deadline = in_a_second}, Request()).ok());
    CHECK(client(Request()).ok());
    CHECK(deadlines == std::vector<TimePoint>{in_a_second, TimePoint::max()});
  }
  SECTION("by a stack around it") {
    const auto fetch = Stack(Timeout(1s)).Around(FollowRedirects(executor, options), &clock);
    CHECK(fetch(Request()).ok());
    CHECK(deadlines == std::vector<TimePoint>{in_a_second});
  }
}

TEST_CASE("a standard client follows redirects where it is told to") {
  FakeClock clock;
  int ran = 0;
  std::vector<TimePoint> deadlines;
  const auto executor = [&](const Request& request, Call& call) -> Answer {
    ++ran;
    deadlines.push_back(call.deadline());
    clock.Advance(1s);
    if (request.target == "/old") return RedirectTo("/new", 303);
    if (request.target == "/new") return RedirectTo("https://a.test/end");
    return Response{.status = 200, .body = request.method};
  };
  SECTION("by default it does not") {
    CHECK(StandardClient(executor, {.clock = &clock}).Get("/old")->status == 303);
  }
  SECTION("with braces it does") {
    const StandardClient client(executor, {.redirects = {.origin = kOrigin}, .clock = &clock});
    CHECK(client.origin() == kOrigin);
    CHECK(client.Post("/old", "x", "text/plain")->body == "GET");
    CHECK(client.breaker().CountsAt(clock.Now()).requests == 3);
    // total_timeout is of each hop.
    CHECK(deadlines[1] == deadlines[0] + 1s);
  }
  SECTION("the deadline of one call is of all hops") {
    const StandardClient client(executor, {.redirects = {.origin = kOrigin}, .clock = &clock});
    const TimePoint deadline = clock.Now() + 1500ms;
    Report report;
    CHECK(absl::IsDeadlineExceeded(
        client.With({.deadline = deadline, .report = &report}, {.target = "/old"}).status()));
    CHECK(ran == 2);
    CHECK(deadlines == std::vector<TimePoint>(2, deadline));
    CHECK(report.ended_by == EndReason::kDeadline);
  }
  SECTION("without an origin only by a path") {
    const StandardClient client(executor, {.redirects = {}, .clock = &clock});
    const Answer answer = client.Get("/old");
    CHECK(answer->status == 302);
    CHECK(ran == 2);
    CHECK(
        FollowRedirects(StandardClient(executor, {.clock = &clock}))({.target = "/old"})->status ==
        302);
  }
}

}  // namespace
}  // namespace holdfast::http::redirect_stack_test
