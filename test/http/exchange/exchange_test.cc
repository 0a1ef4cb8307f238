#include "src/http/exchange/exchange.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "test/http/exchange/talk.h"
#include "test/support/catch.h"

namespace holdfast::http::internal::exchange_test {
namespace {

using talk::Outcome;
using talk::WriteAll;
using test::ContainsSubstring;
using Interruption = Exchange::Interruption;

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const std::string kOkText = "200 OK [Content-Length=5] {hello}";

ExchangeOptions Options() { return {.upload = {.host = "h"}}; }

// What comes of a request that is written whole before its answer comes.
std::string Answered(const Request& request, std::string_view answer) {
  Exchange exchange(request, Options());
  WriteAll(exchange);
  exchange.Received(answer);
  return Outcome(exchange);
}

TEST_CASE("a request is written and its response read, and the connection may be kept") {
  const Request request = {};
  Exchange exchange(request, Options());
  CHECK(exchange.wants_write());
  CHECK(exchange.wants_read());
  CHECK_FALSE(exchange.handed_out());
  CHECK(WriteAll(exchange) == "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(exchange.handed_out());
  CHECK_FALSE(exchange.wants_write());
  CHECK_FALSE(exchange.answered());
  exchange.Received(kOk.substr(0, 1));
  CHECK(exchange.answered());
  exchange.Received(kOk.substr(1));
  CHECK(exchange.done());
  CHECK_FALSE(exchange.wants_read());
  CHECK(exchange.framing() == wire::Framing::kLength);
  CHECK(Outcome(exchange) == kOkText + " keep");
}

TEST_CASE("a request that is refused is over before a byte is given") {
  const Request request = {.target = "/a b"};
  Exchange exchange(request, Options());
  CHECK(exchange.done());
  CHECK_FALSE(exchange.handed_out());
  CHECK_FALSE(exchange.wants_write());
  CHECK(exchange.ToWrite().empty());
  CHECK(Outcome(exchange) == "INVALID_ARGUMENT request: HTTP: the target is malformed close");
}

// Defect: a 413 was lost, and the whole body sent, or four times.
TEST_CASE("an answer that refuses the body while it is written ends the upload") {
  const auto answer = GENERATE(as<std::string>(), "HTTP/1.1 413 No", "HTTP/1.1 308 Go",
                               "HTTP/1.1 503 No", "HTTP/1.1 401 Who");
  const Request request = {.method = "PUT", .body = std::string(1'000'000, 'x')};
  Exchange exchange(request, Options());
  exchange.ToWrite();
  exchange.Wrote(1000);
  CHECK(exchange.wants_write());
  exchange.Received(answer + "\r\nContent-Length: 2\r\n\r\nn");
  CHECK_FALSE(exchange.wants_write());
  CHECK(exchange.ToWrite().empty());
  CHECK_FALSE(exchange.done());
  exchange.Received("o");
  CHECK(Outcome(exchange) == answer.substr(9) + " [Content-Length=2] {no} close");
}

TEST_CASE("an answer of success while the body is written lets it go on") {
  const bool to_the_end = GENERATE(false, true);
  const Request request = {.method = "PUT", .body = std::string(1'000'000, 'x')};
  Exchange exchange(request, Options());
  exchange.ToWrite();
  exchange.Wrote(1000);
  exchange.Received(kOk.substr(0, kOk.size() - 1));
  CHECK(exchange.wants_write());
  if (to_the_end) CHECK(WriteAll(exchange).size() > 999'000);
  exchange.Received("o");
  CHECK_FALSE(exchange.wants_write());
  CHECK(Outcome(exchange) == kOkText + (to_the_end ? " keep" : " close"));
}

TEST_CASE("a response may be known before the driver knows that all is written") {
  const auto start = GENERATE(as<std::string>(), "HTTP/1.1 200 OK", "HTTP/1.1 404 No");
  const Request request = {.method = "PUT", .body = "hello"};
  Exchange exchange(request, Options());
  std::size_t size = 0;
  for (const std::string_view part : exchange.ToWrite()) size += part.size();
  exchange.Received(start + "\r\nContent-Length: 0\r\n\r\n");
  CHECK(exchange.done());
  CHECK_FALSE(exchange.may_keep());
  exchange.Wrote(size);
  CHECK(exchange.may_keep());
}

Request Expecting() {
  return {.method = "PUT", .headers = {{"Expect", "100-continue"}}, .body = "hello"};
}

TEST_CASE("a body that is held back is written when the server asks for it, or the time is over") {
  const Request request = Expecting();
  Exchange exchange(request, Options());
  CHECK_FALSE(exchange.holds_body());
  CHECK(WriteAll(exchange) ==
        "PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
        "Content-Length: 5\r\n\r\n");
  CHECK(exchange.holds_body());
  CHECK_FALSE(exchange.wants_write());
  SECTION("the server asks") {
    exchange.Received("HTTP/1.1 103 Hints\r\n\r\n");
    CHECK(exchange.holds_body());
    exchange.Received("HTTP/1.1 100 Continue\r\n\r\n");
  }
  SECTION("the time is over") { exchange.SendBody(); }
  CHECK_FALSE(exchange.holds_body());
  CHECK(exchange.wants_write());
  CHECK(WriteAll(exchange) == "hello");
  exchange.Received("HTTP/1.1 100 Continue\r\n\r\n");
  exchange.Received(kOk);
  CHECK(Outcome(exchange) == kOkText + " keep");
}

TEST_CASE("a final answer drops a body that is held back, and the connection with it") {
  const auto start = GENERATE(as<std::string>(), "HTTP/1.1 200 OK", "HTTP/1.1 417 No");
  const Request request = Expecting();
  Exchange exchange(request, Options());
  WriteAll(exchange);
  exchange.Received(start + "\r\nContent-Length: 1\r\n\r\n");
  CHECK_FALSE(exchange.holds_body());
  exchange.SendBody();
  CHECK_FALSE(exchange.wants_write());
  exchange.Received("x");
  CHECK(Outcome(exchange) == start.substr(9) + " [Content-Length=1] {x} close");
}

TEST_CASE("where the connection ends says what is known of the request") {
  const bool orderly = GENERATE(true, false);
  CAPTURE(orderly);
  const std::string how =
      orderly ? "the server closed the connection " : "the connection was lost ";
  const Request request = {.method = "PUT", .body = "hello"};
  Exchange exchange(request, Options());
  const auto end = [&] {
    if (orderly) {
      exchange.PeerEnded();
    } else {
      exchange.PeerCut("reset");
    }
    CHECK(exchange.done());
    return Outcome(exchange);
  };
  const std::string tail = std::string(orderly ? "" : ": reset") + " close";
  SECTION("nothing was given") {
    CHECK(end() == "UNAVAILABLE connect: " + how + "before the request was sent" + tail);
  }
  SECTION("not all is written") {
    exchange.ToWrite();
    exchange.Wrote(3);
    CHECK(end() == "UNAVAILABLE lost: " + how + "while the request was sent" + tail);
  }
  SECTION("all is written") {
    WriteAll(exchange);
    CHECK(end() == "UNAVAILABLE lost: " + how + "before a response came" + tail);
  }
  SECTION("an interim response came") {
    WriteAll(exchange);
    exchange.Received("HTTP/1.1 100 Continue\r\n\r\n");
    CHECK(end() == "UNAVAILABLE lost: " + how + "within the response" + tail);
  }
  SECTION("a part of a response came") {
    WriteAll(exchange);
    exchange.Received(kOk.substr(0, GENERATE(1U, 20U, 42U)));
    CHECK(end() == "UNAVAILABLE lost: " + how + "within the response" + tail);
  }
}

TEST_CASE("a body without a length is whole only if the connection ends in order") {
  const Request request = {};
  Exchange exchange(request, Options());
  WriteAll(exchange);
  exchange.Received("HTTP/1.1 200 OK\r\n\r\nhello");
  CHECK_FALSE(exchange.done());
  SECTION("in order") {
    exchange.PeerEnded();
    CHECK(Outcome(exchange) == "200 OK {hello} close");
  }
  SECTION("cut") {
    exchange.PeerCut();
    CHECK(Outcome(exchange) ==
          "UNAVAILABLE lost: the connection was lost within the response close");
  }
  SECTION("interrupted") {
    exchange.Interrupted(Interruption::kDeadline);
    exchange.PeerEnded();
    CHECK(Outcome(exchange) ==
          "DEADLINE_EXCEEDED lost: no answer before the call's deadline close");
  }
}

TEST_CASE("what is lost after the receiver got a part is a partial response") {
  std::string received;
  const Request request = {.receiver = [&](std::string_view part) {
    received += part;
    return true;
  }};
  Exchange exchange(request, Options());
  WriteAll(exchange);
  SECTION("it got a part") {
    exchange.Received(kOk.substr(0, kOk.size() - 1));
    exchange.PeerCut();
    CHECK(Outcome(exchange).starts_with("UNAVAILABLE cut short: "));
    CHECK(received == "hell");
  }
  SECTION("it got none") {
    exchange.Received(kOk.substr(0, kOk.size() - 5));
    exchange.PeerCut();
    CHECK(Outcome(exchange).starts_with("UNAVAILABLE lost: "));
  }
  SECTION("the body of a failure is not for it") {
    exchange.Received("HTTP/1.1 503 No\r\nContent-Length: 5\r\n\r\nhe");
    exchange.PeerCut();
    CHECK(Outcome(exchange).starts_with("UNAVAILABLE lost: "));
  }
  SECTION("interrupted") {
    exchange.Received(kOk.substr(0, kOk.size() - 1));
    exchange.Interrupted(Interruption::kReadTimeout);
    CHECK(Outcome(exchange).starts_with("UNAVAILABLE cut short: "));
  }
  SECTION("malformed stays malformed") {
    exchange.Received("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxy");
    CHECK(Outcome(exchange).starts_with("DATA_LOSS malformed: the response is malformed: "));
    CHECK(received == "x");
  }
}

TEST_CASE("after a failed write what comes is read") {
  const Request request = {.method = "PUT", .body = std::string(1'000'000, 'x')};
  Exchange exchange(request, Options());
  exchange.ToWrite();
  exchange.Wrote(1000);
  exchange.WriteFailed("Broken pipe");
  CHECK_FALSE(exchange.done());
  CHECK_FALSE(exchange.wants_write());
  CHECK(exchange.ToWrite().empty());
  CHECK(exchange.wants_read());
  SECTION("it is an answer") {
    exchange.Received(kOk);
    CHECK(Outcome(exchange) == kOkText + " close");
  }
  SECTION("it is none") {
    exchange.PeerEnded();
    CHECK(Outcome(exchange) ==
          "UNAVAILABLE lost: the server closed the connection while the request was sent: "
          "Broken pipe close");
  }
}

TEST_CASE("an interruption says which and how far the request came") {
  const auto [why, text] = GENERATE(table<Interruption, std::string>({
      {Interruption::kDeadline, "DEADLINE_EXCEEDED # no answer before the call's deadline"},
      {Interruption::kCancelled, "CANCELLED # the caller stopped the call"},
      {Interruption::kReadTimeout,
       "UNAVAILABLE # no byte of the response came within the read timeout"},
      {Interruption::kWriteTimeout,
       "UNAVAILABLE # the server took no byte of the request within the write timeout"},
  }));
  const std::size_t at = text.find('#');
  const auto with = [&, &whole = text](const std::string& kind) {
    return std::string(whole).replace(at, 1, kind + ":") + " close";
  };
  const Request request = {};
  Exchange unsent(request, Options());
  unsent.Interrupted(why);
  CHECK(unsent.done());
  CHECK_FALSE(unsent.wants_write());
  CHECK(Outcome(unsent) == with("connect"));
  Exchange sent(request, Options());
  sent.ToWrite();
  sent.Interrupted(why);
  CHECK(Outcome(sent) == with("lost"));
  Exchange over(request, Options());
  WriteAll(over);
  over.Received(kOk);
  over.Interrupted(why);
  CHECK(Outcome(over) == kOkText + " keep");
}

TEST_CASE("a server that takes no more while it answers is read to the end") {
  const Request request = {.method = "PUT", .body = std::string(1'000'000, 'x')};
  Exchange exchange(request, Options());
  exchange.ToWrite();
  exchange.Wrote(1000);
  exchange.Received(kOk.substr(0, kOk.size() - 1));
  exchange.Interrupted(Interruption::kWriteTimeout);
  CHECK_FALSE(exchange.done());
  CHECK_FALSE(exchange.wants_write());
  exchange.Received("o");
  CHECK(Outcome(exchange) == kOkText + " close");
}

TEST_CASE("bytes that come before the request belong to none") {
  const Request request = {};
  Exchange exchange(request, Options());
  exchange.Received(kOk);
  CHECK(exchange.done());
  CHECK_FALSE(exchange.handed_out());
  CHECK(Outcome(exchange) ==
        "DATA_LOSS malformed: the response is malformed: it came before the request close");
}

TEST_CASE("a connection is kept only if both sides keep it and nothing came behind the response") {
  CHECK(Answered({}, kOk) == kOkText + " keep");
  for (const char* const value : {"close", "Close", "CLOSE", "TE, close", "a,close ,b"}) {
    CAPTURE(value);
    CHECK(Answered({}, absl::StrCat("HTTP/1.1 200 OK\r\nConnection: ", value,
                                    "\r\nContent-Length: 0\r\n\r\n"))
              .ends_with(" close"));
    CHECK(Answered({.headers = {{"Connection", value}}}, kOk) == kOkText + " close");
  }
  CHECK(Answered({}, std::string(kOk) + "x") == kOkText + " close");
  CHECK(Answered({}, "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").ends_with(" close"));
  CHECK(Answered({}, "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
            .ends_with(" keep"));
  const Request request = {};
  Exchange surplus(request, Options());
  WriteAll(surplus);
  surplus.Received(kOk);
  surplus.Received("x");
  CHECK(Outcome(surplus) == kOkText + " close");
  Exchange ended(request, Options());
  WriteAll(ended);
  ended.Received(kOk);
  ended.PeerEnded();
  CHECK(Outcome(ended) == kOkText + " close");
  Exchange asked(request, {.upload = {.host = "h", .close = true}});
  CHECK_THAT(WriteAll(asked), ContainsSubstring("Connection: close\r\n"));
  asked.Received(kOk);
  CHECK(Outcome(asked) == kOkText + " close");
}

TEST_CASE("a tunnel begins with the response, and has what came behind it") {
  constexpr std::string_view kSwitch = "HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\nab";
  const Request upgrade = {.headers = {{"Connection", "Upgrade"}, {"Upgrade", "x"}}};
  CHECK(Answered(upgrade, kSwitch) == "101 Go [Upgrade=x] {} tunnel ab");
  const Request connect = {.method = "CONNECT", .target = "h:1"};
  CHECK(Answered(connect, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab") ==
        "200 OK [Content-Length=5] {} tunnel ab");
  CHECK(Answered(connect, "HTTP/1.1 407 No\r\nContent-Length: 2\r\n\r\nab") ==
        "407 No [Content-Length=2] {ab} keep");
  Exchange exchange(connect, Options());
  WriteAll(exchange);
  exchange.Received("HTTP/1.1 200 OK\r\n\r\n");
  CHECK(exchange.done());
  exchange.Received("ab");
  CHECK(Outcome(exchange) == "200 OK {} tunnel ab");
}

TEST_CASE("a switch of protocols that nobody asked for, or too early, is malformed") {
  constexpr std::string_view kSwitch = "HTTP/1.1 101 Go\r\n\r\nab";
  CHECK(Answered({}, kSwitch) ==
        "DATA_LOSS malformed: the response is malformed: it switches to a protocol that was not "
        "asked for close");
  const Request upgrade = {
      .method = "POST", .headers = {{"Connection", "Upgrade"}, {"Upgrade", "x"}}, .body = "hello"};
  CHECK(Answered(upgrade, kSwitch) == "101 Go {} tunnel ab");
  Exchange early(upgrade, Options());
  early.ToWrite();
  early.Wrote(10);
  early.Received(kSwitch);
  CHECK(early.framing() == wire::Framing::kNone);
  CHECK(Outcome(early) ==
        "DATA_LOSS malformed: the response is malformed: it switches to another protocol before "
        "the request is sent close");
}

TEST_CASE("each callback can cancel the request") {
  Request request = {.method = "PUT", .body = "hello"};
  std::string kind = "lost";
  SECTION("the head's") {
    request.on_head = [](const Response&) { return false; };
  }
  SECTION("the receiver") {
    request.receiver = [](std::string_view) { return false; };
    kind = "cut short";
  }
  SECTION("the download's") {
    request.on_download = [](std::uint64_t, std::optional<std::uint64_t>) { return false; };
  }
  SECTION("the upload's") {
    request.on_upload = [](std::uint64_t done, std::optional<std::uint64_t> total) {
      CHECK(done == 5);
      CHECK(total == 5U);
      return false;
    };
  }
  CHECK(Answered(request, kOk) ==
        "CANCELLED " + kind + ": a callback of the request refused to go on close");
}

TEST_CASE("a sender that cancels, or gives another length, ends the exchange") {
  Request request = {.method = "PUT", .sender = [](std::uint64_t offset, std::string& bytes) {
                       if (offset == 0) bytes = "abc";
                       return offset == 0;
                     }};
  Exchange cancelled(request, Options());
  WriteAll(cancelled);
  CHECK(Outcome(cancelled) == "CANCELLED lost: the request's sender cancelled it close");
  request.sender_length = 2;
  Exchange longer(request, Options());
  CHECK(WriteAll(longer).empty());
  CHECK(Outcome(longer) ==
        "INVALID_ARGUMENT request: the request's sender gave more than its length of 2 bytes "
        "close");
  request.sender = [](std::uint64_t, std::string&) { return false; };
  Exchange unsent(request, Options());
  WriteAll(unsent);
  CHECK(Outcome(unsent) == "CANCELLED connect: the request's sender cancelled it close");
}

TEST_CASE("of a write timeout is said who made no progress") {
  bool has = false;
  const Request request = {.method = "PUT", .sender = [&](std::uint64_t, std::string& bytes) {
                             if (has) bytes = "part";
                             return has ? BodyAnswer(true) : BodyAnswer::Later();
                           }};
  Exchange exchange(request, Options());
  exchange.Wrote(exchange.ToWrite()[0].size());
  CHECK(exchange.ToWrite().empty());
  CHECK(exchange.wants_write());
  SECTION("the sender") {
    exchange.Interrupted(Exchange::Interruption::kWriteTimeout);
    CHECK(Outcome(exchange) ==
          "CANCELLED lost: the request's sender gave no byte within the write timeout close");
  }
  SECTION("the server") {
    has = true;
    CHECK_FALSE(exchange.ToWrite().empty());
    exchange.Interrupted(Exchange::Interruption::kWriteTimeout);
    CHECK(Outcome(exchange) ==
          "UNAVAILABLE lost: the server took no byte of the request within the write timeout "
          "close");
  }
}

TEST_CASE("an exception of a callback passes through, and the connection is not kept") {
  struct Thrown {};
  Request request = {.method = "PUT", .body = "hello"};
  SECTION("of the sender") {
    request.body.clear();
    request.sender = [](std::uint64_t, std::string&) -> bool { throw Thrown(); };
  }
  SECTION("of the trailers") {
    request.body.clear();
    request.sender = [](std::uint64_t, std::string&) { return true; };
    request.trailers = []() -> Headers { throw Thrown(); };
  }
  SECTION("of the receiver") {
    request.receiver = [](std::string_view) -> bool { throw Thrown(); };
  }
  SECTION("of the head's") {
    request.on_head = [](const Response&) -> bool { throw Thrown(); };
  }
  SECTION("of the interim ones") {
    request.on_interim = [](const Response&) { throw Thrown(); };
  }
  SECTION("of the upload's") {
    request.on_upload = [](std::uint64_t, std::optional<std::uint64_t>) -> bool { throw Thrown(); };
  }
  SECTION("of the download's") {
    request.on_download = [](std::uint64_t, std::optional<std::uint64_t>) -> bool {
      throw Thrown();
    };
  }
  Exchange exchange(request, Options());
  const auto run = [&] {
    WriteAll(exchange);
    exchange.Received("HTTP/1.1 103 Hints\r\n\r\n");
    exchange.Received(kOk);
  };
  CHECK_THROWS_AS(run(), Thrown);
  CHECK_FALSE(exchange.may_keep());
}

TEST_CASE("a coding that is cut is lost, and may be sent again") {
  constexpr std::string_view kCut =
      "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b";
  CHECK(Answered({}, kCut) ==
        "UNAVAILABLE lost: the body of the response ends within its coding close");
  const Request receives = {.receiver = [](std::string_view) { return true; }};
  CHECK(Answered(receives, kCut).starts_with("UNAVAILABLE lost: "));
}

TEST_CASE("limits that make no sense are refused") {
  const Request request = {};
  CHECK_THROWS_AS(Exchange(request, {.download = {.limits = {.head = 1}}}), std::invalid_argument);
}

}  // namespace
}  // namespace holdfast::http::internal::exchange_test
