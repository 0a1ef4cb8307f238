// The stories that examples/storm tells, over several seeds: none is an accident of one.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "scenarios.h"
#include "test/support/catch.h"

namespace storm {
namespace {

using namespace std::chrono_literals;
using holdfast::testing::Results;

constexpr std::uint64_t kSeeds[] = {1, 2, 3, 4, 5};
constexpr std::int64_t kClients = 500;

// The outcome of that name, from the variant that has it.
Outcome Get(const std::string& scenario_name, const std::string& variant_name,
            const std::string& name, std::uint64_t seed) {
  const Scenario* const scenario = Find(scenario_name);
  REQUIRE(scenario != nullptr);
  for (const Variant& variant : scenario->variants) {
    if (variant.name != variant_name) continue;
    for (Outcome& outcome : variant.run({.seed = seed, .clients = kClients})) {
      if (outcome.name == name) return std::move(outcome);
    }
  }
  FAIL(scenario_name << " has no variant " << variant_name << " with " << name);
  return {};
}

Outcome Get(const std::string& scenario, const std::string& variant, std::uint64_t seed) {
  return Get(scenario, variant, variant, seed);
}

double SuccessShare(const Results& results) {
  return static_cast<double>(results.successes) / static_cast<double>(results.calls);
}

double GoodputBefore(const Outcome& outcome) {
  return outcome.results.Goodput(0s, outcome.disturbance.from);
}

double CalledPerSecond(const Results& results, holdfast::Duration from) {
  std::int64_t calls = 0;
  for (auto i = from / results.bucket; i < std::ssize(results.timeline); ++i) {
    calls += results.timeline[static_cast<std::size_t>(i)].calls;
  }
  return static_cast<double>(calls) / std::chrono::duration<double>(results.end - from).count();
}

TEST_CASE("a retry storm without a budget outlives the outage, and without retries there is none") {
  for (const std::uint64_t seed : kSeeds) {
    CAPTURE(seed);
    const Outcome storm = Get("retry-storm", "no budget", seed);
    INFO(storm.results);
    const holdfast::Duration later = storm.disturbance.to + 60s;
    CHECK(storm.results.Goodput(later) < 0.2 * GoodputBefore(storm));
    CHECK(storm.results.Amplification() > 3);
    CHECK(storm.recovered == std::nullopt);
    CHECK(storm.results.servers[0].counts.wasted > storm.results.servers[0].counts.served);

    const Outcome calm = Get("retry-storm", "no retries", seed);
    REQUIRE(calm.recovered.has_value());
    CHECK(calm.recovered.value_or(1h) <= 5s);
    CHECK(calm.results.Goodput(later) > 0.9 * GoodputBefore(calm));
  }
}

TEST_CASE("a retry storm with a budget for each process ends with the outage") {
  for (const std::uint64_t seed : kSeeds) {
    CAPTURE(seed);
    const Outcome held = Get("retry-storm-budget", "budget per process", seed);
    INFO(held.results);
    const holdfast::Duration soon = held.disturbance.to + 5s;
    CHECK(held.results.Goodput(soon) > 0.95 * CalledPerSecond(held.results, soon));
    CHECK(held.results.Amplification() < 1.2);
    REQUIRE(held.recovered.has_value());
    CHECK(held.recovered.value_or(1h) <= 5s);
  }
}

TEST_CASE("a retry budget that few calls share holds nothing") {
  for (const std::uint64_t seed : kSeeds) {
    CAPTURE(seed);
    const Outcome storm = Get("retry-storm-budget", "budget per client", seed);
    CHECK(storm.recovered == std::nullopt);
    CHECK(storm.results.Amplification() > 3);
  }
}

TEST_CASE("jitter takes the peaks off a thundering herd, and it is over sooner") {
  for (const std::uint64_t seed : kSeeds) {
    CAPTURE(seed);
    const Outcome none = Get("thundering-herd", "no jitter", seed);
    REQUIRE(none.recovered.has_value());
    CHECK(none.PeakAfter() == 2 * kClients);  // all of them in one bucket, of half a second
    CHECK(none.recovered.value_or(0s) > 20s);
    const auto better = [&](const std::string& jitter, double peak, holdfast::Duration within) {
      CAPTURE(jitter);
      const Outcome spread = Get("thundering-herd", jitter, seed);
      CHECK(spread.results.successes == kClients);
      CHECK(spread.PeakAfter() < peak * none.PeakAfter());
      REQUIRE(spread.recovered.has_value());
      CHECK(spread.recovered.value_or(1h) < within);
    };
    better("full jitter", 0.4, 12s);
    better("equal jitter", 0.65, 8s);
    better("decorrelated jitter", 0.4, 12s);
  }
}

TEST_CASE("bulkheads keep a slow service from taking the fast one along") {
  for (const std::uint64_t seed : kSeeds) {
    CAPTURE(seed);
    const Outcome without = Get("slow-server", "shared threads", "fast, shared threads", seed);
    CHECK(without.results.Goodput(without.disturbance.from, without.disturbance.to) <
          0.5 * GoodputBefore(without));
    CHECK(without.results.rejections.at("Bulkhead") > 8 * GoodputBefore(without));

    const Outcome with = Get("slow-server", "bulkheads", "fast, bulkheads", seed);
    INFO(with.results);
    CHECK(SuccessShare(with.results) >= 0.99);
    CHECK(with.results.latencies.Percentile(0.99) < 200ms);
  }
}

TEST_CASE("a cold start never ends, or ends with budgets, a ramp or timeouts that adapt") {
  for (const std::uint64_t seed : kSeeds) {
    CAPTURE(seed);
    const Outcome never = Get("cold-start", "no budget", seed);
    CHECK(never.recovered == std::nullopt);
    CHECK(SuccessShare(never.results) < 0.05);
    const auto ends = [&](const std::string& variant, holdfast::Duration within, double share) {
      CAPTURE(variant);
      const Outcome held = Get("cold-start", variant, seed);
      INFO(held.results);
      REQUIRE(held.recovered.has_value());
      CHECK(held.recovered.value_or(1h) <= within);
      CHECK(SuccessShare(held.results) > share);
    };
    ends("budget per process", 20s, 0.5);
    ends("rate ramp", 10s, 0.7);
    ends("adaptive timeout", 5s, 0.7);
  }
}

TEST_CASE("one bad backend of ten: a retry saves the calls, a hedge their time as well") {
  for (const std::uint64_t seed : kSeeds) {
    CAPTURE(seed);
    const Results plain = Get("one-bad-of-ten", "plain", seed).results;
    const Results retry = Get("one-bad-of-ten", "retry", seed).results;
    const Results hedge = Get("one-bad-of-ten", "retry and hedge", seed).results;
    CHECK(SuccessShare(plain) < 0.95);
    CHECK(SuccessShare(retry) > 0.995);
    CHECK(SuccessShare(hedge) > 0.995);
    CHECK(plain.latencies.Percentile(0.99) > 450ms);
    CHECK(retry.latencies.Percentile(0.99) > 450ms);
    CHECK(hedge.latencies.Percentile(0.99) < plain.latencies.Percentile(0.99) / 2);
    CHECK(hedge.Amplification() < 1.25);
  }
}

std::string Print(const Outcome& outcome) {
  std::ostringstream out;
  out << outcome.name << ' ' << outcome.results << outcome.PeakAfter();
  return out.str();
}

TEST_CASE("one seed, one storm") {
  for (const Scenario& scenario : Scenarios()) {
    const Variant& variant = scenario.variants.back();
    CAPTURE(scenario.name);
    const auto run = [&](std::uint64_t seed) {
      return Print(variant.run({.seed = seed, .clients = 50}).front());
    };
    CHECK(run(7) == run(7));
    CHECK(run(7) != run(8));
  }
}

TEST_CASE("the storms have names of their own, run with one client and end when they are told") {
  std::set<std::string> names;
  for (const Scenario& scenario : Scenarios()) {
    CAPTURE(scenario.name);
    CHECK(names.insert(scenario.name).second);
    CHECK_FALSE(scenario.story.empty());
    for (const Variant& variant : scenario.variants) {
      CAPTURE(variant.name);
      Settings settings{.seed = 1, .clients = 1};
      settings.progress = [](holdfast::Duration now) { return now < 10s; };
      for (const Outcome& outcome : variant.run(settings)) {
        CHECK(outcome.results.end == 10s);
        CHECK(outcome.results.calls > 0);
      }
    }
  }
  CHECK(Find("sunshine") == nullptr);
}

}  // namespace
}  // namespace storm
