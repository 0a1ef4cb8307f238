#include "test/search/fields.h"

#include <chrono>
#include <set>
#include <stdexcept>
#include <string>

#include "holdfast/testing/random.h"
#include "test/search/scenario.h"
#include "test/search/story.h"
#include "test/support/catch.h"

namespace holdfast::search::fields_test {
namespace {

using namespace std::chrono_literals;

struct Queue {
  std::int64_t length = 100;
  bool newest_first = false;
};
struct Options {
  Duration timeout = 1s;
  double share = 0.5;
  Queue queue = {};

  friend bool operator==(const Options& a, const Options& b) {
    return a.timeout == b.timeout && a.share == b.share && a.queue.length == b.queue.length &&
           a.queue.newest_first == b.queue.newest_first;
  }
};

void Fill(Fields& f, Options& o, double chance) {
  f.Open("{");
  f.Time("timeout", o.timeout, 10ms, 10s, chance);
  f.Number("share", o.share, 0.01, 1, chance);
  if (f.In(".queue = Queue{", chance)) {
    f.Count("length", o.queue.length, 1, 1000, chance);
    f.Pick("newest_first", o.queue.newest_first, {{true, "true"}}, chance);
    f.Out();
  }
  f.Out();
}

struct Drawn {
  Options options;
  Settings settings;
};

Drawn DrawOptions(std::uint64_t seed, double chance) {
  testing::Random random(seed);
  Drawn drawn;
  Fields f(drawn.settings, &random);
  Fill(f, drawn.options, chance);
  return drawn;
}

Options Again(Settings& settings) {
  Options options;
  Fields f(settings, nullptr);
  Fill(f, options, 0.5);
  return options;
}

TEST_CASE("what was drawn can be filled in again", "[search]") {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Drawn drawn = DrawOptions(seed, 0.5);
    CHECK(Again(drawn.settings) == drawn.options);
    CHECK(drawn.options.timeout >= 10ms);
    CHECK(drawn.options.timeout <= 10s);
  }
}

TEST_CASE("what was not drawn is at its default, and not in the code", "[search]") {
  Drawn drawn = DrawOptions(1, 0);
  CHECK(Again(drawn.settings) == Options());
  CHECK(Code(drawn.settings) == "{}");
}

TEST_CASE("settings are said as a designated initializer", "[search]") {
  Drawn drawn = DrawOptions(3, 1);
  const Options& o = drawn.options;
  CHECK(Code(drawn.settings).starts_with("{.timeout = " + DurationCode(o.timeout) + ", .share = "));
  CHECK(Code(drawn.settings)
            .ends_with(", .queue = Queue{.length = " + std::to_string(o.queue.length) +
                       ", .newest_first = true}}"));
}

TEST_CASE("a setting that nobody asks for any more is dropped", "[search]") {
  Drawn drawn = DrawOptions(3, 1);
  std::erase_if(drawn.settings,
                [](const Setting& s) { return s.name.empty() && s.path.size() == 2; });
  const Options without_queue = Again(drawn.settings);
  CHECK(without_queue.queue.length == Queue().length);
  CHECK(Code(drawn.settings).find("length") == std::string::npos);
}

TEST_CASE("a duration is said in its largest whole unit", "[search]") {
  CHECK(DurationCode(2s) == "2s");
  CHECK(DurationCode(2500ms) == "2500ms");
  CHECK(DurationCode(2500us) == "2500us");
  CHECK(DurationCode(1ns) == "1ns");
}

// Its code, or why it is refused.
std::string CodeOf(std::uint64_t seed) {
  try {
    const Scenario scenario = Draw(seed);
    return StackCode(scenario) + Code(scenario.clients_settings) + Code(scenario.fault_settings);
  } catch (const std::invalid_argument& refused) {
    return refused.what();
  }
}

TEST_CASE("a scenario is the same each time it is drawn, and no other", "[search]") {
  std::set<std::string> codes;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    CHECK(CodeOf(seed) == CodeOf(seed));
    codes.insert(CodeOf(seed));
  }
  CHECK(codes.size() > 40);
}

}  // namespace
}  // namespace holdfast::search::fields_test
