#include "test/search/judge.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <span>

namespace holdfast::search {
namespace {

using namespace std::chrono_literals;

constexpr double kMostCallsPlanned = 60'000;
constexpr Duration kLater = 60s;
constexpr int kWindows = 3;

double Seconds(Duration d) { return static_cast<double>(d.count()) * 1e-9; }
Duration OfSeconds(double s) {
  return Duration(static_cast<Duration::rep>(std::min(s, 1e5) * 1e9));
}

using Below = std::span<const Part>;

// How long a request may take at the servers, its time in their queue included.
Duration LongestRequest(const Scenario& scenario) {
  const Service& service = scenario.service;
  const Fault& fault = scenario.fault;
  const double factor = fault.kind == FaultKind::kSlow ? fault.factor : 1;
  const double queued = static_cast<double>(service.max_queue * service.servers);
  return OfSeconds(queued / scenario.capacity() + 5 * factor * Seconds(service.time));
}

// The most requests that a call makes of the servers.
double MostAttempts(Below parts) {
  double attempts = 1;
  for (const Part& part : parts) {
    attempts *= part.info.info.attempts * (part.info.info.last_hedge > 0s ? 2 : 1);
  }
  return attempts;
}

Duration LongestCall(Below parts, Duration request) {
  if (parts.empty()) return request;
  const PolicyInfo& info = parts.front().info.info;
  const Duration below = LongestCall(parts.subspan(1), request);
  if (info.timeout != Duration::max()) return std::min(info.timeout, below);
  const Duration attempts =
      OfSeconds(Seconds(below + info.last_hedge) * info.attempts + Seconds(info.backoff));
  return std::min(attempts, SaturatingAdd(TimePoint(info.max_elapsed), below).time_since_epoch());
}

// A hung request ends by a Timeout or not at all, so there what is below a Timeout takes all of it.
Duration LongestOf(const Scenario& scenario, Below parts) {
  const Duration request =
      scenario.fault.kind == FaultKind::kHang ? OfSeconds(1e5) : LongestRequest(scenario);
  return std::min(scenario.clients.patience, LongestCall(parts, request));
}

// The longest open time of the openings that `fault` is long enough for, and of the next.
Duration LongestOpen(const CircuitBreaker::Options& breaker, Duration fault) {
  if (!breaker.open_time) return breaker.timeout;
  Duration longest{0};
  Duration passed{0};
  for (std::uint64_t opening = 1; opening <= 50; ++opening) {
    Duration least = Duration::max();
    for (int draw = 0; draw < 20; ++draw) {
      const Duration open = breaker.open_time(opening);
      longest = std::max(longest, open);
      least = std::min(least, open);
    }
    if (passed > fault) break;
    passed += least;
  }
  return longest;
}

double BreakerTime(const CircuitBreaker::Options& breaker, const Fault& fault, double rate,
                   Duration below) {
  const Duration lease = breaker.probe_lease > 0s ? breaker.probe_lease : breaker.timeout;
  const auto probes = static_cast<double>(breaker.max_requests);
  const auto steps = static_cast<double>(breaker.ramp.size());
  return Seconds(std::min(lease, below)) + Seconds(LongestOpen(breaker, fault.length)) +
         (probes + 3 * std::sqrt(probes)) / rate + steps * (Seconds(breaker.ramp_step) + 3 / rate);
}

double LimiterTime(const AdaptiveLimiter::Options& limiter, double rate, double service) {
  const auto samples = static_cast<double>(limiter.min_samples);
  const double window =
      std::max({Seconds(limiter.window), 2 * service, samples * service, samples / rate}) + service;
  return window * (3 + 1.5 * rate * service);
}

// The requests per second that retries and hedges add to the calls while a queue is longer than
// these wait. So what goes to its servers fails: of r requests per second, at most those to the
// other servers succeed. Each success deposits per_success in each budget, and time
// min_retries_per_second. A hedge costs 1, and a retry of what was too late timed_out; one of what
// a server refused costs less, but the request before it was no work. So
//   r - rate <= the sum of (per_success r (1 - queueing) + min_retries_per_second) / cost
// and that is solved for r - rate. Infinite where there is no such r, or no budget.
double AddedRate(const Scenario& scenario, Below parts) {
  const bool one = scenario.fault.kind == FaultKind::kSlow && scenario.fault.one_server;
  const double queueing = one ? 1 / static_cast<double>(scenario.service.servers) : 1;
  double per_request = 0;
  double per_second = 0;
  for (const Part& part : parts) {
    if (part.memory.unbudgeted) return std::numeric_limits<double>::infinity();
    if (!part.memory.budget) continue;
    const RetryBudget::Options& budget = *part.memory.budget;
    const double cost = part.info.name == "Hedge" ? 1 : budget.timed_out;
    per_request += budget.per_success * (1 - queueing) / cost;
    per_second +=
        budget.min_retries_per_second * static_cast<double>(scenario.clients.processes) / cost;
  }
  if (per_request >= 1) return std::numeric_limits<double>::infinity();
  return (scenario.clients.rate * per_request + per_second) / (1 - per_request);
}

// The squared coefficient of variation of the time of a request: see SpreadOf.
double VariationOf(const Service& service) {
  constexpr std::array<double, 4> kVariation = {1, 0, 0.61, 1.27};
  return kVariation.at(static_cast<std::size_t>(service.spread));
}

// What is queued, over the capacity that is left free, but for one trial in forty. By chance a
// server's queue takes longer: r requests come per second, and c go, with the variances r and c v;
// so the time in which n of them are worked off has the variance n (r + c v) / (c - r)^3, and it
// takes two deviations more. The same n, r and c are those of all servers together, divided by
// their number.
//
// Where retries and hedges may leave nothing free, they may keep the queue as it is for ever, which
// is to be found: there it is as if they did not.
double QueueTime(const Scenario& scenario, Below parts, Duration longest_call) {
  const Service& service = scenario.service;
  const double rate = scenario.clients.rate;
  const double came = scenario.fault.kind == FaultKind::kSlow
                          ? rate * Seconds(scenario.fault.length) * MostAttempts(parts)
                          : rate * Seconds(longest_call);
  const double queued = std::min(came, static_cast<double>(service.max_queue * service.servers));
  const double capacity = scenario.capacity();
  const double with_added = rate + AddedRate(scenario, parts);
  const double comes = with_added < capacity ? with_added : rate;
  const double left = capacity - comes;
  const double variance = queued * static_cast<double>(service.servers) *
                          (comes + capacity * VariationOf(service)) / (left * left * left);
  const double time = queued / left + 2 * std::sqrt(variance);
  return service.drops_cancelled ? std::min(time, Seconds(longest_call)) : time;
}

// Work that was begun while the servers were slow ends as late as it was to; the last of it counts.
double SlowWorkTime(const Scenario& scenario) {
  if (scenario.fault.kind != FaultKind::kSlow) return 0;
  const auto workers = static_cast<double>(scenario.workers() * scenario.service.servers);
  return scenario.fault.factor * Seconds(scenario.service.time) * (2 + std::log(workers));
}

// Whether most calls succeed throughout where there is no fault.
bool IsWell(const Timeline& without, Duration from, Duration to) {
  for (int i = 0; i < kWindows; ++i) {
    const Duration begin = from + (to - from) / kWindows * i;
    const Duration end = begin + (to - from) / kWindows;
    const auto calls = static_cast<double>(without.CallsIn(begin, end));
    if (static_cast<double>(without.SuccessesIn(begin, end)) < 0.9 * calls) return false;
  }
  return without.SuccessesIn(from, to) >= 60;
}

}  // namespace

Duration StatedTime(Scenario& scenario) {
  const Parts parts = scenario.MakeParts(0);
  const Surroundings around = scenario.around(0);
  const Duration call = LongestOf(scenario, parts);
  double time = 2 * Seconds(call) + QueueTime(scenario, parts, call) + SlowWorkTime(scenario) +
                3 / around.rate;
  bool waits = false;  // for what policies further inside refuse
  for (std::size_t i = 0; i < parts.size(); ++i) {
    waits = waits || parts[i].info.info.waits_for_refusals;
    const Memory& memory = parts[i].memory;
    const bool keyed = parts[i].info.name == "KeyedCircuitBreak";
    const double rate = around.rate / static_cast<double>(keyed ? scenario.clients.keys : 1);
    const Duration below = LongestOf(scenario, Below(parts).subspan(i + 1));
    if (memory.breaker) time += BreakerTime(*memory.breaker, scenario.fault, rate, below);
    if (memory.breaker && waits) {
      const CircuitBreaker::Options& o = *memory.breaker;
      time += 8 * std::max(Seconds(LongestOpen(o, scenario.fault.length)),
                           Seconds(o.ramp_step) * static_cast<double>(o.ramp.size()));
    }
    if (memory.limiter) time += LimiterTime(*memory.limiter, rate, Seconds(around.service));
    time += Seconds(memory.throttle_recovery) + Seconds(memory.negative_ttl);
  }
  return OfSeconds(time);
}

// How many calls succeed at once, since one has asked for all of them; on average.
double AtOnce(const Scenario& scenario) {
  const bool shares = std::ranges::any_of(
      scenario.layers, [](const Layer& layer) { return layer.policy->name == "Cache"; });
  const double per_key = scenario.clients.rate / static_cast<double>(scenario.clients.keys);
  return shares ? std::max(1.0, per_key * Seconds(scenario.service.time)) : 1;
}

Schedule ScheduleOf(Scenario& scenario) {
  const double rate = scenario.clients.rate;
  const Duration warm = OfSeconds(std::clamp(200 / rate, 5.0, 30.0));
  return {.fault_from = warm,
          .fault_to = warm + scenario.fault.length,
          .stated = StatedTime(scenario),
          .judged = OfSeconds(std::clamp(1000 / rate * AtOnce(scenario), 6.0, 120.0))};
}

bool IsDown(const Timeline& with, const Timeline& without, Duration from, Duration length,
            double at_once) {
  for (int i = 0; i < kWindows; ++i) {
    const Duration begin = from + length / kWindows * i;
    const Duration end = begin + length / kWindows;
    const auto expected = static_cast<double>(without.SuccessesIn(begin, end));
    const auto successes = static_cast<double>(with.SuccessesIn(begin, end));
    if (successes < 0.9 * expected - 2 * std::sqrt(expected * at_once)) return true;
  }
  return false;
}

Outcome JudgeOnce(Scenario& scenario, std::uint64_t seed, const Schedule& schedule) {
  const Duration from = schedule.settled();
  if (scenario.clients.rate * Seconds(schedule.end()) > kMostCallsPlanned) return Outcome::kTooLong;
  const Setup well = SetupOf(scenario, seed, nullptr, {});
  const Timeline without = Run(well, seed, schedule.end());
  if (without.too_long) return Outcome::kTooLong;
  if (!IsWell(without, schedule.fault_from, schedule.end())) return Outcome::kSick;
  const Setup ill = SetupOf(scenario, seed, &scenario.fault, schedule.fault_from);
  const Timeline with = Run(ill, seed, schedule.end());
  if (with.too_long) return Outcome::kTooLong;
  const double at_once = AtOnce(scenario);
  if (!IsDown(with, without, from, schedule.judged, at_once)) return Outcome::kBack;
  const Duration later = schedule.end() + kLater;
  const Timeline with_later = Run(ill, seed, later);
  const Timeline without_later = Run(well, seed, later);
  if (!IsWell(without_later, from, later)) return Outcome::kSick;
  return IsDown(with_later, without_later, later - schedule.judged, schedule.judged, at_once)
             ? Outcome::kStuck
             : Outcome::kLate;
}

Outcome Judge(Scenario& scenario) {
  const Schedule schedule = ScheduleOf(scenario);
  const Outcome outcome = JudgeOnce(scenario, scenario.seed, schedule);
  if (outcome != Outcome::kLate && outcome != Outcome::kStuck) return outcome;
  Outcome all = outcome;
  for (std::uint64_t other = 1; other <= 3; ++other) {
    const Outcome again = JudgeOnce(scenario, scenario.seed + other, schedule);
    if (again != Outcome::kLate && again != Outcome::kStuck) return Outcome::kSometimes;
    if (again == Outcome::kLate) all = again;
  }
  return all;
}

}  // namespace holdfast::search
