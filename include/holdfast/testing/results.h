// Results are what a population of simulated clients went through, as values to assert on.
//
//   world.RunFor(2min);
//   holdfast::testing::Results results = clients.results();
//   log(results);                                                  // a table of a few lines
//   bool kept_up = results.Goodput(90s, 120s) > 900 && results.Amplification() < 1.1;
//   std::optional<holdfast::Duration> outage = results.TimeToRecover({.from = 20s, .to = 40s});
#ifndef HOLDFAST_TESTING_RESULTS_H_
#define HOLDFAST_TESTING_RESULTS_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/testing/server.h"

namespace holdfast::testing {

// How long calls took, in buckets of which each is a sixty-fourth of a power of two wide: a
// percentile is within 1 % of the true one.
class Latencies {
 public:
  void Record(TimeSpan latency);

  std::int64_t count() const { return count_; }
  Duration Mean() const;
  // `share` of the latencies are no longer, 0 to 1; zero where there are none.
  Duration Percentile(double share) const;

  void Add(const Latencies& other);

 private:
  static constexpr int kBits = 6;

  std::array<std::int64_t, (64 - kBits) << kBits> counts_ = {};
  std::int64_t count_ = 0;
  double sum_ = 0;
};

// What happened in one bucket of time.
struct Moment {
  std::int64_t calls = 0;      // that began
  std::int64_t attempts = 0;   // that reached the backend
  std::int64_t successes = 0;  // that ended
  std::int64_t failures = 0;
};

// When a backend was not itself.
struct Disturbance {
  TimeSpan from = {};
  TimeSpan to = {};
};

struct RecoveryOptions {
  double share = 0.9;                           // of the goodput before that counts as recovered
  TimeSpan averaged = std::chrono::seconds(5);  // goodput is averaged over, since arrivals scatter
  TimeSpan warm_up = {};                        // at the beginning, not part of "before"
  // Too few to know anything: fewer successes than these in `averaged` of the time before, >= 1.
  // Where arrivals scatter as Poisson's do, a share of 0.9 needs about a hundred.
  std::int64_t min_successes = 10;
};

struct ServerResults {
  std::string name;
  ServerCounts counts;
};

// Times count from the beginning of the world.
struct Results {
  std::string name;
  Duration end = {};     // when these were taken
  Duration bucket = {};  // of the timeline
  std::int64_t calls = 0;
  std::int64_t attempts = 0;
  std::int64_t successes = 0;
  std::int64_t failures = 0;  // whatever was not a success, refusals and exceptions included
  std::int64_t exceptions = 0;
  std::map<std::string, std::int64_t> rejections;  // by the policy that refused, in the end
  Latencies latencies;                             // of calls that ended, however
  Latencies success_latencies;
  std::vector<Moment> timeline;
  std::vector<ServerResults> servers;
  std::vector<Disturbance> disturbances;  // the servers' windows

  std::int64_t in_flight() const { return calls - successes - failures; }

  // Attempts per call; zero without calls.
  double Amplification() const;

  // Successes per second, from one time to another, to the bucket; over all time without one.
  double Goodput(TimeSpan from = {}, TimeSpan to = Duration::max()) const;

  // How long after the disturbance goodput was back, and never less again, at `share` of what it
  // was before; nullopt: not by the end. Zero also where it was never away. Nullopt too where there
  // are too few calls to know: see RecoveryOptions::min_successes.
  std::optional<Duration> TimeToRecover(const Disturbance& disturbance,
                                        const RecoveryOptions& options = {}) const;

  // Adds what another population of the same world and bucket went through. The servers' counts,
  // which are everybody's, stay.
  void Add(const Results& other);
};

std::ostream& operator<<(std::ostream& out, const Results& results);

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_RESULTS_H_
