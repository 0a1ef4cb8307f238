// What comes over a wire, from test/http/cases: each whole, byte by byte, and cut at each place.
#include "test/http/wire/cases.h"

#include <absl/strings/str_split.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/http/wire/reader.h"
#include "holdfast/http/wire/writer.h"
#include "test/http/wire/trace.h"
#include "test/support/catch.h"

namespace holdfast::http::wire::cases_test {
namespace {

// How the trace of an answer ends, by the case's id; those with a body of "hello" are not here.
const std::map<std::string, std::string, std::less<>> kEnds = {
    {"304-with-length", "\nend keep\n"},
    {"304-without-length", "\nend keep\n"},
    {"204-with-length", "\nend keep\n"},
    {"head-huge-length", "\nend keep\n"},
    {"trailers", "\nbody hello\nend [X-Sum=abc] keep\n"},
    {"te-and-length", "fault 400 there are both Transfer-Encoding and Content-Length\n"},
    {"two-lengths", "fault 400 two Content-Lengths differ\n"},
    {"length-abc", "fault 400 Content-Length is no length\n"},
    {"length-negative", "fault 400 Content-Length is no length\n"},
    {"length-overflow", "fault 400 Content-Length is no length\n"},
    {"length-900TB", "fault 413 the body is longer than the limit\n"},
    {"bare-lf", "fault 400 a line does not end with CR LF\n"},
    {"http10-eof", "\nbody hello\nend close\n"},
    {"http2-status-line", "fault 400 the response does not begin with HTTP/1\n"},
    {"fold", "fault 400 a field is folded\n"},
    {"space-before-colon", "fault 400 a field's name is not followed by a colon\n"},
    {"surplus", "\nbody hello\nend keep\nsurplus\n"},
    {"408-farewell", "\nend close\n"},
    {"425", "\nend keep\n"},
    {"close-capital", "\nbody hello\nend close\n"},
    {"close-in-list", "\nbody hello\nend close\n"},
    {"cut-chunk", "\nbody hel\nfault 400 the connection ends within a message\n"},
    {"cut-length", "\nbody hello\nfault 400 the connection ends within a message\n"},
};

TEST_CASE("each answer is what its case says, whatever the pieces it comes in") {
  const nlohmann::json cases = Cases("answers.json");
  CHECK(cases.size() == 36);
  for (const nlohmann::json& one : cases) {
    const std::string id = one["id"];
    const std::string method = one["method"];
    const std::string answer = Bytes(one["answer"]);
    const bool close = one["then_close"];
    CAPTURE(id);
    const std::vector<std::string_view> whole = {answer};
    const std::string trace = TraceOfResponse(method, whole, close);
    const auto known = kEnds.find(id);
    CHECK(trace.ends_with(known == kEnds.end() ? "\nbody hello\nend keep\n" : known->second));
    for (const auto& pieces : Pieces(answer)) {
      REQUIRE(TraceOfResponse(method, pieces, close) == trace);
    }
  }
}

// The bytes with one of the head's field lines twice.
std::vector<std::string> WithAFieldTwice(const std::string& message) {
  std::vector<std::string> all;
  const std::size_t head = message.find("\r\n\r\n");
  if (head == std::string::npos) return {};
  for (std::size_t begin = message.find("\r\n"); begin < head;) {
    const std::size_t end = message.find("\r\n", begin + 2);
    std::string doubled = message;
    all.push_back(doubled.insert(end, message.substr(begin, end - begin)));
    begin = end;
  }
  return all;
}

TEST_CASE("an answer with a field twice is the same in all pieces, and never ends in two ways") {
  for (const nlohmann::json& one : Cases("answers.json")) {
    const std::string method = one["method"];
    const bool close = one["then_close"];
    for (const std::string& answer : WithAFieldTwice(Bytes(one["answer"]))) {
      if (answer.size() > 1000) continue;
      CAPTURE(answer);
      const std::vector<std::string_view> whole = {answer};
      const std::string trace = TraceOfResponse(method, whole, close);
      for (const auto& pieces : Pieces(answer)) {
        REQUIRE(TraceOfResponse(method, pieces, close) == trace);
      }
    }
  }
}

// What a message says of its own framing and route, which WriteHead says by itself.
bool IsWriters(const Field& field) {
  for (const std::string_view name :
       {"Host", "Content-Length", "Transfer-Encoding", "Connection"}) {
    if (EqualsIgnoringCase(field.name, name)) return true;
  }
  return false;
}

// The first request as it would be sent on, but for its body.
std::string SentOn(const std::string& request) {
  RequestReader reader;
  std::string_view bytes = request;
  REQUIRE(reader.Next(bytes) == Event::kHead);
  std::vector<Field> fields;
  for (const Field& field : reader.fields()) {
    if (!IsWriters(field)) fields.push_back(field);
  }
  std::string out;
  const absl::Status written =
      WriteHead({.method = reader.method(),
                 .target = reader.target(),
                 .host = FindField(reader.fields(), "Host").value_or("none"),
                 .fields = fields,
                 .body = {reader.framing(), reader.length()}},
                out);
  INFO(written);
  CHECK(written.ok());
  return out;
}

TEST_CASE("each request is accepted or refused as its case says, whatever its pieces") {
  int read = 0;
  for (const nlohmann::json& one : Cases("smuggling.json")) {
    const std::string id = one["id"];
    if (IsForGateways(id)) continue;
    ++read;
    const std::string want = one["want"];
    const std::string request = Bytes(one["bytes"]);
    CAPTURE(id, want);
    const std::vector<std::string_view> whole = {request};
    const std::string trace = TraceOfRequests(whole);
    INFO(trace);
    const std::size_t fault = trace.find("fault ");
    const std::set<std::string> allowed = absl::StrSplit(want, '|');
    if (fault != std::string::npos) {
      CHECK(allowed.contains(trace.substr(fault + 6, 3)));
    } else {
      CHECK(trace.ends_with(id == "host-missing-10" ? "\nend close\n" : " keep\n"));
      CHECK((allowed.contains("ok") || allowed.contains("norm")));
      const std::string sent_on = SentOn(request);
      const std::vector<std::string_view> again = {sent_on};
      CHECK(TraceOfRequests(again).starts_with("head "));
    }
    for (const auto& pieces : Pieces(request)) REQUIRE(TraceOfRequests(pieces) == trace);
  }
  CHECK(read == 88);
}

// A second field that frames or routes may not make another message of it.
TEST_CASE(
    "a request with a field twice is the same in all pieces, and has one length and one host") {
  for (const nlohmann::json& one : Cases("smuggling.json")) {
    for (const std::string& request : WithAFieldTwice(Bytes(one["bytes"]))) {
      if (request.size() > 1000) continue;
      CAPTURE(request);
      const std::vector<std::string_view> whole = {request};
      const std::string trace = TraceOfRequests(whole);
      for (const auto& pieces : Pieces(request)) REQUIRE(TraceOfRequests(pieces) == trace);
      RequestReader reader;
      std::string_view bytes = request;
      if (reader.Next(bytes) != Event::kHead) continue;
      const auto count = [&reader](std::string_view name) {
        return std::ranges::count_if(reader.fields(), [name](const Field& field) {
          return EqualsIgnoringCase(field.name, name);
        });
      };
      CHECK(count("Host") <= 1);
      CHECK(count("Transfer-Encoding") <= 1);
      if (reader.framing() == Framing::kChunked) CHECK(count("Content-Length") == 0);
    }
  }
}

}  // namespace
}  // namespace holdfast::http::wire::cases_test
