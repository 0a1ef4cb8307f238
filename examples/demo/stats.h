// What is measured of a run.
#ifndef HOLDFAST_EXAMPLES_DEMO_STATS_H_
#define HOLDFAST_EXAMPLES_DEMO_STATS_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "holdfast/holdfast.h"
#include "script.h"

namespace demo {

// One request as its caller saw it. Times are since the run began.
struct CallRecord {
  holdfast::Duration due = {};  // when it arrived, whether anybody was free to take it or not
  holdfast::Duration done = {};
  bool ok = false;
};

struct Change {
  holdfast::Duration at = {};
  holdfast::BreakerState to = holdfast::BreakerState::kClosed;
};

using Tally = std::map<std::string, int>;

// The record of a run.
struct Run {
  std::string client;
  std::vector<CallRecord> calls;
  std::vector<holdfast::Duration> attempts;  // when each request to the server ended
  Tally failures;                            // calls by what became of them
  Tally refused_attempts;                    // by the policy that rejected; Retry may have gone on
  Tally refused_calls;                       // by the policy whose rejection the caller got
  std::vector<Change> changes;               // of the breaker
  std::int64_t seen = 0;                     // requests, by the server's count if it is scripted
  bool scripted = false;                     // the server
  Window outage;                             // empty for a real server
};

// What the progress line shows.
struct Progress {
  holdfast::Duration elapsed = {};
  int ok = 0;
  int failed = 0;
  holdfast::BreakerState breaker = holdfast::BreakerState::kClosed;
};

// Collects a run from many threads. Thread-safe.
class Recorder {
 public:
  // `began` is zero of all times.
  Recorder(std::string client, holdfast::TimePoint began);

  // `failure` says what went wrong; empty for a success.
  void Call(holdfast::TimePoint due, const std::string& failure);
  void Attempt();
  void RefusedAttempt(const std::string& policy);
  void RefusedCall(const std::string& policy);
  void Breaker(holdfast::BreakerState to);

  holdfast::TimePoint began() const { return began_; }
  Progress progress() const;
  Run TakeRun() &&;

 private:
  holdfast::Duration Elapsed() const { return holdfast::SteadyClock()->Now() - began_; }

  const holdfast::TimePoint began_;
  mutable std::mutex mutex_;
  Run run_;
  int failed_ = 0;
};

int CountOk(const Run& run);
int Sum(const Tally& tally);

// How long the caller waited for an answer, from the request's arrival: the `quantile` of the
// successes, zero if there are none.
holdfast::Duration Latency(const Run& run, double quantile);

double Seconds(holdfast::Duration duration);

}  // namespace demo

#endif  // HOLDFAST_EXAMPLES_DEMO_STATS_H_
