#include "holdfast/http/wire/writer.h"

#include <string>
#include <string_view>
#include <vector>

#include "holdfast/http/wire/reader.h"
#include "test/http/wire/trace.h"
#include "test/support/catch.h"

namespace holdfast::http::wire::writer_test {
namespace {

template <class Head>
std::string Written(const Head& head) {
  std::string bytes;
  const absl::Status status = WriteHead(head, bytes);
  if (status.ok()) return bytes;
  CHECK(absl::IsInvalidArgument(status));
  CHECK(bytes.empty());
  return std::string(status.message());
}

RequestHead Post(std::span<const Field> fields, BodyPlan body = {}) {
  return {.method = "POST", .target = "/x", .host = "h:80", .fields = fields, .body = body};
}

TEST_CASE("a request says how long its body is") {
  CHECK(Written(RequestHead{.method = "GET", .target = "/", .host = "h"}) ==
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(Written(Post({})) == "POST /x HTTP/1.1\r\nHost: h:80\r\nContent-Length: 0\r\n\r\n");
  CHECK(Written(Post({}, BodyPlan::Length(5))) ==
        "POST /x HTTP/1.1\r\nHost: h:80\r\nContent-Length: 5\r\n\r\n");
  CHECK(Written(Post({}, BodyPlan::Chunked())) ==
        "POST /x HTTP/1.1\r\nHost: h:80\r\nTransfer-Encoding: chunked\r\n\r\n");
}

TEST_CASE("fields that say what the writer says are left out, and others are kept as they are") {
  const std::vector<Field> fields = {
      {"host", "h:80"}, {"Content-Length", "5"}, {"Connection", "keep-alive"}, {"X-A", "b c"}};
  CHECK(Written(Post(fields, BodyPlan::Length(5))) ==
        "POST /x HTTP/1.1\r\nHost: h:80\r\nX-A: b c\r\nContent-Length: 5\r\n\r\n");
  const std::vector<Field> upgrade = {{"Connection", "Upgrade"}, {"Upgrade", "x"}};
  CHECK(Written(RequestHead{
            .method = "GET", .target = "/", .host = "h", .fields = upgrade, .close = true}) ==
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\nConnection: "
        "close\r\n\r\n");
}

TEST_CASE("a caller's framing that contradicts is refused") {
  const auto refused = [](Field field, BodyPlan body = {}) {
    return Written(Post({&field, 1}, body)).starts_with("HTTP: a field ");
  };
  CHECK(refused({"Content-Length", "3"}));
  CHECK(refused({"Content-Length", "3"}, BodyPlan::Length(5)));
  CHECK(refused({"Content-Length", "5, 5"}, BodyPlan::Length(5)));
  CHECK(refused({"content-length", "5"}, BodyPlan::Chunked()));
  CHECK(refused({"Transfer-Encoding", "chunked"}, BodyPlan::Length(5)));
  CHECK(refused({"Transfer-Encoding", "gzip, chunked"}, BodyPlan::Chunked()));
  CHECK(refused({"Host", "other"}));
  const Field close{"Connection", "close"};
  CHECK(Written(Post({&close, 1})) == "HTTP: Connection says close, and the head does not");
  for (const std::string_view name : {"content-length", "Transfer-Encoding", "HOST"}) {
    const std::string list = "X, " + std::string(name);
    const Field hop{"Connection", list};
    CHECK(Written(Post({&hop, 1})).starts_with("HTTP: Connection may not name "));
  }
}

TEST_CASE("nothing that is not a field, a method, a target or a host becomes one") {
  const auto refused = [](Field field) { return Written(Post({&field, 1})).starts_with("HTTP: "); };
  CHECK(refused({"X\r\nY", "a"}));
  CHECK(refused({"", "a"}));
  CHECK(refused({"X", "a\r\nHost: other"}));
  CHECK(refused({"X", std::string_view("a\0b", 3)}));
  CHECK(Written(RequestHead{.method = "GET /", .target = "/", .host = "h"}) ==
        "HTTP: the method is malformed");
  CHECK(Written(RequestHead{.method = "GET", .target = "/ HTTP/1.1\r\nX: y", .host = "h"}) ==
        "HTTP: the target is malformed");
  CHECK(Written(RequestHead{.method = "GET", .target = "/", .host = "h\r\nX: y"}) ==
        "HTTP: the host is malformed");
  CHECK(Written(ResponseHead{.reason = "OK\r\nX: y", .body = BodyPlan::Length(0)}) ==
        "HTTP: the reason has a control character");
}

TEST_CASE("a response has a body just where it may") {
  CHECK(Written(ResponseHead{.status = 200, .reason = "OK", .body = BodyPlan::Length(2)}) ==
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
  CHECK(Written(ResponseHead{.body = {Framing::kUntilClose}}) ==
        "HTTP/1.1 200 \r\nConnection: close\r\n\r\n");
  CHECK(Written(ResponseHead{.status = 304, .body = BodyPlan::Length(7)}) ==
        "HTTP/1.1 304 \r\nContent-Length: 7\r\n\r\n");
  CHECK(Written(ResponseHead{.status = 101}) == "HTTP/1.1 101 \r\n\r\n");
  CHECK(Written(ResponseHead{.to_head = true}) == "HTTP/1.1 200 \r\n\r\n");
  CHECK(Written(ResponseHead{}).starts_with("HTTP: a response with status 200 needs a body"));
  CHECK(Written(ResponseHead{.status = 204, .body = BodyPlan::Length(0)}) ==
        "HTTP: a response with status 204 has no body");
  CHECK(Written(ResponseHead{.status = 42}) == "HTTP: a status must be in [100, 999], not 42");
}

TEST_CASE("what is to become a tunnel has no body, and its answer none") {
  const auto connect = [](BodyPlan body) {
    return Written(
        RequestHead{.method = "CONNECT", .target = "h:443", .host = "h:443", .body = body});
  };
  CHECK(connect({}) == "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n");
  CHECK(connect(BodyPlan::Length(5)) == "HTTP: CONNECT has no body");
  CHECK(connect(BodyPlan::Chunked()) == "HTTP: CONNECT has no body");
  CHECK(Written(ResponseHead{.reason = "OK", .to_connect = true}) == "HTTP/1.1 200 OK\r\n\r\n");
  CHECK(Written(ResponseHead{.body = BodyPlan::Length(0), .to_connect = true}) ==
        "HTTP: a response with status 200 has no body");
  CHECK(Written(ResponseHead{.status = 407, .body = BodyPlan::Length(0), .to_connect = true}) ==
        "HTTP/1.1 407 \r\nContent-Length: 0\r\n\r\n");
}

TEST_CASE("what is written is read as it was meant") {
  std::string bytes;
  REQUIRE(WriteHead(Post({}, BodyPlan::Chunked()), bytes).ok());
  WriteChunk("hello", bytes);
  WriteChunk("", bytes);
  WriteChunk(std::string(20, 'x'), bytes);
  const Field sum{"X-Sum", "1"};
  REQUIRE(WriteLastChunk({&sum, 1}, bytes).ok());
  const std::vector<std::string_view> pieces = {bytes};
  CHECK(TraceOfRequests(pieces) ==
        "head POST /x [Host=h:80] [Transfer-Encoding=chunked]\nbody hello" + std::string(20, 'x') +
            "\nend [X-Sum=1] keep\n");
}

TEST_CASE("a trailer has no fields that frame or route") {
  for (const std::string_view name : {"content-length", "Transfer-Encoding", "Host", "Trailer"}) {
    const Field field{name, "1"};
    std::string bytes = "before";
    CHECK_FALSE(WriteLastChunk({&field, 1}, bytes).ok());
    CHECK(bytes == "before");
  }
}

}  // namespace
}  // namespace holdfast::http::wire::writer_test
