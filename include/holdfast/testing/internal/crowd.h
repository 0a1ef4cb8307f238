// A population without its stacks. Included by population.h.
#ifndef HOLDFAST_TESTING_INTERNAL_CROWD_H_
#define HOLDFAST_TESTING_INTERNAL_CROWD_H_

#include <absl/status/status.h>

#include <cstdint>
#include <optional>

#include "holdfast/testing/clients.h"
#include "holdfast/testing/distribution.h"
#include "holdfast/testing/internal/recorder.h"
#include "holdfast/testing/random.h"
#include "holdfast/testing/results.h"
#include "holdfast/testing/world.h"

namespace holdfast::testing::sim_internal {

class Crowd {
 public:
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  // What happened so far.
  Results results() const;

 protected:
  Crowd(World& world, const OpenClients& options, Backend backend);
  Crowd(World& world, const ClosedClients& options, Backend backend);
  ~Crowd() = default;

  TimePoint FirstCall();      // of a closed client
  TimePoint NextCall();       // of a closed client whose call ended
  TimePoint NextArrival();    // of an open population
  std::int64_t NextCaller();  // there
  bool Over(TimePoint at) const { return at > end_; }

  void Attempt(std::int64_t client, Call& call, const Reply<absl::Status>& reply) {
    recorder_.Attempted(world_.Now());
    backend_.Serve(client, call, reply, choices_);
  }

  World& world_;
  const std::int64_t count_;
  const bool open_;
  const bool periodic_;
  const double interval_;  // nanoseconds between arrivals, on average
  const Distribution think_;
  const std::optional<Duration> ramp_;
  const TimePoint start_;
  const TimePoint end_;
  double next_arrival_;  // nanoseconds
  std::int64_t next_caller_ = 0;
  const Backend backend_;
  Random arrivals_;
  Random choices_;
  Random calls_;  // of the policies
  Recorder recorder_;
};

}  // namespace holdfast::testing::sim_internal

#endif  // HOLDFAST_TESTING_INTERNAL_CROWD_H_
