#include "src/http/exchange/download.h"

#include <absl/strings/str_cat.h>
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "test/http/exchange/talk.h"
#include "test/support/catch.h"

namespace holdfast::http::internal::download_test {
namespace {

using talk::Text;
using Event = Download::Event;

std::string Gzip(std::string text) {
  z_stream stream = {};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Answer(std::string_view start, std::string_view body) {
  return absl::StrCat(std::string(start), "\r\nContent-Length: ", body.size(), "\r\n\r\n",
                      std::string(body));
}

// What came of the whole, which must also come of it byte by byte.
std::string Come(const Request& request, const std::string& answer,
                 const DownloadOptions& options = {}, bool close = false) {
  std::string outcome;
  for (const std::size_t size : {answer.size(), std::size_t{1}}) {
    Download download(request, options);
    Event event = Event::kNeedMore;
    std::size_t left = 0;
    for (std::size_t at = 0; at < answer.size() && event != Event::kEnd; at += size) {
      std::string_view bytes = std::string_view(answer).substr(at, size);
      event = download.Next(bytes);
      while (event == Event::kInterim || event == Event::kHead) event = download.Next(bytes);
      left = answer.size() - at - size + bytes.size();
      if (event == Event::kFailed) break;
    }
    if (event == Event::kNeedMore && close) event = download.Close();
    std::string one = event == Event::kEnd      ? Text(download.response())
                      : event == Event::kFailed ? Text(download.failure())
                                                : "needs more";
    if (event == Event::kEnd && left > 0) absl::StrAppend(&one, " and ", left, " bytes");
    if (size == answer.size()) outcome = one;
    CHECK(one == outcome);
  }
  return outcome;
}

TEST_CASE("a response has its status, its fields in order, its body and its trailers") {
  CHECK(Come({}, Answer("HTTP/1.1 200 OK\r\nX-B: 1\r\nX-A: 2\r\nx-b: 3", "hello")) ==
        "200 OK [X-B=1] [X-A=2] [x-b=3] [Content-Length=5] {hello}");
  CHECK(
      Come({},
           "HTTP/1.1 299\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n") ==
      "299  [Transfer-Encoding=chunked] {hello} [X-A=1]");
  const Request request = {};
  Download download(request, {});
  std::string_view bytes = "HTTP/1.0 200 OK\r\n\r\nhel";
  CHECK(download.Next(bytes) == Event::kHead);
  CHECK(download.Next(bytes) == Event::kNeedMore);
  bytes = "lo";
  CHECK(download.Next(bytes) == Event::kNeedMore);
  CHECK(download.Close() == Event::kEnd);
  CHECK(download.response().body == "hello");
  CHECK(download.response().minor_version == 0);
  CHECK_FALSE(download.keeps_alive());
}

TEST_CASE("a response without a body has none, whatever its fields say") {
  const Request head = {.method = "HEAD"};
  CHECK(Come(head,
             "HTTP/1.1 200 OK\r\nContent-Length: 900000000000\r\nContent-Encoding: gzip\r\n\r\n") ==
        "200 OK [Content-Length=900000000000] [Content-Encoding=gzip] {}");
  CHECK(Come({}, "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n") == "204 No [Content-Length=5] {}");
  CHECK(Come({}, "HTTP/1.1 304 Not\r\nContent-Length: 5\r\nContent-Encoding: gzip\r\n\r\n") ==
        "304 Not [Content-Length=5] [Content-Encoding=gzip] {}");
  // RFC 9112, 6.3 does not make an exception of it.
  CHECK(Come({}, Answer("HTTP/1.1 205 Reset", "")) == "205 Reset [Content-Length=0] {}");
  CHECK(Come({}, "HTTP/1.1 205 Reset\r\n\r\n") == "needs more");
}

TEST_CASE("bytes behind the response are left") {
  CHECK(Come({}, Answer("HTTP/1.1 200 OK", "hello") + "HTTP/1") ==
        "200 OK [Content-Length=5] {hello} and 6 bytes");
}

TEST_CASE(
    "a receiver gets answers, and the body of what may be tried again stays in the response") {
  std::string received;
  int parts = 0;
  const Request request = {.receiver = [&](std::string_view part) {
    CHECK_FALSE(part.empty());
    received += part;
    ++parts;
    return true;
  }};
  for (const int status :
       {200, 206, 299, 301, 400, 404, 417, 501, 408, 425, 429, 500, 502, 503, 599}) {
    CAPTURE(status);
    const bool failure =
        status == 408 || status == 425 || status == 429 || (status >= 500 && status != 501);
    CHECK(IsForReceiver(status) == !failure);
    received.clear();
    const std::string body = Come(request, Answer(absl::StrCat("HTTP/1.1 ", status), "hello"));
    CHECK(body == absl::StrCat(status, "  [Content-Length=5] {", failure ? "hello" : "", "}"));
    CHECK(received == (failure ? "" : "hellohello"));  // as it came twice
  }
  CHECK(parts == 8 * 6);
}

const std::string kOver =
    "DATA_LOSS malformed: the response is malformed: the body is longer than the limit";

TEST_CASE("a body beyond the limit is refused, however it is framed") {
  const DownloadOptions options = {.limits = {.body = 4}};
  const Request plain = {};
  const Request receives = {.receiver = [](std::string_view) { return true; }};
  const auto [body, fits] = GENERATE(table<std::string, bool>({{"four", true}, {"fives", false}}));
  const std::string length = Answer("HTTP/1.1 503 No", body);
  CHECK((Come(plain, length, options) == kOver) == !fits);
  CHECK((Come(receives, length, options) == kOver) == !fits);
  const std::string chunked = absl::StrCat("HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n",
                                           body.size(), "\r\n", body, "\r\n0\r\n\r\n");
  CHECK((Come(plain, chunked, options) == kOver) == !fits);
  CHECK((Come(receives, chunked, options) == kOver) == !fits);
  const std::string until_close = "HTTP/1.1 503 No\r\n\r\n" + body;
  CHECK((Come(plain, until_close, options, true) == kOver) == !fits);
  CHECK((Come(receives, until_close, options, true) == kOver) == !fits);
}

TEST_CASE("a body that a receiver gets has no bound, and another has one by its length at once") {
  std::uint64_t received = 0;
  const Request request = {.receiver = [&](std::string_view part) {
    received += part.size();
    return true;
  }};
  const DownloadOptions options = {.limits = {.body = 10}};
  for (const char* const start : {"HTTP/1.1 200 OK", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip"}) {
    const bool coded = std::string_view(start).ends_with("gzip");
    const std::string text(100'000, 'x');
    received = 0;
    CHECK(Come(request, Answer(start, coded ? Gzip(text) : text), options).starts_with("200 OK"));
    CHECK(received == 200'000);
  }
  std::string_view head = "HTTP/1.1 503 No\r\nContent-Length: 900000000000\r\n\r\n";
  Download download(request, {});
  CHECK(download.Next(head) == Event::kFailed);
  CHECK(Text(download.failure()) == kOver);
}

TEST_CASE("limits are 64 KiB and 1,000 fields, and those that make no sense are refused") {
  const std::string start = "HTTP/1.1 200 OK\r\n";
  std::string fields;
  for (int i = 0; i < 999; ++i) fields += "A: b\r\n";
  CHECK(Come({}, start + fields + "Content-Length: 0\r\n\r\n").starts_with("200 OK"));
  CHECK(Come({}, start + fields + "A: b\r\nContent-Length: 0\r\n\r\n").starts_with("DATA_LOSS"));
  const std::string length = "Content-Length: 0\r\n\r\n";
  CHECK(Come({}, start + "A: " + std::string(60'000, 'a') + "\r\n" + length).starts_with("200 OK"));
  CHECK(Come({}, start + "A: " + std::string(66'000, 'a') + "\r\n" + length)
            .starts_with("DATA_LOSS"));
  const Request receives = {.receiver = [](std::string_view) { return true; }};
  for (const Request& request : {Request{}, receives}) {
    CHECK_THROWS_AS(Download(request, {.limits = {.body = ~std::uint64_t{0}}}),
                    std::invalid_argument);
  }
}

TEST_CASE("a body is decoded, and loses the fields that spoke of it") {
  const std::string gzip = Gzip("hello");
  const std::string start = "HTTP/1.1 200 OK\r\nA: b\r\nContent-Encoding: gzip";
  CHECK(Come({}, Answer(start, gzip)) == "200 OK [A=b] {hello}");
  CHECK(Come({}, start + "\r\n\r\n" + gzip, {}, true) == "200 OK [A=b] {hello}");
  // Two fields are one list.
  CHECK(Come({}, Answer(start + "\r\ncontent-encoding: gzip", Gzip(gzip))) ==
        "200 OK [A=b] {hello}");
  std::string head;
  std::string received;
  const Request request = {.receiver =
                               [&](std::string_view part) {
                                 received += part;
                                 return true;
                               },
                           .on_head =
                               [&](const Response& response) {
                                 CHECK(received.empty());
                                 head = Text(response);
                                 return false;
                               }};
  CHECK(Come(request, Answer(start, gzip)) ==
        "CANCELLED none: a callback of the request refused to go on");
  CHECK(head == "200 OK [A=b] {}");
}

TEST_CASE("what is not to be decoded stays as it comes, with its fields") {
  const std::string gzip = Gzip("hello");
  const auto come = [&](const std::string& start, const DownloadOptions& options = {}) {
    const std::string answer = Answer(start, gzip);
    const std::string outcome = Come({}, answer, options);
    return outcome.ends_with(" {" + gzip + "}") &&
           outcome.find("[Content-Length=") != std::string::npos &&
           outcome.find("[Content-Encoding=") != std::string::npos;
  };
  CHECK(come("HTTP/1.1 200 OK\r\nContent-Encoding: gzip", {.decode = false}));
  CHECK(come("HTTP/1.1 206 Partial Content\r\nContent-Encoding: gzip"));
  CHECK(come("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Range: bytes 0-1/2"));
  CHECK(come("HTTP/1.1 200 OK\r\nContent-Encoding: magic"));
  CHECK(come("HTTP/1.1 200 OK\r\nContent-Encoding: gzip, magic"));
  CHECK(come("HTTP/1.1 200 OK\r\nContent-Encoding: identity"));
  CHECK(come("HTTP/1.1 200 OK\r\nContent-Encoding: "));
}

TEST_CASE("a body that ends within its coding is cut, and one of another coding is malformed") {
  const std::string gzip = Gzip("hello");
  const std::string start = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip";
  for (std::size_t size = 1; size < gzip.size(); ++size) {
    const std::string part = gzip.substr(0, size);
    const std::string cut = "UNAVAILABLE none: the body of the response ends within its coding";
    CHECK(Come({}, Answer(start, part)) == cut);
    CHECK(Come({}, start + "\r\n\r\n" + part, {}, true) == cut);
  }
  CHECK(Come({}, Answer(start, "hello")) ==
        "DATA_LOSS malformed: the response is malformed: the body is not of the coding that "
        "Content-Encoding names");
  // Servers add the field to bodies without a byte.
  CHECK(Come({}, Answer(start, "")) == "200 OK {}");
}

TEST_CASE("a decoded body is bounded too") {
  const std::string start = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip";
  const std::string bomb = Gzip(std::string(100'000, 'x'));
  CHECK(
      Come({}, Answer(start, bomb), {.limits = {.body = 99'999}}) ==
      "DATA_LOSS malformed: the response is malformed: the decoded body is longer than the limit");
  CHECK(Come({}, Answer(start, bomb), {.limits = {.body = 100'000}}).starts_with("200 OK"));
}

TEST_CASE("interim responses go to their callback, up to 32 of them") {
  std::string seen;
  const Request request = {
      .on_interim = [&](const Response& response) { absl::StrAppend(&seen, Text(response), ";"); }};
  const std::string end = Answer("HTTP/1.1 200 OK", "");
  CHECK(Come(request, "HTTP/1.1 103 Hints\r\nLink: a\r\n\r\nHTTP/1.1 100\r\n\r\n" + end) ==
        "200 OK [Content-Length=0] {}");
  CHECK(seen == "103 Hints [Link=a] {};100  {};103 Hints [Link=a] {};100  {};");
  std::string flood;
  for (int i = 0; i < 32; ++i) flood += "HTTP/1.1 102 Wait\r\n\r\n";
  CHECK(Come({}, flood + end) == "200 OK [Content-Length=0] {}");
  CHECK(Come({}, "HTTP/1.1 100\r\n\r\n" + flood + end) ==
        "DATA_LOSS malformed: the response is malformed: too many interim responses came");
}

TEST_CASE("progress counts the body as it comes, and can cancel") {
  std::vector<std::pair<std::uint64_t, std::optional<std::uint64_t>>> seen;
  std::uint64_t most = 100;
  const Request request = {
      .on_download = [&](std::uint64_t done, std::optional<std::uint64_t> total) {
        seen.emplace_back(done, total);
        return done <= most;
      }};
  Come(request, Answer("HTTP/1.1 200 OK", "abc"));
  using Seen = decltype(seen);
  CHECK(seen == Seen{{3, 3}, {1, 3}, {2, 3}, {3, 3}});
  seen.clear();
  Come(request, "HTTP/1.1 200 OK\r\n\r\nabc", {}, true);
  CHECK(seen == Seen{{3, {}}, {1, {}}, {2, {}}, {3, {}}});
  most = 0;
  CHECK(Come(request, Answer("HTTP/1.1 200 OK", "abc")).starts_with("CANCELLED"));
}

TEST_CASE("a response that claims much reserves little") {
  const Request request = {};
  Download download(request, {});
  std::string_view head = "HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n";
  CHECK(download.Next(head) == Event::kHead);
  CHECK(download.response().body.capacity() <= std::size_t{1} << 20);
}

// An exchange whose answer becomes 8 MiB, and what its receiver got of it.
struct Growing {
  static constexpr std::size_t kMiB = std::size_t{1} << 20;

  explicit Growing(std::string_view head) {
    talk::WriteAll(exchange);
    exchange.Received(absl::StrCat("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n",
                                   std::string(head), "\r\n\r\n"));
  }

  std::size_t got = 0;
  Request request = {.receiver = [this](std::string_view part) {
    got += part.size();
    return true;
  }};
  Exchange exchange{request, {.upload = {.host = "h"}}};
  const std::string zip = Gzip(std::string(8 * kMiB, '\0'));
};

TEST_CASE("a body that becomes a thousand times as long is decoded a MiB at a time") {
  Growing growing(absl::StrCat("Content-Length: ", Gzip(std::string(8 << 20, '\0')).size()));
  Exchange& exchange = growing.exchange;
  REQUIRE(growing.zip.size() < 16'384);
  exchange.Received(growing.zip);
  for (std::size_t mib = 1; mib < 8; ++mib) {
    CHECK(growing.got == mib * Growing::kMiB);
    CHECK((exchange.has_more() && !exchange.done() && !exchange.wants_read()));
    exchange.TakeMore();
  }
  while (exchange.has_more()) exchange.TakeMore();
  CHECK(growing.got == 8 * Growing::kMiB);
  CHECK(exchange.may_keep());
  CHECK(exchange.TakeResult().ok());
}

TEST_CASE("what comes behind bytes that are being decoded is taken in after them") {
  Growing growing("Transfer-Encoding: chunked");
  Exchange& exchange = growing.exchange;
  char size[20] = "";
  std::snprintf(size, sizeof size, "%zx\r\n", growing.zip.size());
  exchange.Received(absl::StrCat(size, growing.zip, "\r\n0\r\nX-"));
  CHECK(exchange.has_more());
  exchange.Received("A: 1\r\n\r\n");
  while (exchange.has_more()) exchange.TakeMore();
  CHECK(growing.got == 8 * Growing::kMiB);
  const auto response = exchange.TakeResult();
  REQUIRE(response.ok());
  CHECK(response->trailers.Find("X-A") == "1");
}

TEST_CASE("a connection that ends while bytes are decoded ends the response behind them") {
  Growing growing("Connection: close");
  growing.exchange.Received(growing.zip);
  growing.exchange.PeerEnded();
  CHECK(growing.got == Growing::kMiB);
  while (growing.exchange.has_more()) growing.exchange.TakeMore();
  CHECK(growing.got == 8 * Growing::kMiB);
  CHECK(growing.exchange.TakeResult().ok());
}

// An exchange whose receiver does not take every part at once.
struct Holding {
  explicit Holding(std::string_view head) {
    talk::WriteAll(exchange);
    exchange.Received(absl::StrCat("HTTP/1.1 200 OK\r\n", std::string(head), "\r\n\r\n"));
  }
  // How often it was asked until it took everything.
  int TakeAll() {
    int asked = 0;
    while (exchange.has_more()) {
      CHECK_FALSE(exchange.wants_read());
      CHECK(exchange.TakeMore() == (++asked % 3 == 0));
    }
    return asked;
  }

  int calls = 0;
  std::string got;
  Request request = {.receiver = [this](std::string_view part) {
    if (++calls % 4 != 0) return BodyAnswer::Later();
    got += part;
    return BodyAnswer(true);
  }};
  Exchange exchange{request, {.upload = {.host = "h"}}};
};

TEST_CASE("a receiver gets what it did not take again, and nothing is read meanwhile") {
  SECTION("of a plain body") {
    Holding holding("Content-Length: 10");
    holding.exchange.Received("01234");
    CHECK(holding.TakeAll() == 3);
    CHECK(holding.got == "01234");
    holding.exchange.Received("56789surplus");
    CHECK(holding.TakeAll() == 3);
    CHECK(holding.got == "0123456789");
    CHECK(holding.exchange.TakeResult().ok());
    CHECK_FALSE(holding.exchange.may_keep());
  }
  SECTION("of chunks, with a trailer behind them") {
    Holding holding("Transfer-Encoding: chunked");
    holding.exchange.Received("3\r\nabc\r\n2\r\nde\r\n0\r\nX-A: 1\r\n\r\n");
    CHECK(holding.TakeAll() == 6);
    CHECK(holding.got == "abcde");
    CHECK(holding.exchange.may_keep());
    CHECK(holding.exchange.TakeResult()->trailers.Find("X-A") == "1");
  }
  SECTION("of what is decoded") {
    const std::string text(100'000, 'x');
    const std::string zip = Gzip(text);
    Holding holding(absl::StrCat("Content-Encoding: gzip\r\nContent-Length: ", zip.size()));
    holding.exchange.Received(zip);
    CHECK(holding.TakeAll() > 3);
    CHECK(holding.got == text);
    CHECK(holding.exchange.may_keep());
  }
}

TEST_CASE("what ends a connection comes after what the receiver did not take") {
  Holding holding("Connection: close");
  holding.exchange.Received("all");
  SECTION("the end of the body") {
    holding.exchange.PeerEnded();
    CHECK_FALSE(holding.exchange.done());
    holding.TakeAll();
    CHECK(holding.got == "all");
    CHECK(holding.exchange.TakeResult().ok());
  }
  SECTION("a loss") {
    holding.exchange.PeerCut("reset");
    holding.TakeAll();
    CHECK(holding.got == "all");
    CHECK(Text(holding.exchange.TakeResult().status()).starts_with("UNAVAILABLE"));
  }
  SECTION("a timeout") {
    holding.exchange.Interrupted(Exchange::Interruption::kReadTimeout);
    CHECK(holding.exchange.TakeResult().status().message() ==
          "the request's receiver took no byte within the read timeout");
    CHECK(holding.got.empty());
  }
}

TEST_CASE("a deadline ends decoding") {
  Growing growing("Connection: close");
  growing.exchange.Received(growing.zip);
  growing.exchange.Interrupted(Exchange::Interruption::kDeadline);
  CHECK((growing.exchange.done() && !growing.exchange.has_more()));
  CHECK(growing.got == Growing::kMiB);
  CHECK(Text(growing.exchange.TakeResult().status()).starts_with("DEADLINE_EXCEEDED cut short"));
}

TEST_CASE("an inner coding that passes much on and gives little is decoded in steps, too") {
  const std::string inner = Gzip("hello") + std::string(Growing::kMiB / 2, '\0');
  const Request request = {};
  CHECK(Come(request, Answer("HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip", Gzip(inner))) ==
        "200 OK {hello}");
}

}  // namespace
}  // namespace holdfast::http::internal::download_test
