// Which requests of cpp-httplib may be made again, and two at once; no network.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "holdfast/http.h"
#include "holdfast/http/httplib.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

namespace holdfast::http::httplib_repeatable_test {
namespace {

using test::MakeRequest;

Repeatability Says(const httplib::Request& request) {
  return RequestTraits<httplib::Request>::RepeatabilityOf(request);
}

httplib::ContentProvider Provider() {
  return [](std::size_t, std::size_t, httplib::DataSink&) { return true; };
}

TEST_CASE("a request of cpp-httplib is idempotent by its method, or by a key") {
  for (const char* const method : {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"}) {
    CAPTURE(method);
    CHECK(Says(MakeRequest(method, "/")).idempotent);
    CHECK(MayRunAtOnce(Says(MakeRequest(method, "/"))));
  }
  for (const char* const method : {"POST", "PATCH", "PURGE", "get", ""}) {
    CAPTURE(method);
    httplib::Request request = MakeRequest(method, "/");
    CHECK_FALSE(Says(request).idempotent);
    request.set_header("idempotency-key", "");
    CHECK_FALSE(Says(request).idempotent);
    httplib::Request keyed = MakeRequest(method, "/");
    keyed.set_header("idempotency-key", "\"k\"");
    CHECK(MayRunAtOnce(Says(keyed)));
  }
}

TEST_CASE("a request of cpp-httplib that streams or is called back is never made twice at once") {
  httplib::Request request = MakeRequest("PUT", "/");
  Reuse reuse = Reuse::kAtOnce;
  SECTION("a string is copied") { request.body = "text"; }
  SECTION("a provider can start over") {
    request.content_provider_ = Provider();
    reuse = Reuse::kInTurn;
  }
  SECTION("a provider without a length can't") {
    request.content_provider_ = Provider();
    request.is_chunked_content_provider_ = true;
    request.content_receiver = [](const char*, std::size_t, std::uint64_t, std::uint64_t) {
      return true;
    };
    reuse = Reuse::kOnce;
  }
  SECTION("what a receiver was given can't be taken back") {
    request.content_provider_ = Provider();
    request.content_receiver = [](const char*, std::size_t, std::uint64_t, std::uint64_t) {
      return true;
    };
    reuse = Reuse::kUntilAnswered;
  }
  SECTION("a handler of the header") {
    request.response_handler = [](const httplib::Response&) { return true; };
    reuse = Reuse::kInTurn;
  }
  SECTION("progress") {
    test::SetProgress(request, [](std::uint64_t, std::uint64_t) { return true; });
    reuse = Reuse::kInTurn;
  }
  CHECK(Says(request).reuse == reuse);
}

// One that a plain client was given, which hands on whatever comes.
template <class Result, class Make>
int AttemptsWithReceiver(const Make& make) {
  httplib::Request request = MakeRequest("GET", "/");
  request.content_receiver = [](const char*, std::size_t, std::uint64_t, std::uint64_t) {
    return true;
  };
  int attempts = 0;
  const auto fetch = Stack(Retry({.max_attempts = 2, .backoff = Backoff::Constant(Duration(0))}))
                         .Around([&](const httplib::Request&) -> Result {
                           ++attempts;
                           return make();
                         });
  (void)fetch(request);
  return attempts;
}

std::unique_ptr<httplib::Response> Busy() {
  auto response = std::make_unique<httplib::Response>();
  response->status = 503;
  return response;
}

TEST_CASE("a plain client's receiver gets one answer, of a failure too") {
  using httplib::Error;
  const auto answered = [] { return httplib::Result(Busy(), Error::Success); };
  CHECK(AttemptsWithReceiver<httplib::Result>(answered) == 1);
  const auto lost = [] { return httplib::Result(nullptr, Error::Read); };
  CHECK(AttemptsWithReceiver<httplib::Result>(lost) == 1);
  const auto unconnected = [] { return httplib::Result(nullptr, Error::Connection); };
  CHECK(AttemptsWithReceiver<httplib::Result>(unconnected) == 2);
}

TEST_CASE("where nobody knows how far an answer came, no receiver gets a second") {
  using Answer = absl::StatusOr<httplib::Response>;
  // As Transport, which keeps the body of a failure from the receiver.
  CHECK(AttemptsWithReceiver<Answer>([] { return *Busy(); }) == 2);
  CHECK(AttemptsWithReceiver<Answer>([] { return absl::UnavailableError("lost"); }) == 1);
}

}  // namespace
}  // namespace holdfast::http::httplib_repeatable_test
