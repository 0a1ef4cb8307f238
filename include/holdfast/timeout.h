// Timeout bounds how long what is below it may take: the whole call where it stands outside of
// Retry, one attempt where it stands inside.
//
//   auto fetch = holdfast::Stack(holdfast::Timeout(10s),  // in all
//                                holdfast::Retry({}),
//                                holdfast::Timeout(2s))   // each attempt
//                    .Around(transport);
#ifndef HOLDFAST_TIMEOUT_H_
#define HOLDFAST_TIMEOUT_H_

#include <absl/base/attributes.h>

#include <algorithm>
#include <string_view>

#include "holdfast/call.h"
#include "holdfast/time.h"
#include "holdfast/verdict.h"

namespace holdfast {

// Cooperative: it brings call.deadline() forward, no wait below it may end later, and the executor
// reads it to know when to give up. An executor that does not look runs on, and what it returns
// stands, late as it is: a success is worth having.
class Timeout {
 public:
  static constexpr std::string_view kName = "Timeout";

  // Throws std::invalid_argument unless `limit` > 0.
  explicit Timeout(Duration limit);

  class State {
   public:
    ~State() {
      if (call_ != nullptr) call_->set_deadline(outer_);
    }

   private:
    friend class Timeout;
    Call* call_ = nullptr;
    TimePoint outer_ = {};  // the deadline to put back
  };

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    state.call_ = &call;
    state.outer_ = call.deadline();
    call.set_deadline(std::min(call.deadline(), SaturatingAdd(call.now(), limit_)));
    return Verdict::Proceed();
  }

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call&, State&, R&) const {
    return Next::Done();
  }

 private:
  Duration limit_;
};

}  // namespace holdfast

#endif  // HOLDFAST_TIMEOUT_H_
