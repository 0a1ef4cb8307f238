#include "holdfast/http/wire/reader.h"

#include <pthread.h>
#include <time.h>

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "test/http/wire/trace.h"
#include "test/support/catch.h"

namespace holdfast::http::wire::reader_test {
namespace {

std::string Response(std::string_view bytes, std::string_view method = "GET", bool close = false,
                     const Limits& limits = {}) {
  const std::vector<std::string_view> pieces = {bytes};
  return TraceOfResponse(method, pieces, close, limits);
}

std::string Requests(std::string_view bytes, const Limits& limits = {}) {
  const std::vector<std::string_view> pieces = {bytes};
  return TraceOfRequests(pieces, limits);
}

TEST_CASE("interim responses have heads and no ends") {
  CHECK(Response("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"
                 "HTTP/1.1 204 Gone\r\n\r\n") ==
        "head 100 Continue\nhead 103 Early Hints [Link=a]\nhead 204 Gone\nend keep\n");
}

TEST_CASE("a connection that ends after an interim response cuts the final one") {
  CHECK(Response("HTTP/1.1 100 Continue\r\n\r\n", "PUT", /*close=*/true) ==
        "head 100 Continue\nfault 400 the connection ends within a message\n");
}

TEST_CASE("a connection that ends between messages cuts none") {
  RequestReader reader;
  CHECK(reader.Close() == Event::kEnd);
  std::string_view bytes = "GET / HTTP/1.0\r\n\r\n";
  CHECK(reader.Next(bytes) == Event::kHead);
  CHECK(reader.Next(bytes) == Event::kEnd);
  CHECK_FALSE(reader.begun());
  CHECK(reader.Close() == Event::kEnd);
}

TEST_CASE("a response without a length lasts until the connection ends, up to the limit") {
  CHECK(Response("HTTP/1.1 200 OK\r\n\r\nhello", "GET", /*close=*/true) ==
        "head 200 OK\nbody hello\nend close\n");
  CHECK(Response("HTTP/1.1 200 OK\r\n\r\nhello", "GET", /*close=*/true, {.body = 4}) ==
        "head 200 OK\nbody hell\nfault 413 the body is longer than the limit\n");
}

TEST_CASE("what comes after 101 and after 2xx to CONNECT is no HTTP, and is left") {
  CHECK(Response("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n\x01\x02") ==
        "head 101 Switching [Upgrade=x]\nend close\nsurplus\n");
  CHECK(Response("HTTP/1.1 200 OK\r\n\r\n\x16\x03", "CONNECT") ==
        "head 200 OK\nend close\nsurplus\n");
  CHECK(Response("HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nno", "CONNECT") ==
        "head 407 No [Content-Length=2]\nbody no\nend keep\n");
}

TEST_CASE("requests come one after the other in the same bytes") {
  CHECK(Requests("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
                 "GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n") ==
        "head POST /a [Host=h] [Content-Length=2]\nbody hi\nend keep\n"
        "head GET /b [Host=h] [Connection=close]\nend close\n");
}

TEST_CASE("a target has the form that goes with its method") {
  const auto status = [](std::string_view line) {
    const std::string trace = Requests(std::string(line) + " HTTP/1.1\r\nHost: h\r\n\r\n");
    return trace.starts_with("head ") ? std::string("ok") : trace.substr(0, 9);
  };
  for (const std::string_view good :
       {"GET /", "OPTIONS *", "GET http://h/x", "GET HTTPS://[::1]:8/x?y", "CONNECT h:443",
        "CONNECT [::1]:443"}) {
    CAPTURE(good);
    CHECK(status(good) == "ok");
  }
  for (const std::string_view bad :
       {"GET *", "GET h:80", "GET http:///x", "GET ftp://h/x", "CONNECT /", "CONNECT h",
        "CONNECT h:", "CONNECT :1", "CONNECT h:70000", "GET http://a@b/", "GET http://h#f"}) {
    CAPTURE(bad);
    CHECK(status(bad) == "fault 400");
  }
}

TEST_CASE("Host is a host and perhaps a port, or empty") {
  const auto status = [](const std::string& host) {
    return Requests("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").substr(0, 9);
  };
  for (const char* const good : {"", "h", "h:", "h:80", "127.0.0.1:1", "[::1]", "[::1]:65535"}) {
    CAPTURE(good);
    CHECK(status(good) == "head GET ");
  }
  for (const char* const bad : {":80", "h:x", "h:65536", "h:-1", "[::1", "::1", "[]", "[::1]x",
                                "a b", "u@h", "h/x", "h,h", "h?x", "h#x", "h\\x", "\xc3\xa9"}) {
    CAPTURE(bad);
    CHECK(status(bad) == "fault 400");
  }
}

// http-parser does not read such a body, so that it becomes the next request.
TEST_CASE("a request to CONNECT with a body is refused") {
  const std::string connect = "CONNECT h:443 HTTP/1.1\r\nHost: h\r\n";
  CHECK(Requests(connect + "Content-Length: 5\r\n\r\nhello") == "fault 400 CONNECT has no body\n");
  CHECK(Requests(connect + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n") ==
        "fault 400 CONNECT has no body\n");
  CHECK(Requests(connect + "Content-Length: 0\r\n\r\n").ends_with("\nend keep\n"));
}

TEST_CASE("a coding that does not end with chunked is malformed, and one before it is unknown") {
  const auto status = [](const std::string& coding) {
    return Requests("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: " + coding + "\r\n\r\n")
        .substr(0, 9);
  };
  for (const char* const bad : {"gzip", "identity", "chunked, gzip", "chunked, chunked", "chunked,",
                                ", chunked", "", "chunked;a=b", "\"chunked\"", "xchunked"}) {
    CAPTURE(bad);
    CHECK(status(bad) == "fault 400");
  }
  CHECK(status("gzip, chunked") == "fault 501");
  CHECK(status("Chunked") == "head POST");
}

// By this thread, so that it is the same on a busy machine.
double CpuSeconds() {
  timespec time{};
  REQUIRE(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// Each byte made the reader look at all of the method again, which took minutes.
TEST_CASE("a method that comes byte by byte is not looked at again for each byte") {
  const std::string request = std::string(200'000, 'M') + " / HTTP/1.1\r\nHost: h\r\n\r\n";
  const double before = CpuSeconds();
  RequestReader reader({.head = std::size_t{1} << 18});
  Event event = Event::kNeedMore;
  for (std::size_t i = 0; i < request.size() && event == Event::kNeedMore; ++i) {
    std::string_view byte = std::string_view(request).substr(i, 1);
    event = reader.Next(byte);
    if (i % 1000 == 0) REQUIRE(CpuSeconds() - before < 5);
  }
  CHECK(event == Event::kHead);
  CHECK(reader.method().size() == 200'000);
}

TEST_CASE("a method with a byte that no method has is refused, however late the byte comes") {
  const std::string bad = std::string(100, 'M') + "(";
  for (const std::size_t cut : {std::size_t{10}, std::size_t{40}, bad.size()}) {
    const std::string request = bad + " / HTTP/1.1\r\nHost: h\r\n\r\n";
    const std::vector<std::string_view> pieces = {std::string_view(request).substr(0, cut),
                                                  std::string_view(request).substr(cut)};
    CHECK(TraceOfRequests(pieces) == "fault 400 the method is malformed\n");
  }
}

TEST_CASE("what is no HTTP is refused before its line ends") {
  CHECK(Response("SSH-2.0-Open").starts_with("fault 400"));
  CHECK(Response("\x15\x03\x01").starts_with("fault 400"));
  CHECK(Requests("\x16\x03\x01\x02").starts_with("fault 400"));
}

TEST_CASE("limits bound the start line, the fields, the trailer and the body") {
  const Limits limits{.head = 256, .fields = 3, .body = 10};
  const std::string get = "GET / HTTP/1.1\r\nHost: h\r\n";
  CHECK(Requests("GET /" + std::string(300, 'x'), limits).starts_with("fault 414"));
  CHECK(Requests(get + "X: " + std::string(300, 'x'), limits).starts_with("fault 431"));
  CHECK(Requests(get + "A: 1\r\nB: 2\r\n\r\n", limits).starts_with("head "));
  CHECK(Requests(get + "A: 1\r\nB: 2\r\nC: 3\r\n\r\n", limits).starts_with("fault 431"));
  CHECK(Requests(get + "Content-Length: 11\r\n\r\n", limits).starts_with("fault 413"));
  const std::string chunked = get + "Transfer-Encoding: chunked\r\n\r\n";
  CHECK(Requests(chunked + "6\r\nabcdef\r\n5\r\n", limits)
            .ends_with("body abcdef\nfault 413 the body is longer than the limit\n"));
  CHECK(Requests(chunked + "0\r\nX: " + std::string(300, 'x'), limits)
            .ends_with("fault 431 the fields are longer than the limit\n"));
  std::string extensions = chunked;
  for (int i = 0; i < 5; ++i) extensions += "1;" + std::string(60, 'x') + "\r\na\r\n";
  CHECK(Requests(extensions, limits)
            .ends_with("fault 431 the chunks' extensions are longer than the limit\n"));
  CHECK(Requests(chunked + std::string(300, '0'), limits)
            .ends_with("fault 431 a chunk's size has too many zeros\n"));
}

TEST_CASE("limits out of range are refused") {
  CHECK_FALSE(Validate(Limits{.head = 255}).ok());
  CHECK_FALSE(Validate(Limits{.head = (std::size_t{1} << 24) + 1}).ok());
  CHECK_FALSE(Validate(Limits{.fields = 0}).ok());
  CHECK_FALSE(Validate(Limits{.body = std::numeric_limits<std::uint64_t>::max()}).ok());
  CHECK(Validate(Limits{}).ok());
  CHECK_THROWS_AS(RequestReader(Limits{.fields = 0}), std::invalid_argument);
}

TEST_CASE("after a fault nothing more is read") {
  RequestReader reader;
  std::string_view bytes = "GET x HTTP/1.1\r\nHost: h\r\n\r\n";
  REQUIRE(reader.Next(bytes) == Event::kFault);
  std::string_view good = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  CHECK(reader.Next(good) == Event::kFault);
  CHECK(good.size() == 27);
  CHECK(reader.Close() == Event::kFault);
}

// A regular expression took 500 bytes of stack for each byte of a status line.
TEST_CASE("heads as long as may be are read on a small stack") {
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, 64 * 1024) == 0);
  std::string trace;
  pthread_t thread;
  const auto read = [](void* result) -> void* {
    std::string head = "HTTP/1.1 200 " + std::string(30'000, 'A') + "\r\nContent-Length: 0\r\n";
    for (int i = 2; i < 1000; ++i) head += "X: y\r\n";
    head += "X: ";
    head.append((std::size_t{64} << 10) - head.size() - 4, 'x');
    *static_cast<std::string*>(result) = Response(head + "\r\n\r\n");
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, read, &trace) == 0);
  REQUIRE(pthread_join(thread, nullptr) == 0);
  pthread_attr_destroy(&attributes);
  CHECK(trace.ends_with("\nend keep\n"));
}

}  // namespace
}  // namespace holdfast::http::wire::reader_test
