// The Call of the simulated driver, and what it does when a branch of one has ended.
#ifndef HOLDFAST_TESTING_INTERNAL_SIM_CALL_H_
#define HOLDFAST_TESTING_INTERNAL_SIM_CALL_H_

#include <absl/random/bit_gen_ref.h>

#include <exception>
#include <memory>
#include <utility>

#include "holdfast/base/waker.h"
#include "holdfast/call/call.h"
#include "holdfast/driver/fork.h"
#include "holdfast/driver/race.h"
#include "holdfast/testing/random.h"
#include "holdfast/testing/world.h"

namespace holdfast::testing::sim_internal {

class SimCall final : public Call {
 public:
  SimCall(const CallOptions& options, World& world, Random& random, Waker& waker)
      : Call(options, world.clock()), random_(random), waker_(waker) {}

  using Call::ForgetNow;
  using Call::SetExecutor;
  using Call::SetMeter;

  Waker& waker() override { return waker_; }
  absl::BitGenRef random() override { return random_; }

 private:
  Random& random_;
  Waker& waker_;
};

template <class R>
using SimRace = driver::Race<R>;
struct NoRace {};  // where no policy forks

// What is done when a branch has ended.
template <class R>
struct EndBranch {
  std::shared_ptr<SimRace<R>> race;
  typename SimRace<R>::Branch* branch = nullptr;

  void Begin(Call& call) const { internal::Branches::Number(branch->record, call); }
  void Succeeded(Call& call, R result) {
    branch->result.emplace(std::move(result));
    End(call);
  }
  void Threw(Call& call, std::exception_ptr error) {
    branch->error = std::move(error);
    End(call);
  }

 private:
  void End(Call& call) {
    internal::Branches::Ended(branch->record, call, race);
    race->Ended(*branch);
  }
};

}  // namespace holdfast::testing::sim_internal

#endif  // HOLDFAST_TESTING_INTERNAL_SIM_CALL_H_
