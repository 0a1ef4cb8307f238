#include "test/search/search.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <exception>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "holdfast/stack/internal/stack_info.h"
#include "test/search/scenario.h"
#include "test/search/shrink.h"
#include "test/search/story.h"

namespace holdfast::search {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::seconds kLongestShrink{10};

absl::Status ValidateParts(const Parts& parts) {
  std::vector<internal::NamedInfo> info;
  info.reserve(parts.size());
  for (const Part& part : parts) info.push_back(part.info);
  return internal::ValidateStack(info);
}

// Nothing for a stack that is refused.
std::optional<Scenario> DrawValid(std::uint64_t seed, Tally& tally) {
  ++tally.draws;
  try {
    Scenario scenario = Draw(seed);
    const absl::Status valid = ValidateParts(scenario.MakeParts(0));
    if (valid.ok()) return scenario;
    tally.Refuse(std::string(valid.message()));
  } catch (const std::invalid_argument& refused) {
    tally.Refuse(refused.what());
  }
  return std::nullopt;
}

bool Unbudgeted(Scenario& scenario) {
  const Parts parts = scenario.MakeParts(0);
  return std::any_of(parts.begin(), parts.end(),
                     [](const Part& part) { return part.memory.unbudgeted; });
}

bool Failed(Outcome outcome) { return outcome == Outcome::kLate || outcome == Outcome::kStuck; }

// One that is stuck must stay so: what is late may be late for other reasons.
Scenario MakeSimple(const Scenario& scenario, Outcome outcome) {
  const bool unbudgeted = Unbudgeted(const_cast<Scenario&>(scenario));
  const auto fails = [=](Scenario& simpler) {
    if (!ValidateParts(simpler.MakeParts(0)).ok()) return false;
    if (Unbudgeted(simpler) && !unbudgeted) return false;
    const Schedule schedule = ScheduleOf(simpler);
    for (std::uint64_t seed = simpler.seed; seed < simpler.seed + 2; ++seed) {
      const Outcome again = JudgeOnce(simpler, seed, schedule);
      if (outcome == Outcome::kStuck ? again != Outcome::kStuck : !Failed(again)) return false;
    }
    return true;
  };
  return Shrink(scenario, fails, kLongestShrink);
}

std::string KindOf(const Scenario& scenario, Outcome outcome) {
  const std::array<const char*, 3> faults = {"down", "hang", "slow"};
  return absl::StrCat(outcome == Outcome::kStuck ? "stuck: " : "late: ", ShapeOf(scenario), ", ",
                      faults.at(static_cast<std::size_t>(scenario.fault.kind)));
}

void JudgeAndTell(Scenario& scenario, std::int64_t examples, Tally& tally, std::ostream& out) {
  tally.shapes.insert(ShapeOf(scenario));
  const Outcome outcome = Judge(scenario);
  const bool unbudgeted = Unbudgeted(scenario);
  auto& outcomes = unbudgeted ? tally.unbudgeted : tally.outcomes;
  ++outcomes.at(static_cast<std::size_t>(outcome));
  if (!Failed(outcome) || unbudgeted) return;
  std::int64_t known = 0;
  for (const auto& [kind, count] : tally.kinds) known += count;
  if (known >= examples) return;
  Scenario simple = MakeSimple(scenario, outcome);
  ++tally.kinds[KindOf(simple, outcome)];
  out << Tell(simple) << '\n' << std::flush;
}

}  // namespace

Tally Search(const SearchOptions& options, std::ostream& out) {
  Tally tally;
  const auto until = steady_clock::now() + options.longest;
  while (tally.draws < options.draws && steady_clock::now() < until) {
    const auto seed = options.seed * 1'000'000 + static_cast<std::uint64_t>(tally.draws);
    if (auto scenario = DrawValid(seed, tally)) {
      JudgeAndTell(*scenario, options.examples, tally, out);
    }
  }
  return tally;
}

Tally Replay(std::uint64_t seed, std::ostream& out) {
  Tally tally;
  if (auto scenario = DrawValid(seed, tally)) {
    out << Tell(*scenario) << '\n';
    JudgeAndTell(*scenario, 1, tally, out);
  }
  return tally;
}

}  // namespace holdfast::search
