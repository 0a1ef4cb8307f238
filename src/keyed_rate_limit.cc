#include "holdfast/keyed_rate_limit.h"

#include <absl/strings/str_cat.h>

#include "facts_text.h"
#include "holdfast/internal/validate.h"
#include "holdfast/key_function.h"
#include "token_wait.h"

namespace holdfast {

absl::Status Validate(const KeyedRateLimitOptions& options) {
  if (options.max_wait < Duration::zero()) {
    return absl::InvalidArgumentError("KeyedRateLimit: max_wait must be >= 0");
  }
  return absl::OkStatus();
}

namespace internal {

class KeySource final : public TokenSource {
 public:
  KeySource(std::shared_ptr<KeyedTokenBucket> buckets, KeyFunction key)
      : buckets_(NotNull(std::move(buckets))), key_(std::move(key)) {}

  Answer Take(const Call& call, TimePoint now, std::int64_t n, Duration max_wait,
              Reservations& taken) override {
    KeyedTokenBucket::Answer answer = buckets_->Take(now, Key(call), n, max_wait);
    const TimePoint at = answer.reservation.too_late_at();
    if (answer.refused == nullptr && at > now) taken.push_back(std::move(answer.reservation));
    return {.at = at,
            .refused = answer.refused,
            .impossible = answer.impossible,
            .waiting_helps = answer.refused != &buckets_->no_room_};
  }

  TimePoint Look(Call& call, std::int64_t, Reservations& taken) override {
    buckets_->Look(call.now(), Key(call));
    return TokenWait::Watch(taken.front(), &call.waker());
  }
  void Settle(const Call& call, TimePoint now, std::int64_t n) override {
    if (n > 0) buckets_->ChargeAt(now, Key(call), n);
    if (n < 0) buckets_->RefundAt(now, Key(call), -n);
  }

  std::string Describe() const override {
    return JoinSettings(
        {NameText(buckets_->name()), absl::StrCat("up to ", buckets_->max_keys(), " keys")});
  }

  void BindClock(ClockBinder& binder, std::string_view policy) override {
    buckets_->BindClock(binder, policy);
  }

 private:
  std::string_view Key(const Call& call) const { return key_(call); }

  std::shared_ptr<KeyedTokenBucket> buckets_;
  KeyFunction key_;
};

RateLimitPlan PlanByKey(std::string_view policy, std::shared_ptr<KeyedTokenBucket> buckets,
                        KeyedRateLimitOptions options) {
  ThrowIfInvalid(Validate(options));
  return {policy, std::make_shared<KeySource>(std::move(buckets), std::move(options.key)),
          RateLimitTerms{.max_wait = options.max_wait,
                         .cost = std::move(options.cost),
                         .dry_run = options.dry_run}};
}

}  // namespace internal
}  // namespace holdfast
