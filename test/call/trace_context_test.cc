// What is read and written of W3C's Trace Context: https://www.w3.org/TR/trace-context-2/.
#include "holdfast/call/trace_context.h"

#include <absl/random/random.h>

#include <array>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "test/support/catch.h"

namespace holdfast::trace_context_test {
namespace {

constexpr std::string_view kParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST_CASE("a traceparent is read, and written as it was") {
  const auto context = TraceContext::Parse(kParent);
  REQUIRE(context);
  CHECK(context->valid());
  CHECK(ToHex(context->trace_id()) == "4bf92f3577b34da6a3ce929d0e0e4736");
  CHECK(ToHex(context->span_id()) == "00f067aa0ba902b7");
  CHECK(context->sampled());
  CHECK(context->traceparent() == kParent);
  CHECK(context->tracestate().empty());
}

TEST_CASE("which traceparents are read, and what is handed on") {
  const std::string ids = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
  const std::string one = "00000000000000000000000000000001-0000000000000001";
  const std::string no_trace = "00000000000000000000000000000000-00f067aa0ba902b7";
  const std::string no_span = "4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000";
  const std::string upper = "4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7";
  struct Case {
    std::string text;
    std::string written;  // empty: refused
  };
  const std::vector<Case> cases = {
      {"00-" + ids + "-00", "00-" + ids + "-00"},
      {"00-" + ids + "-01", "00-" + ids + "-01"},
      {"00-" + ids + "-02", "00-" + ids + "-02"},
      {"00-" + ids + "-03", "00-" + ids + "-03"},
      {"00-" + one + "-01", "00-" + one + "-01"},
      // What the other flags mean is not known.
      {"00-" + ids + "-ff", "00-" + ids + "-03"},
      {"00-" + ids + "-09", "00-" + ids + "-01"},
      {"00-" + ids + "-fc", "00-" + ids + "-00"},
      // Version 00 has nothing behind the flags.
      {"00-" + ids + "-01-", ""},
      {"00-" + ids + "-01-more", ""},
      {"00-" + ids + "-01 ", ""},
      {" 00-" + ids + "-01", ""},
      // A later one may have, and of it only the sampled flag is known.
      {"01-" + ids + "-01", "00-" + ids + "-01"},
      {"cc-" + ids + "-03", "00-" + ids + "-01"},
      {"cc-" + ids + "-02", "00-" + ids + "-00"},
      {"cc-" + ids + "-01-", "00-" + ids + "-01"},
      {"fe-" + ids + "-01-what-the-future-brings", "00-" + ids + "-01"},
      {"cc-" + ids + "-01.what-the-future-brings", ""},
      {"cc-" + ids + "-011", ""},
      {"cc-" + ids + "-0", ""},
      {"cc-" + ids + "-0g", ""},
      {"cc-" + no_trace + "-01", ""},
      // There is no version ff.
      {"ff-" + ids + "-01", ""},
      {"ff-" + ids + "-01-more", ""},
      {"FE-" + ids + "-01", ""},
      {"0-" + ids + "-001", ""},
      {"000-" + ids + "-1", ""},
      {"00-" + no_trace + "-01", ""},
      {"00-" + no_span + "-01", ""},
      {"00-" + upper + "-01", ""},
      {"00-" + ids + "-0A", ""},
      {"00-" + ids + "-1", ""},
      {"00-" + ids, ""},
      {ids, ""},
      {"", ""},
  };
  for (const Case& one_case : cases) {
    INFO(one_case.text);
    const auto context = TraceContext::Parse(one_case.text);
    CHECK((context ? context->traceparent() : "") == one_case.written);
  }
}

// Whether a character may stand at that place of a traceparent of version 00 or a later one whose
// other characters are those of kParent.
bool MayStand(std::size_t place, char c) {
  const bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  if (place == 2 || place == 35 || place == 52) return c == '-';
  // Two of them make the version: 0f and f0 are later ones, as long.
  return digit;
}

TEST_CASE("each change of one character of a traceparent is refused or read as it is") {
  int read = 0;
  for (std::size_t place = 0; place < kParent.size(); ++place) {
    for (int value = 0; value < 256; ++value) {
      std::string text(kParent);
      text[place] = static_cast<char>(value);
      const auto context = TraceContext::Parse(text);
      INFO("place " << place << " value " << value);
      REQUIRE(context.has_value() == MayStand(place, text[place]));
      if (!context) continue;
      ++read;
      // The version and flags that are not known are not handed on.
      std::string expected = text;
      expected[0] = expected[1] = '0';
      const bool later = !text.starts_with("00");
      const int low = text[54] <= '9' ? text[54] - '0' : text[54] - 'a' + 10;
      expected[53] = '0';
      expected[54] = static_cast<char>('0' + (low & (later ? 1 : 3)));
      REQUIRE(context->traceparent() == expected);
    }
  }
  CHECK(read == 52 * 16 + 3);  // the places of digits, and the three dashes
}

TEST_CASE("a traceparent with a character more or less is refused") {
  for (std::size_t place = 0; place < kParent.size(); ++place) {
    std::string text(kParent);
    text.erase(place, 1);
    INFO(text);
    CHECK_FALSE(TraceContext::Parse(text));
  }
  for (std::size_t place = 0; place <= kParent.size(); ++place) {
    for (int value = 0; value < 256; ++value) {
      std::string text(kParent);
      text.insert(place, 1, static_cast<char>(value));
      INFO("place " << place << " value " << value);
      REQUIRE_FALSE(TraceContext::Parse(text));
    }
  }
}

// What is handed on of a tracestate; nullopt: it is dropped.
std::optional<std::string> Handed(std::string_view text) {
  TraceContext context;
  if (!context.SetTracestate(text)) return std::nullopt;
  return context.tracestate();
}

TEST_CASE("which tracestates are read, and what is handed on") {
  const std::string long_key(256, 'k');
  const std::string long_value(256, 'v');
  struct Case {
    std::string text;
    std::optional<std::string> handed;
  };
  const std::vector<Case> cases = {
      {"", ""},
      {"a=1", "a=1"},
      {"foo=1,bar=2", "foo=1,bar=2"},
      // Blanks around members are no part of them; in a value they are.
      {" foo=1 \t,\t bar=2 ", "foo=1,bar=2"},
      {"foo=a b", "foo=a b"},
      {"foo= b", "foo= b"},
      {"foo=1\t2", std::nullopt},
      // Empty members are none.
      {",", ""},
      {"foo=1,", "foo=1"},
      {",foo=1,, \t ,bar=2,", "foo=1,bar=2"},
      // Keys.
      {"0=1", "0=1"},
      {"a-_*/@9=1", "a-_*/@9=1"},
      {"tenant@system=1", "tenant@system=1"},
      {"@system=1", std::nullopt},
      {"_a=1", std::nullopt},
      {"Foo=1", std::nullopt},
      {"fOo=1", std::nullopt},
      {"foo =1", std::nullopt},
      {"fo o=1", std::nullopt},
      {"f.o=1", std::nullopt},
      {"=1", std::nullopt},
      {long_key + "=1", long_key + "=1"},
      {long_key + "k=1", std::nullopt},
      // Values.
      {"foo=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~", "foo=!\"#$%&'()*+-./:;<>?@[\\]^_`{|}~"},
      {"foo=", std::nullopt},
      {"foo= ", std::nullopt},
      {"foo", std::nullopt},
      {"foo=1=2", std::nullopt},
      {"foo=\x7f", std::nullopt},
      {"foo=\x80", std::nullopt},
      {"foo=\n1", std::nullopt},
      {"foo=" + long_value, "foo=" + long_value},
      {"foo=" + long_value + "v", std::nullopt},
      // One wrong member spoils it.
      {"foo=1,Bar=2", std::nullopt},
      {"foo=1;bar=2", std::nullopt},
      // Of equal keys the first is the latest.
      {"foo=1,foo=2", "foo=1"},
      {"foo=1,bar=2,foo=1", "foo=1,bar=2"},
  };
  for (const Case& one_case : cases) {
    INFO(one_case.text);
    CHECK(Handed(one_case.text) == one_case.handed);
  }
}

TEST_CASE("each change of one character of a tracestate is dropped or handed on as it is") {
  constexpr std::string_view kState = "ab=c d,e@f=1";
  const auto is_key = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("_-*/@").find(c) != std::string_view::npos;
  };
  const auto is_value = [](char c) { return c >= ' ' && c <= '~' && c != ',' && c != '='; };
  for (std::size_t place = 0; place < kState.size(); ++place) {
    for (int value = 0; value < 256; ++value) {
      const char c = static_cast<char>(value);
      std::string text(kState);
      text[place] = c;
      std::optional<std::string> expected;
      switch (place) {
        case 0:
        case 7:  // the first of a key; a blank or a comma leaves "b", and "@f", which is none
          if (is_key(c) && std::string_view("_-*/@").find(c) == std::string_view::npos) {
            expected = text;
          }
          if (place == 0 && (c == ' ' || c == '\t' || c == ',')) expected = text.substr(1);
          break;
        case 1:
        case 8:
        case 9:
          if (is_key(c)) expected = text;
          break;
        case 2:
        case 10:
          if (c == '=') expected = text;
          break;
        case 6:
          if (c == ',') expected = text;
          break;
        case 11:  // the last of a value; a blank or a comma is none, and leaves it empty
          if (is_value(c) && c != ' ') expected = text;
          break;
        case 5:  // the last of a value; a blank goes, a comma begins an empty member
          if (is_value(c) && c != ' ') expected = text;
          if (c == ' ' || c == '\t' || c == ',') expected = "ab=c,e@f=1";
          break;
        default:  // 3 and 4, in a value
          if (is_value(c)) expected = text;
          break;
      }
      INFO("place " << place << " value " << value);
      REQUIRE(Handed(text) == expected);
    }
  }
}

TEST_CASE("a tracestate has at most 32 members, without those that are empty") {
  std::string text;
  for (int i = 0; i < 32; ++i) text += ",k" + std::to_string(i) + "=1";
  const auto handed = Handed(text + ", ,");
  REQUIRE(handed);
  CHECK(*handed == text.substr(1));
  CHECK_FALSE(Handed(text + ",k32=1"));
  CHECK_FALSE(Handed(text + ",k0=1"));  // a second one of a key is one, too
}

TEST_CASE("of a tracestate 512 characters are kept, as whole members") {
  // Four of 128 with three commas are too long by three: the last one goes.
  std::vector<std::string> members;
  for (char c = 'a'; c <= 'd'; ++c)
    members.push_back(std::string(1, c) + "=" + std::string(126, c));
  const std::string three = members[0] + "," + members[1] + "," + members[2];
  CHECK(Handed(three + "," + members[3]) == three);
  CHECK(Handed(three + "," + members[3].substr(0, 125)) == three + "," + members[3].substr(0, 125));
  CHECK(Handed(three + "," + members[3].substr(0, 126)) == three);
  // One that is longer than 128 goes before shorter ones behind it.
  const std::string longer = "l=" + std::string(127, 'l');
  CHECK(Handed(longer + "," + three + ",m=1") == three + ",m=1");
  CHECK(Handed("m=1," + longer + "," + three) == "m=1," + three);
  // Of several of them the last one first, and only as many as must.
  const std::string other = "o=" + std::string(254, 'o');
  CHECK(Handed(longer + "," + other + "," + members[0] + ",m=1") ==
        longer + "," + members[0] + ",m=1");
  const std::string half = "h=" + std::string(253, 'h');
  CHECK(Handed(half + "," + other) == half + "," + other);  // 255 + 1 + 256
  CHECK(Handed(half + "h," + other) == half + "h");         // one more
}

TEST_CASE("lines of a tracestate are one list, and spoil nothing of the traceparent") {
  const std::array<std::string_view, 4> lines = {"foo=1, bar=2", "", " ", "baz=3,foo=4"};
  const auto context = TraceContext::Parse(kParent, lines);
  REQUIRE(context);
  CHECK(context->tracestate() == "foo=1,bar=2,baz=3");
  const std::array<std::string_view, 2> wrong = {"foo=1", "Bar"};
  const auto without = TraceContext::Parse(kParent, wrong);
  REQUIRE(without);
  CHECK(without->traceparent() == kParent);
  CHECK(without->tracestate().empty());
}

TEST_CASE("what is made here is valid, random, and says so") {
  absl::BitGen gen;
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    TraceContext root = TraceContext::NewRoot(gen);
    CHECK(root.valid());
    CHECK_FALSE(root.sampled());
    CHECK(root.flags() == TraceContext::kRandom);
    root.set_sampled(true);
    CHECK(TraceContext::Parse(root.traceparent()) == root);
    const TraceContext child = root.WithNewSpan(gen);
    CHECK(child.trace_id() == root.trace_id());
    CHECK(child.sampled());
    ids.insert(ToHex(root.trace_id()));
    ids.insert(ToHex(root.span_id()));
    ids.insert(ToHex(child.span_id()));
  }
  CHECK(ids.size() == 3000);
  CHECK_FALSE(TraceContext().valid());
}

TEST_CASE("a span of a trace keeps its state and its flags") {
  const auto parent = TraceContext::Parse(kParent, "foo=1");
  REQUIRE(parent);
  const TraceContext span = parent->WithSpan({0, 0, 0, 0, 0, 0, 0, 1});
  CHECK(span.traceparent() == "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000001-01");
  CHECK(span.tracestate() == "foo=1");
}

}  // namespace
}  // namespace holdfast::trace_context_test
