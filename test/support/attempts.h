// An executor whose attempts take as long on a fake clock, and end as, a script says.
#ifndef HOLDFAST_TEST_SUPPORT_ATTEMPTS_H_
#define HOLDFAST_TEST_SUPPORT_ATTEMPTS_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/testing/fake_clock.h"

namespace holdfast::testing {

// Thread-safe.
class Attempts {
 public:
  struct Scripted {
    Duration takes;
    std::variant<std::string, absl::Status, std::runtime_error> ends;
  };

  explicit Attempts(FakeClock& clock) : clock_(clock) {}

  // How the next attempts go, in the order in which they begin.
  void Script(std::vector<Scripted> script) { script_ = std::move(script); }
  // They look neither at their deadline nor at requests to stop.
  void Ignore() { ignores_ = true; }

  auto executor() {
    return [this](Call& call) { return Run(call); };
  }

  int started() const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(numbers_.size());
  }
  // The numbers that the attempts had, and of those that were stopped, in order.
  std::vector<int> numbers() const {
    const std::lock_guard lock(mutex_);
    return numbers_;
  }
  std::vector<int> stopped() const {
    const std::lock_guard lock(mutex_);
    return stopped_;
  }
  void AwaitEnded(int n) const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_ >= n; });
  }

 private:
  absl::StatusOr<std::string> Run(Call& call) {
    Scripted scripted;
    {
      const std::lock_guard lock(mutex_);
      scripted = script_.at(numbers_.size());
      numbers_.push_back(call.attempt());
    }
    const TimePoint end = SaturatingAdd(clock_.Now(), scripted.takes);
    bool stopped = false;
    bool late = false;
    if (scripted.takes > Duration::zero()) {
      const TimePoint until = ignores_ ? end : std::min(end, call.deadline());
      stopped = !internal::SleepUntil(&clock_, until, ignores_ ? std::stop_token() : call.stop());
      late = until < end;
    }
    const std::lock_guard lock(mutex_);
    ++ended_;
    if (stopped) stopped_.push_back(call.attempt());
    changed_.notify_all();
    if (stopped) return absl::CancelledError("stopped");
    if (late) return absl::DeadlineExceededError("late");
    if (auto* error = std::get_if<std::runtime_error>(&scripted.ends)) throw *error;
    if (auto* status = std::get_if<absl::Status>(&scripted.ends)) return *status;
    return std::get<std::string>(scripted.ends);
  }

  FakeClock& clock_;
  std::vector<Scripted> script_;
  bool ignores_ = false;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<int> numbers_;
  std::vector<int> stopped_;
  int ended_ = 0;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TEST_SUPPORT_ATTEMPTS_H_
