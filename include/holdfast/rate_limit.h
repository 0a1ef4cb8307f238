// RateLimit holds calls to a rate: each takes a token on its way down, and waits for it.
//
//   auto bucket = std::make_shared<holdfast::TokenBucket>(
//       holdfast::TokenBucket::Options{.rate = 100, .burst = 20});
//   auto fetch = holdfast::Stack(holdfast::RateLimit(bucket)).Around(transport);
#ifndef HOLDFAST_RATE_LIMIT_H_
#define HOLDFAST_RATE_LIMIT_H_

#include <absl/base/attributes.h>
#include <absl/status/status.h>

#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "holdfast/call.h"
#include "holdfast/internal/validate.h"
#include "holdfast/token_bucket.h"
#include "holdfast/verdict.h"

namespace holdfast {

struct RateLimitOptions {
  Duration max_wait = Duration::max();  // for a token; zero: refuse what can't go at once
};

absl::Status Validate(const RateLimitOptions& options);

// One token for each call below it: outside of Retry that is one for a call, inside one for an
// attempt. Refuses at once, with nothing taken: kResourceExhausted where the token would come later
// than `max_wait` or never, kDeadlineExceeded where it would come after the deadline. A call that
// is abandoned while it waits gives its token back.
class RateLimit {
 public:
  static constexpr std::string_view kName = "RateLimit";

  // Both throw std::invalid_argument for options that Validate refuses, and for a null bucket.
  explicit RateLimit(std::shared_ptr<TokenBucket> bucket, RateLimitOptions options = {})
      : bucket_(internal::NotNull(std::move(bucket))), options_(internal::Validated(options)) {}
  explicit RateLimit(TokenBucket::Options bucket, RateLimitOptions options = {})
      : RateLimit(std::make_shared<TokenBucket>(std::move(bucket)), options) {}

  class State {
   public:
    ~State() {
      if (reservation_) reservation_->CancelAt(call_->now());
    }

   private:
    friend class RateLimit;
    Call* call_ = nullptr;
    std::optional<Reservation> reservation_;  // while its time has not come
  };

  ABSL_ATTRIBUTE_ALWAYS_INLINE Verdict Before(Call& call, State& state) const {
    const bool first = !state.reservation_ && call.now() <= call.deadline();
    return first && bucket_->TryAllow(call.now(), 1) ? Verdict::Proceed()
                                                     : WaitForToken(call, state);
  }

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call&, State&, R&) const {
    return Next::Done();
  }

 private:
  Verdict WaitForToken(Call& call, State& state) const;

  std::shared_ptr<TokenBucket> bucket_;
  RateLimitOptions options_;
};

}  // namespace holdfast

#endif  // HOLDFAST_RATE_LIMIT_H_
