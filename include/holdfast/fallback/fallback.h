// Fallback returns a substitute when a call fails. Put it outermost, so that every other policy has
// done what it can before.
//
//   auto last_known = [](const absl::Status& why) { return kLastKnownPrice; };
//   auto price = holdfast::Stack(holdfast::Fallback(last_known), holdfast::Retry({}))
//                    .Around(ask_price);
#ifndef HOLDFAST_FALLBACK_FALLBACK_H_
#define HOLDFAST_FALLBACK_FALLBACK_H_

#include <absl/status/status.h>

#include <string_view>
#include <type_traits>
#include <utility>

#include "holdfast/base/result.h"
#include "holdfast/call/call.h"
#include "holdfast/call/verdict.h"

namespace holdfast {

// Calls `F` with the status of a failure and returns what it returns in place of the result. `F`
// takes a const absl::Status& and returns the type of the result, or what can be assigned to it. It
// is called for rejections too, and for a call whose deadline has passed; not for a call that the
// caller cancelled (CallOptions::stop), where that is the failure. Its exceptions pass to the
// caller. It is called in the thread that makes the call, by several threads at once, and no
// deadline bounds it: let it return something that is at hand.
template <class F>
class Fallback {
 public:
  static constexpr std::string_view kName = "Fallback";
  static constexpr bool kReplacesFailures = true;  // see policy.h

  explicit Fallback(F answer) : answer_(std::move(answer)) {}

  struct State {};

  Verdict Before(Call&, State&) const { return Verdict::Proceed(); }

  template <class R>
  Next After(Call& call, State&, R& result) {
    static_assert(kAnswersWith<R>,
                  "Fallback: the function must take a const absl::Status& and return a result of "
                  "the type that the call returns");
    if constexpr (kAnswersWith<R>) {  // avoids further compile errors
      const absl::Status& status = ResultTraits<R>::StatusOf(result);
      if (!status.ok() && !(absl::IsCancelled(status) && call.stop().stop_requested())) {
        const absl::Status failure = status;
        call.NoteFallback(kName, failure);
        result = answer_(failure);
      }
    }
    return Next::Done();
  }

 private:
  template <class R>
  static constexpr bool kAnswersWith = [] {
    if constexpr (std::is_invocable_v<F&, const absl::Status&>) {
      return std::is_assignable_v<R&, std::invoke_result_t<F&, const absl::Status&>>;
    } else {
      return false;
    }
  }();

  F answer_;
};

}  // namespace holdfast

#endif  // HOLDFAST_FALLBACK_FALLBACK_H_
