// The samples from the wire, read by two more parsers. Where one of them makes something else of a
// message than we do, a table says why, and whether it is wrong.
#include <http_parser.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "test/http/wire/beast_peer.h"
#include "test/http/wire/cases.h"
#include "test/http/wire/http_parser_peer.h"
#include "test/http/wire/peer.h"
#include "test/support/catch.h"

namespace holdfast::http::wire::peers_test {
namespace {

enum class Right : signed char { kOurs, kEither };

// Rows of the two files in test/http/cases, "request/" or "answer/" and the id, of which a parser
// makes something else by that rule.
struct Rule {
  std::string_view why;
  Right right;
  std::vector<std::string> beast;
  std::vector<std::string> http_parser;
};

const std::vector<Rule> kRules = {
    {"a request in HTTP/1.1 has exactly one Host (RFC 9112, 3.2), and it is a host and perhaps a "
     "port (RFC 9110, 7.2)",
     Right::kOurs,
     {"request/host-dup-same", "request/host-dup-diff", "request/host-space", "request/host-at",
      "request/host-slash", "request/host-comma"},
     {"request/host-dup-same", "request/host-dup-diff", "request/host-space", "request/host-at",
      "request/host-slash", "request/host-comma"}},
    {"a request whose last coding is not chunked has no length that can be known, whatever "
     "Content-Length says (RFC 9112, 6.3, rule 4)",
     Right::kOurs,
     {"request/te-identity", "request/te-gzip", "request/te-x", "request/te-quoted"},
     {}},
    {"a target begins with a slash or a scheme (RFC 9112, 3.2)",
     Right::kOurs,
     {"request/target-noslash"},
     {}},
    {"no blank stands before a field's name (RFC 9112, 2.2) or before its colon (5.1)",
     Right::kOurs,
     {},
     {"request/first-line-space", "request/space-colon", "answer/space-before-colon"}},
    {"a request line has a version (RFC 9112, 3)", Right::kOurs, {}, {"request/line-no-version"}},
    {"another major version is another protocol (RFC 9110, 2.5)",
     Right::kOurs,
     {},
     {"request/version-2.0", "request/version-0.9"}},
    {"CR LF ends a chunk's data (RFC 9112, 7.1)", Right::kOurs, {}, {"request/chunk-data-xx"}},
    {"LF is no part of a chunk's extension (RFC 9112, 7.1.1), so it is known here that the message "
     "is malformed",
     Right::kOurs,
     {},
     {"request/chunk-ext-lf"}},
    {"so it is where LF alone stands for the empty line, which Beast waits for",
     Right::kOurs,
     {"request/bare-lf-end", "request/chunk-end-lf"},
     {}},
    {"no body follows 204 and 304, whatever their fields say (RFC 9112, 6.3, rule 1)",
     Right::kOurs,
     {},
     {"answer/204-with-length", "answer/304-with-length"}},
    {"a status line may have no reason (RFC 9112, 4); many leave out the blank before it too",
     Right::kOurs,
     {"answer/no-reason"},
     {}},
    {"an empty line before a request line is skipped (RFC 9112, 2.2)",
     Right::kOurs,
     {"request/leading-crlf"},
     {}},
    {"tabs around a value are no part of it (RFC 9110, 5.5)", Right::kOurs, {}, {"request/cl-ows"}},
    {"how many empty lines are skipped is the reader's choice (RFC 9112, 2.2)",
     Right::kEither,
     {},
     {"request/leading-crlf-3"}},
    {"LF alone may be taken for the end of a line (RFC 9112, 2.2)",
     Right::kEither,
     {},
     {"request/bare-lf", "request/bare-lf-one-header", "request/bare-lf-end",
      "request/te-lf-prefix", "request/chunk-end-lf", "answer/bare-lf"}},
    {"a folded field is refused, or its fold is replaced by blanks (RFC 9112, 5.2)",
     Right::kEither,
     {"request/fold", "answer/fold"},
     {"request/fold", "answer/fold"}},
    {"equal lengths are taken for one or refused (RFC 9112, 6.3, rule 5)",
     Right::kEither,
     {},
     {"request/cl-dup-same", "request/cl-list-same", "answer/two-equal-lengths"}},
    {"empty elements of a list are skipped (RFC 9110, 5.6.1); we refuse them where they frame",
     Right::kEither,
     {"request/te-empty-elem", "request/te-trailing-comma"},
     {}},
    {"Transfer-Encoding in HTTP/1.0 is faulty, and the connection ends behind it (RFC 9112, 6.1)",
     Right::kEither,
     {"request/te-10"},
     {"request/te-10"}},
    {"chunked may be there but once (RFC 9112, 6.1); what has it twice is still read",
     Right::kEither,
     {},
     {"request/te-twice"}},
    {"a coding before chunked is left to the caller, or answered with 501 (RFC 9112, 6.1)",
     Right::kEither,
     {"request/te-gzip-chunked"},
     {"request/te-gzip-chunked"}},
    {"blanks between the parts of a request line may be taken for one (RFC 9112, 3)",
     Right::kEither,
     {},
     {"request/line-2-spaces"}},
    {"a target is ASCII (RFC 3986, 2); some pass on what is not",
     Right::kEither,
     {"request/target-utf8"},
     {"request/target-utf8"}},
    {"a method that is not known is answered with 501 (RFC 9110, 9.1); here the caller does so",
     Right::kEither,
     {},
     {"request/method-unknown"}},
    {"a later minor version is read as 1.1 (RFC 9110, 2.5), or answered with 505 (15.6.6)",
     Right::kEither,
     {"request/version-1.2"},
     {}},
    {"http-parser leaves bounds on bodies to its caller",
     Right::kEither,
     {},
     {"answer/length-900TB"}},
};

struct Sample {
  std::string name;
  std::string want;
  std::string method;
  std::string bytes;
  bool response = false;
  bool close = false;

  Sent sent() const {
    return {.response = response, .bytes = bytes, .method = method, .close = close};
  }
};

std::vector<Sample> Samples() {
  std::vector<Sample> samples;
  for (const nlohmann::json& one : Cases("smuggling.json")) {
    samples.push_back({.name = "request/" + std::string(one["id"]),
                       .want = one["want"],
                       .method = "GET",
                       .bytes = Bytes(one["bytes"])});
  }
  for (const nlohmann::json& one : Cases("answers.json")) {
    samples.push_back({.name = "answer/" + std::string(one["id"]),
                       .want = one["want"],
                       .method = one["method"],
                       .bytes = Bytes(one["answer"]),
                       .response = true,
                       .close = one["then_close"]});
  }
  return samples;
}

Understood ByHttpParser(const Sent& sent) {
  http_parser_set_max_header_size(static_cast<std::uint32_t>(Limits{}.head));
  return ReadByHttpParser(sent);
}

std::set<std::string> Named(std::vector<std::string> Rule::* of_peer) {
  std::set<std::string> names;
  for (const Rule& rule : kRules) {
    for (const std::string& name : rule.*of_peer) {
      INFO(name);
      CHECK(names.insert(name).second);
    }
  }
  return names;
}

template <class Read>
void CompareWith(Read read, std::set<std::string> named) {
  for (const Sample& sample : Samples()) {
    const Understood ours = ReadByOurs(sample.sent());
    const Understood theirs = read(sample.sent());
    INFO(sample.name << "\nours:   " << Text(ours) << "\ntheirs: " << Text(theirs));
    const bool is_named = named.erase(sample.name) > 0;
    CHECK(AreAlike(ours, theirs) != is_named);
  }
  CHECK(named == std::set<std::string>());  // no such sample
}

TEST_CASE("Beast and we make the same of each sample, or the table says why not") {
  CompareWith([](const Sent& sent) { return ReadByBeast(sent); }, Named(&Rule::beast));
}

TEST_CASE("http-parser and we make the same of each sample, or the table says why not") {
  CompareWith(ByHttpParser, Named(&Rule::http_parser));
}

// Of the requests that a reader judges.
template <class Read>
int AcceptedThoughRefusalIsRight(Read read) {
  int wrong = 0;
  int judged = 0;
  for (const Sample& sample : Samples()) {
    if (sample.response || IsForGateways(sample.name.substr(sizeof("request/") - 1))) continue;
    ++judged;
    const bool may_accept = sample.want.find("ok") != std::string::npos ||
                            sample.want.find("norm") != std::string::npos;
    const bool accepts = read(sample.sent()).end == Understood::End::kComplete;
    if (accepts && !may_accept) ++wrong;
  }
  CHECK(judged == 88);
  return wrong;
}

// docs/wire.md has these figures.
TEST_CASE("of 88 requests we accept none that must be refused, Beast 11, and http-parser 12") {
  CHECK(AcceptedThoughRefusalIsRight([](const Sent& sent) { return ReadByOurs(sent); }) == 0);
  CHECK(AcceptedThoughRefusalIsRight([](const Sent& sent) { return ReadByBeast(sent); }) == 11);
  CHECK(AcceptedThoughRefusalIsRight(ByHttpParser) == 12);
}

TEST_CASE("of 36 answers Beast reads one wrongly, and http-parser three") {
  const auto wrong = [](std::vector<std::string> Rule::* of_peer) {
    std::ptrdiff_t count = 0;
    for (const Rule& rule : kRules) {
      if (rule.right != Right::kOurs) continue;
      count += std::ranges::count_if(
          rule.*of_peer, [](const std::string& name) { return name.starts_with("answer/"); });
    }
    return count;
  };
  CHECK(wrong(&Rule::beast) == 1);
  CHECK(wrong(&Rule::http_parser) == 3);
}

}  // namespace
}  // namespace holdfast::http::wire::peers_test
