// What comes over a wire, from test/http/cases: the outcome of an exchange is the same whatever the
// pieces an answer comes in.
#include "test/http/wire/cases.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/http/exchange/exchange.h"
#include "test/http/exchange/talk.h"
#include "test/http/wire/trace.h"
#include "test/support/catch.h"

namespace holdfast::http::internal::cases_test {
namespace {

using talk::Outcome;
using talk::Text;
using talk::WriteAll;

struct Case {
  std::string id;
  std::string method;
  std::string answer;
  bool close;
};

std::vector<Case> Answers() {
  std::vector<Case> cases;
  for (const nlohmann::json& one : wire::Cases("answers.json")) {
    cases.push_back({.id = one["id"],
                     .method = one["method"],
                     .answer = wire::Bytes(one["answer"]),
                     .close = one["then_close"]});
  }
  return cases;
}

// All that the caller and the driver see. `receives`: the request has a receiver.
std::string OutcomeOf(const Case& one, std::span<const std::string_view> pieces, bool receives) {
  std::string seen;
  std::string received;
  Request request = {.method = one.method,
                     .on_head =
                         [&](const Response& response) {
                           absl::StrAppend(&seen, "head ", Text(response), "\n");
                           return true;
                         },
                     .on_interim =
                         [&](const Response& response) {
                           absl::StrAppend(&seen, "interim ", Text(response), "\n");
                         }};
  if (one.method == "POST") request.body = "some body";
  if (receives) {
    request.receiver = [&](std::string_view part) {
      received += part;
      return true;
    };
  }
  Exchange exchange(request, {.upload = {.host = "h"}});
  WriteAll(exchange);
  for (const std::string_view piece : pieces) exchange.Received(piece);
  if (one.close) exchange.PeerEnded();
  return absl::StrCat(seen, received, "\n", Outcome(exchange));
}

// How outcomes end, by the case's id; those with a body of "hello" that are kept are not here.
const std::map<std::string, std::string, std::less<>> kEnds = {
    {"304-with-length", "{} keep"},
    {"304-without-length", "{} keep"},
    {"204-with-length", "{} keep"},
    {"head-huge-length", "{} keep"},
    {"trailers", "{hello} [X-Sum=abc] keep"},
    {"te-and-length", "are both Transfer-Encoding and Content-Length close"},
    {"two-lengths", "two Content-Lengths differ close"},
    {"length-abc", "Content-Length is no length close"},
    {"length-negative", "Content-Length is no length close"},
    {"length-overflow", "Content-Length is no length close"},
    {"length-900TB", "the body is longer than the limit close"},
    {"bare-lf", "a line does not end with CR LF close"},
    {"http10-eof", "{hello} close"},
    {"http2-status-line", "the response does not begin with HTTP/1 close"},
    {"fold", "a field is folded close"},
    {"space-before-colon", "a field's name is not followed by a colon close"},
    {"surplus", "{hello} close"},
    {"408-farewell", "{} close"},
    {"425", "{} keep"},
    {"close-capital", "{hello} close"},
    {"close-in-list", "{hello} close"},
    {"cut-chunk", "UNAVAILABLE lost: the server closed the connection within the response close"},
    {"cut-length", "UNAVAILABLE lost: the server closed the connection within the response close"},
};

TEST_CASE("each answer has its outcome, whatever the pieces it comes in") {
  const std::vector<Case> cases = Answers();
  CHECK(cases.size() == 36);
  for (const Case& one : cases) {
    CAPTURE(one.id);
    const std::vector<std::string_view> whole = {one.answer};
    const std::string outcome = OutcomeOf(one, whole, false);
    const auto known = kEnds.find(one.id);
    CHECK(outcome.ends_with(known == kEnds.end() ? "{hello} keep" : known->second));
    const bool refused = outcome.ends_with(" close") && outcome.find("{") == std::string::npos;
    if (refused) CHECK(outcome.find("DATA_LOSS malformed: the response is") != std::string::npos);
    for (const auto& pieces : wire::Pieces(one.answer)) {
      REQUIRE(OutcomeOf(one, pieces, false) == outcome);
    }
  }
}

TEST_CASE("a receiver gets the same, whatever the pieces an answer comes in") {
  for (const Case& one : Answers()) {
    if (one.answer.size() > 1000 || one.id == "length-900TB") continue;
    CAPTURE(one.id);
    const std::vector<std::string_view> whole = {one.answer};
    const std::string outcome = OutcomeOf(one, whole, true);
    for (const auto& pieces : wire::Pieces(one.answer)) {
      REQUIRE(OutcomeOf(one, pieces, true) == outcome);
    }
  }
}

// With one of the head's field lines twice.
std::vector<Case> WithAFieldTwice(const Case& one) {
  std::vector<Case> all;
  const std::size_t head = one.answer.find("\r\n\r\n");
  for (std::size_t begin = one.answer.find("\r\n"); begin < head;) {
    const std::size_t end = one.answer.find("\r\n", begin + 2);
    Case doubled = one;
    doubled.answer.insert(end, one.answer.substr(begin, end - begin));
    all.push_back(doubled);
    begin = end;
  }
  return all;
}

TEST_CASE("an answer with a field twice has one outcome, whatever the pieces it comes in") {
  for (const Case& one : Answers()) {
    for (const Case& doubled : WithAFieldTwice(one)) {
      if (doubled.answer.size() > 1000) continue;
      CAPTURE(doubled.answer);
      const std::vector<std::string_view> whole = {doubled.answer};
      const std::string outcome = OutcomeOf(doubled, whole, false);
      for (const auto& pieces : wire::Pieces(doubled.answer)) {
        REQUIRE(OutcomeOf(doubled, pieces, false) == outcome);
      }
    }
  }
}

// Writes and reads by turns, of sizes up to these.
std::string ByTurns(const Case& one, const Request& request, std::mt19937& random) {
  Exchange exchange(request, {.upload = {.host = "h"}});
  std::uniform_int_distribution<std::size_t> size(0, 40);
  while (exchange.wants_write()) {
    std::size_t given = 0;
    for (const std::string_view part : exchange.ToWrite()) given += part.size();
    exchange.Wrote(std::min(given, size(random)));
  }
  std::string_view left = one.answer;
  while (!left.empty()) {
    const std::string_view piece = left.substr(0, size(random));
    exchange.Received(piece);
    left.remove_prefix(piece.size());
  }
  if (one.close) exchange.PeerEnded();
  return Outcome(exchange);
}

TEST_CASE("an outcome does not depend on the sizes in which a request is taken and answered") {
  std::mt19937 random(1);
  for (const Case& one : Answers()) {
    if (one.answer.size() > 1000) continue;
    CAPTURE(one.id);
    const bool head = one.method == "HEAD";
    const Request request = {.method = head ? "HEAD" : "PUT",
                             .sender = [](std::uint64_t offset, std::string& bytes) {
                               if (offset < 300) bytes.assign(100, 'x');
                               return true;
                             }};
    const std::string outcome = ByTurns(one, request, random);
    for (int i = 0; i < 50; ++i) REQUIRE(ByTurns(one, request, random) == outcome);
  }
}

// Whatever is answered, and when: the exchange ends with the answer and its connection, and the
// connection is kept only when the request is written.
TEST_CASE("an answer at any time while the request is written ends the exchange") {
  for (const Case& one : Answers()) {
    if (one.answer.size() > 1000 || one.method == "HEAD") continue;
    CAPTURE(one.id);
    const Request request = {.method = "PUT", .body = std::string(50, 'x')};
    for (std::size_t size = 0; size < 130; ++size) {
      Exchange exchange(request, {.upload = {.host = "h"}});
      std::size_t written = 0;
      if (size > 0) {
        for (const std::string_view part : exchange.ToWrite()) written += part.size();
        const bool all = written <= size;
        exchange.Wrote(std::min(written, size));
        CHECK(exchange.wants_write() == !all);
      }
      exchange.Received(one.answer);
      exchange.PeerEnded();
      REQUIRE(exchange.done());
      REQUIRE_FALSE(exchange.may_keep());
      REQUIRE(exchange.TakeResult().ok() ==
              (size > 0 &&
               (!kEnds.contains(one.id) || kEnds.at(one.id).find('{') != std::string::npos)));
    }
  }
}

}  // namespace
}  // namespace holdfast::http::internal::cases_test
