// Results are the measurements of a population of simulated clients, as values to assert on.
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

#include "holdfast/base/internal/log_linear.h"
#include "holdfast/base/time.h"
#include "holdfast/testing/server.h"

namespace holdfast::testing {

// A histogram of latencies, with 64 buckets for each power of two: a percentile is within 1 % of
// the true one.
class Latencies {
 public:
  void Record(TimeSpan latency);

  std::int64_t count() const { return count_; }
  Duration Mean() const;
  // The latency that the given share (0 to 1) of all latencies does not exceed; zero if there are
  // none.
  Duration Percentile(double share) const;

  void Add(const Latencies& other);

 private:
  using Buckets = internal::LogLinear<6>;

  std::array<std::int64_t, Buckets::kBuckets> counts_ = {};
  std::int64_t count_ = 0;
  double sum_ = 0;
};

// The counts of one bucket of time.
struct Moment {
  std::int64_t calls = 0;      // calls that began
  std::int64_t attempts = 0;   // attempts that reached the backend
  std::int64_t successes = 0;  // calls that succeeded
  std::int64_t failures = 0;   // calls that failed
};

// The time of a fault of a backend.
struct Disturbance {
  TimeSpan from = {};
  TimeSpan to = {};
};

struct RecoveryOptions {
  double share = 0.9;  // recovered: goodput is at least this share of the goodput before
  TimeSpan averaged = std::chrono::seconds(5);  // goodput is averaged over this time
  TimeSpan warm_up = {};  // at the beginning of the world; not part of the time before
  // With fewer successes in `averaged` of the time before, the result is unknown (nullopt); >= 1.
  // For Poisson arrivals a share of 0.9 needs about a hundred.
  std::int64_t min_successes = 10;
};

struct ServerResults {
  std::string name;
  ServerCounts counts;
};

// All times count from the beginning of the world.
struct Results {
  std::string name;
  Duration end = {};     // the time of these results
  Duration bucket = {};  // of the timeline
  std::int64_t calls = 0;
  std::int64_t attempts = 0;
  std::int64_t successes = 0;
  std::int64_t failures = 0;  // all other ends of calls, rejections and exceptions included
  std::int64_t exceptions = 0;
  std::map<std::string, std::int64_t> rejections;  // calls that a policy rejected, by its name
  Latencies latencies;                             // of all calls that ended
  Latencies success_latencies;
  std::vector<Moment> timeline;
  std::vector<ServerResults> servers;
  std::vector<Disturbance> disturbances;  // the failure windows and brown-outs of the servers

  std::int64_t in_flight() const { return calls - successes - failures; }

  // Attempts per call; zero if there are no calls.
  double Amplification() const;

  // Successes per second between two times, which are rounded to buckets; by default over all time.
  double Goodput(TimeSpan from = {}, TimeSpan to = Duration::max()) const;

  // The time from the end of the disturbance until goodput is back at `share` of its value before
  // and stays there. Zero if goodput never fell below that. nullopt if it does not recover by the
  // end, or if there are too few calls to know: see RecoveryOptions::min_successes.
  std::optional<Duration> TimeToRecover(const Disturbance& disturbance,
                                        const RecoveryOptions& options = {}) const;

  // Adds the results of another population with the same world and bucket. The servers' counts do
  // not change, because they count the requests of all populations.
  void Add(const Results& other);
};

std::ostream& operator<<(std::ostream& out, const Results& results);

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_RESULTS_H_
