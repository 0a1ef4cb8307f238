// Fallback answers in place of a call that failed for good: outermost, so that it sees what every
// other policy has left of the failure.
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

// `F` is called with the failure's status and returns what takes the place of the result; what it
// throws passes to the caller. It is not asked for a call that the caller cancelled. Calls run it
// at once in as many threads as make them.
template <class F>
class Fallback {
 public:
  static constexpr std::string_view kName = "Fallback";
  static constexpr bool kReplacesFailures = true;  // see policy.h

  explicit Fallback(F answer) : answer_(std::move(answer)) {}

  struct State {};

  Verdict Before(Call&, State&) const { return Verdict::Proceed(); }

  template <class R>
  Next After(Call&, State&, R& result) {
    static_assert(kAnswersWith<R>,
                  "Fallback: the function must take a const absl::Status& and return a result of "
                  "the type that the call returns");
    if constexpr (kAnswersWith<R>) {  // else what follows would be more errors
      const absl::Status& status = ResultTraits<R>::StatusOf(result);
      if (!status.ok()) result = answer_(absl::Status(status));
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
