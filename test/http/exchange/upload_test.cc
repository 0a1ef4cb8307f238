#include "src/http/exchange/upload.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/http/wire/reader.h"
#include "test/http/exchange/talk.h"
#include "test/http/wire/trace.h"
#include "test/support/catch.h"

namespace holdfast::http::internal::upload_test {
namespace {

using talk::TakeAll;
using talk::WriteAll;
using test::ContainsSubstring;

// Gives `text` in pieces of that size.
BodySender Sends(std::string text, std::size_t piece) {
  return [text = std::move(text), piece](std::uint64_t offset, std::string& bytes) {
    bytes += text.substr(offset, piece);
    return true;
  };
}

std::string Written(const Request& request, const UploadOptions& options = {.host = "h"}) {
  Upload upload(request, options);
  std::string bytes = WriteAll(upload);
  INFO(upload.status());
  CHECK(upload.status().ok());
  CHECK(upload.done());
  CHECK_FALSE(upload.wants());
  return bytes;
}

std::string Refusal(const Request& request, const UploadOptions& options = {.host = "h"}) {
  Upload upload(request, options);
  CHECK(WriteAll(upload).empty());
  CHECK_FALSE(upload.given());
  CHECK(upload.status().code() == absl::StatusCode::kInvalidArgument);
  CHECK(TransportErrorOf(upload.status()) == TransportError::kRequest);
  return std::string(upload.status().message());
}

TEST_CASE("a request without a body is its head") {
  CHECK(Written({.target = "/a?b", .headers = {{"X-A", "1"}}}) ==
        "GET /a?b HTTP/1.1\r\nHost: h\r\nX-A: 1\r\n\r\n");
  CHECK(Written({.method = "POST"}) == "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  CHECK(Written({.headers = {{"Content-Length", "0"}}}) ==
        "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
}

TEST_CASE("head and body are given at once, and the body is not copied") {
  const Request request = {.method = "POST", .body = "hello"};
  Upload upload(request, {.host = "h"});
  const auto parts = upload.Next();
  REQUIRE(parts.size() == 2);
  CHECK(parts[0] == "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
  CHECK(static_cast<const void*>(parts[1].data()) == request.body.data());
  CHECK(upload.all_given());
  upload.Wrote(parts[0].size() + 2);
  CHECK_FALSE(upload.all_given());
  CHECK_FALSE(upload.done());
  CHECK(upload.written() == 2);
  const auto rest = upload.Next();
  REQUIRE(rest.size() == 1);
  CHECK(rest[0] == "llo");
  upload.Wrote(3);
  CHECK(upload.done());
}

TEST_CASE("a sender's body has its length, or is chunked") {
  CHECK(Written({.method = "PUT", .sender = Sends("hello", 3), .sender_length = 5}) ==
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello");
  CHECK(Written({.method = "PUT", .sender = Sends("hello", 3)}) ==
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
  CHECK(Written({.method = "PUT", .sender = Sends("", 3)}) ==
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  CHECK(Written({.method = "PUT",
                 .sender = [](std::uint64_t, std::string&) -> bool { throw 1; },
                 .sender_length = 0}) == "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
  CHECK(Written({.method = "PUT",
                 .sender = Sends("hello", 9),
                 .trailers = [] { return Headers{{"X-Sum", "1"}}; }}) ==
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n");
}

TEST_CASE("a sender is asked only when what it gave is written") {
  const std::optional<std::uint64_t> length = GENERATE(std::nullopt, std::optional(300'000U));
  int asked = 0;
  const Request request = {.method = "PUT",
                           .sender =
                               [&](std::uint64_t offset, std::string& bytes) {
                                 ++asked;
                                 CHECK(bytes.empty());
                                 if (offset < 300'000) bytes.assign(100'000, 'x');
                                 return true;
                               },
                           .sender_length = length};
  Upload upload(request, {.host = "h"});
  for (int i = 0; i < 10; ++i) {
    CHECK(upload.Next().size() == (length ? 2 : 1));
    upload.Wrote(5000);
    CHECK(asked == 1);
  }
  CHECK(upload.wants());
  WriteAll(upload);
  CHECK(upload.done());
  CHECK(asked == (length ? 3 : 4));
}

TEST_CASE("a sender that has nothing now is asked again for the same offset") {
  std::vector<std::uint64_t> asked;
  bool has = false;
  const bool chunked = GENERATE(false, true);
  Request request = {.method = "PUT", .sender = [&](std::uint64_t offset, std::string& bytes) {
                       asked.push_back(offset);
                       if (!has) return BodyAnswer::Later();
                       if (offset < 4) bytes = offset == 0 ? "ab" : "cd";
                       has = false;
                       return BodyAnswer(true);
                     }};
  if (!chunked) request.sender_length = 4;
  Upload upload(request, {.host = "h"});
  // The head does not wait for the body.
  auto parts = upload.Next();
  REQUIRE(parts.size() == 1);
  CHECK_FALSE(upload.stalls());
  upload.Wrote(parts[0].size());
  CHECK(upload.stalls());
  CHECK(upload.Next().empty());
  CHECK(upload.wants());
  CHECK(upload.status().ok());
  std::string body;
  for (int i = 0; i < (chunked ? 3 : 2); ++i) {
    has = true;
    for (const std::string_view part : upload.Next()) body += part;
    CHECK_FALSE(upload.stalls());
    CHECK(upload.Next().size() == 1);  // not asked as long as something is left
    upload.Wrote(1000);
    CHECK(upload.Next().empty());
  }
  CHECK(upload.done());
  CHECK(body == (chunked ? "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n" : "abcd"));
  CHECK(asked == (chunked ? std::vector<std::uint64_t>{0, 0, 0, 2, 2, 4, 4}
                          : std::vector<std::uint64_t>{0, 0, 0, 2, 2}));
}

TEST_CASE("what a sender gives counts, though it says that there is nothing") {
  const Request request = {.method = "PUT",
                           .sender =
                               [](std::uint64_t offset, std::string& bytes) {
                                 bytes = "hello";
                                 bytes.erase(0, offset);
                                 return BodyAnswer::Later();
                               },
                           .sender_length = 5};
  CHECK(Written(request).ends_with("\r\n\r\nhello"));
}

TEST_CASE("a sender that gives another length than it said is refused") {
  const auto [text, length, what] = GENERATE(table<std::string, std::uint64_t, std::string>({
      {"hello", 9, "gave less than its length of 9 bytes"},
      {"hello", 4, "gave more than its length of 4 bytes"},
      {"", 1, "gave less than its length of 1 bytes"},
      {"hello", ~std::uint64_t{0}, "gave less than its length of 18446744073709551615 bytes"},
  }));
  const Request request = {.method = "PUT", .sender = Sends(text, 3), .sender_length = length};
  Upload upload(request, {.host = "h"});
  WriteAll(upload);
  CHECK_FALSE(upload.done());
  CHECK_FALSE(upload.wants());
  CHECK(TransportErrorOf(upload.status()) == TransportError::kRequest);
  CHECK_THAT(std::string(upload.status().message()), ContainsSubstring(what));
}

TEST_CASE("a sender can cancel the request") {
  const Request request = {.method = "PUT", .sender = [](std::uint64_t offset, std::string& bytes) {
                             bytes = "x";
                             return offset < 2;
                           }};
  Upload upload(request, {.host = "h"});
  CHECK_THAT(WriteAll(upload), ContainsSubstring("1\r\nx\r\n1\r\nx\r\n"));
  CHECK(upload.status().code() == absl::StatusCode::kCancelled);
  CHECK_FALSE(upload.done());
}

TEST_CASE("a request that says two things of its body, or what the writer refuses, is refused") {
  CHECK_THAT(Refusal({.body = "a", .sender = Sends("a", 1)}), ContainsSubstring("a body and"));
  CHECK_THAT(Refusal({.body = "a", .sender_length = 1}), ContainsSubstring("no sender"));
  CHECK_THAT(Refusal({.body = "a", .trailers = [] { return Headers(); }}),
             ContainsSubstring("trailers"));
  CHECK_THAT(Refusal({.method = "TRACE", .body = "a"}), ContainsSubstring("TRACE has no body"));
  CHECK_THAT(Refusal({.method = "CONNECT", .target = "h:1", .sender = Sends("a", 1)}),
             ContainsSubstring("CONNECT has no body"));
  CHECK_THAT(Refusal({.method = "G T"}), ContainsSubstring("method"));
  CHECK_THAT(Refusal({.target = "/a b"}), ContainsSubstring("target"));
  CHECK_THAT(Refusal({}, {.host = "a/b"}), ContainsSubstring("host"));
  CHECK_THAT(Refusal({.headers = {{"A", "b\r\nC: d"}}}), ContainsSubstring("control character"));
  CHECK_THAT(Refusal({.headers = {{"Content-Length", "4"}}, .body = "hello"}),
             ContainsSubstring("contradicts"));
  CHECK_THAT(Refusal({.headers = {{"Transfer-Encoding", "chunked"}}, .body = "hello"}),
             ContainsSubstring("contradicts"));
  CHECK_THAT(Refusal({.headers = {{"Host", "a"}, {"host", "b"}}}), ContainsSubstring("Host"));
}

TEST_CASE("trailers that none may be are refused when they are known") {
  const Request request = {.method = "PUT", .sender = Sends("a", 1), .trailers = [] {
                             return Headers{{"Content-Length", "1"}};
                           }};
  Upload upload(request, {.host = "h"});
  WriteAll(upload);
  CHECK_FALSE(upload.done());
  CHECK(TransportErrorOf(upload.status()) == TransportError::kRequest);
}

TEST_CASE("a caller's Host names another host than that of the URL") {
  CHECK(Written({.headers = {{"host", "other:1"}}}) == "GET / HTTP/1.1\r\nHost: other:1\r\n\r\n");
}

TEST_CASE("a transport's fields are defaults or stand instead of the caller's") {
  const wire::Field defaults[] = {{.name = "Accept-Encoding", .value = "gzip"},
                                  {.name = "User-Agent", .value = "t"}};
  const wire::Field overrides[] = {{.name = "X-Attempt", .value = "2"}};
  const Request request = {
      .headers = {{"X-Attempt", "7"}, {"user-agent", "mine"}, {"x-attempt", "8"}}};
  CHECK(
      Written(request,
              {.host = "h", .target = "http://h/", .defaults = defaults, .overrides = overrides}) ==
      "GET http://h/ HTTP/1.1\r\nHost: h\r\nuser-agent: mine\r\nAccept-Encoding: gzip\r\n"
      "X-Attempt: 2\r\n\r\n");
}

TEST_CASE("a request says that it closes, whoever wants that") {
  const std::string close = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
  CHECK(Written({}, {.host = "h", .close = true}) == close);
  for (const char* const value : {"close", "Close", "keep-alive", "TE, CLOSE"}) {
    CAPTURE(value);
    const Request request = {.headers = {{"connection", value}}};
    const bool keep = std::string_view(value) == "keep-alive";
    CHECK(Upload(request, {.host = "h"}).closes() == !keep);
    CHECK(Upload(request, {.host = "h", .close = true}).closes());
    Written(request, {.host = "h", .close = true});
    if (!keep)
      CHECK_THAT(Written(request), ContainsSubstring("lose\r\n") || ContainsSubstring("E"));
  }
}

TEST_CASE("a body waits behind an expectation until it may go") {
  const bool sends = GENERATE(false, true);
  Request request = {.method = "PUT", .headers = {{"expect", "100-Continue"}}};
  if (sends) {
    request.sender = Sends("hello", 2);
    request.sender_length = 5;
  } else {
    request.body = "hello";
  }
  Upload upload(request, {.host = "h"});
  CHECK(upload.holds());
  CHECK_FALSE(upload.waits());
  const std::string head =
      "PUT / HTTP/1.1\r\nHost: h\r\nexpect: 100-Continue\r\nContent-Length: 5\r\n\r\n";
  CHECK(WriteAll(upload) == head);
  CHECK(upload.waits());
  CHECK_FALSE(upload.wants());
  CHECK_FALSE(upload.done());
  CHECK_FALSE(upload.all_given());
  upload.Go();
  CHECK(upload.wants());
  CHECK_FALSE(upload.waits());
  CHECK(WriteAll(upload) == "hello");
  CHECK(upload.done());
}

TEST_CASE("an expectation without a body is left out, and another one is not waited for") {
  const std::string bare = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
  const Headers expects = {{"Expect", "100-continue"}};
  CHECK(Written({.method = "PUT", .headers = expects}) == bare);
  CHECK(
      Written({.method = "PUT", .headers = expects, .sender = Sends("", 1), .sender_length = 0}) ==
      bare);
  CHECK_THAT(Written({.method = "PUT", .headers = {{"Expect", "more"}}, .body = "a"}),
             ContainsSubstring("Expect: more\r\n"));
}

TEST_CASE("after Stop nothing more is given, but what was given may yet be written") {
  const Request request = {.method = "PUT", .body = "hello"};
  Upload upload(request, {.host = "h"});
  std::size_t size = 0;
  for (const std::string_view part : upload.Next()) size += part.size();
  upload.Stop();
  CHECK_FALSE(upload.wants());
  CHECK(upload.Next().empty());
  CHECK_FALSE(upload.done());
  upload.Wrote(size);
  CHECK(upload.done());
}

TEST_CASE("progress counts bytes of the body that are written") {
  Request request = {.method = "PUT"};
  std::vector<std::uint64_t> seen;
  const auto run = [&] {
    Upload upload(request, {.host = "h"});
    seen.clear();
    TakeAll([&] { return upload.Next(); },
            [&](std::size_t bytes) {
              upload.Wrote(bytes);
              if (seen.empty() || seen.back() != upload.written()) seen.push_back(upload.written());
            },
            [] { return 1; });
    return upload.length();
  };
  request.body = "hello";
  CHECK(run() == 5U);
  CHECK(seen == std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5});
  request.body.clear();
  request.sender = Sends("hello", 2);
  CHECK(run() == std::nullopt);
  CHECK(seen == std::vector<std::uint64_t>{0, 2, 4, 5});
  request.sender_length = 5;
  CHECK(run() == 5U);
  CHECK(seen == std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5});
}

std::vector<Request> Requests() {
  const std::string text(3000, 't');
  return {
      {},
      {.method = "POST", .body = "x"},
      {.method = "PUT", .headers = {{"X-A", std::string(2000, 'a')}}, .body = text},
      {.method = "PUT", .sender = Sends(text, 700), .sender_length = 3000},
      {.method = "PUT", .sender = Sends(text, 700)},
      {.method = "PUT",
       .sender = Sends(text, 3000),
       .trailers = [] { return Headers{{"X-Sum", "1"}, {"X-Sum", "2"}}; }},
  };
}

TEST_CASE("the same request is written, and read, whatever sizes its bytes are taken in") {
  std::mt19937 random(1);
  for (const Request& request : Requests()) {
    const std::string whole = Written(request);
    const std::vector<std::string_view> pieces = {whole};
    CHECK(wire::TraceOfRequests(pieces).ends_with(" keep\n"));
    for (const std::size_t most : {1, 2, 7, 100, 5000}) {
      Upload upload(request, {.host = "h"});
      std::uniform_int_distribution<std::size_t> size(0, most);
      REQUIRE(WriteAll(upload, [&] { return size(random); }) == whole);
      CHECK(upload.done());
    }
  }
}

}  // namespace
}  // namespace holdfast::http::internal::upload_test
