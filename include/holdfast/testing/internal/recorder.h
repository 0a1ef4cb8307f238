// What the populations of every type have in common. Included by population.h.
#ifndef HOLDFAST_TESTING_INTERNAL_RECORDER_H_
#define HOLDFAST_TESTING_INTERNAL_RECORDER_H_

#include <absl/status/status.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/testing/results.h"

namespace holdfast::testing::sim_internal {

// Takes down what happens, in the order of time.
class Recorder {
 public:
  Recorder(std::string name, Duration bucket);

  void Began(TimePoint now) {
    ++results_.calls;
    ++MomentAt(now).calls;
  }
  void Attempted(TimePoint now) {
    ++results_.attempts;
    ++MomentAt(now).attempts;
  }
  void Ended(const Call& call, const absl::Status& result, TimePoint began, TimePoint now);
  void Threw(TimePoint began, TimePoint now);

  Results results(TimePoint now) const;

 private:
  // Whose refusal this status is. It keeps the status, so that no other has that message's address.
  struct Known {
    absl::Status status;
    std::int64_t* count = nullptr;
  };

  Moment& MomentAt(TimePoint now) {
    if (now >= moment_end_) NextMoment(now);
    return results_.timeline.back();
  }
  void NextMoment(TimePoint now);
  void Failed(TimePoint began, TimePoint now);
  void Rejected(const absl::Status& status);

  Results results_;
  TimePoint moment_end_ = {};
  // A policy makes its refusal once: to read one is 100 times what it is to know it again.
  std::array<Known, 64> known_;
};

}  // namespace holdfast::testing::sim_internal

#endif  // HOLDFAST_TESTING_INTERNAL_RECORDER_H_
