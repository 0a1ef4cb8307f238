#include "holdfast/testing/internal/recorder.h"

#include <bit>
#include <optional>
#include <utility>

#include "holdfast/base/internal/validate.h"
#include "holdfast/base/rejection.h"

namespace holdfast::testing::sim_internal {

Recorder::Recorder(std::string name, Duration bucket) {
  if (bucket <= Duration::zero()) {
    internal::ThrowIfInvalid(absl::InvalidArgumentError("the bucket of the timeline must be > 0"));
  }
  results_.name = std::move(name);
  results_.bucket = bucket;
}

void Recorder::NextMoment(TimePoint now) {
  const auto index = now.time_since_epoch() / results_.bucket;
  results_.timeline.resize(static_cast<std::size_t>(index) + 1);
  moment_end_ = TimePoint(results_.bucket) + index * results_.bucket;
}

void Recorder::Ended(const Call& call, const absl::Status& result, TimePoint began, TimePoint now) {
  if (result.ok()) {
    ++results_.successes;
    ++MomentAt(now).successes;
    results_.latencies.Record(now - began);
    results_.success_latencies.Record(now - began);
    return;
  }
  if (call.rejected()) Rejected(result);
  Failed(began, now);
}

void Recorder::Threw(TimePoint began, TimePoint now) {
  ++results_.exceptions;
  Failed(began, now);
}

void Recorder::Failed(TimePoint began, TimePoint now) {
  ++results_.failures;
  ++MomentAt(now).failures;
  results_.latencies.Record(now - began);
}

void Recorder::Rejected(const absl::Status& status) {
  const char* const message = status.message().data();
  Known& known = known_[std::bit_cast<std::uintptr_t>(message) / 32 % known_.size()];
  if (known.count == nullptr || known.status.message().data() != message) {
    const std::optional<Rejection> rejection = RejectionOf(status);
    if (!rejection) return;
    known.status = status;
    known.count = &results_.rejections[rejection->policy];
  }
  ++*known.count;
}

Results Recorder::results(TimePoint now) const {
  Results results = results_;
  results.end = now.time_since_epoch();
  return results;
}

}  // namespace holdfast::testing::sim_internal
