#include "holdfast/keyed_rate_limit.h"

#include <absl/strings/str_cat.h>

#include "facts_text.h"
#include "holdfast/internal/validate.h"
#include "holdfast/key_function.h"
#include "several_buckets.h"
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
  // `more` may be null.
  KeySource(std::shared_ptr<KeyedTokenBucket> buckets, std::unique_ptr<SeveralBuckets> more,
            KeyFunction key, bool refundable)
      : buckets_(NotNull(std::move(buckets))),
        more_(std::move(more)),
        key_(std::move(key)),
        whom_(refundable ? TakenFor::kRefundableCall : TakenFor::kCall) {}

  Answer Take(const Call& call, TimePoint now, std::int64_t n, Duration max_wait,
              Reservations& taken) override {
    if (more_ != nullptr) return TakeAll(call, now, n, max_wait, taken);
    KeyedTokenBucket::Answer answer = buckets_->Take(now, Key(call), n, max_wait, whom_);
    const bool refundable = whom_ == TakenFor::kRefundableCall;
    const TimePoint at = answer.reservation.too_late_at();
    if (answer.refused == nullptr && (refundable || at > now)) {
      taken.push_back(std::move(answer.reservation));
    }
    return Said(answer, at);
  }

  TimePoint Look(Call& call, std::int64_t n, Reservations& taken) override {
    if (more_ == nullptr) {
      buckets_->Look(call.now(), Key(call));
      return TokenWait::Watch(taken.front(), &call.waker());
    }
    SeveralBuckets::Watch(call, taken);
    TimePoint ready_at = taken.front().ready_at();
    buckets_->Together(call.now(), Key(call), n,
                       [&](HeldBucket* held) { ready_at = more_->LookWith(held, call, n, taken); });
    return ready_at;
  }

  void Settle(const Call& call, TimePoint now, std::int64_t n) override {
    if (n > 0) buckets_->ChargeAt(now, Key(call), n);
    if (n < 0) buckets_->RefundAt(now, Key(call), -n);
    if (more_ != nullptr) more_->Settle(call, now, n);
  }

  std::string Describe() const override {
    return JoinSettings({NameText(buckets_->name()),
                         absl::StrCat("up to ", buckets_->max_keys(), " keys"),
                         more_ == nullptr ? "" : absl::StrCat("and ", more_->Describe())});
  }

  void BindClock(ClockBinder& binder, std::string_view policy) override {
    buckets_->BindClock(binder, policy);
    if (more_ != nullptr) more_->BindClock(binder, policy);
  }

 private:
  Answer Said(const KeyedTokenBucket::Answer& answer, TimePoint at) const {
    return {.at = at,
            .refused = answer.refused,
            .impossible = answer.impossible,
            .waiting_helps = answer.refused != &buckets_->no_room_};
  }

  Answer TakeAll(const Call& call, TimePoint now, std::int64_t n, Duration max_wait,
                 Reservations& taken) {
    Answer answer{.at = now, .refused = nullptr};
    const auto refusal = buckets_->Together(now, Key(call), n, [&](HeldBucket* held) {
      answer = more_->TakeWith(held, call, now, n, max_wait, taken);
    });
    return refusal ? Said(*refusal, refusal->reservation.too_late_at()) : answer;
  }

  std::string_view Key(const Call& call) const { return key_(call); }

  std::shared_ptr<KeyedTokenBucket> buckets_;
  std::unique_ptr<SeveralBuckets> more_;
  KeyFunction key_;
  TakenFor whom_;
};

namespace {

RateLimitPlan PlanWith(std::string_view policy, std::shared_ptr<KeyedTokenBucket> buckets,
                       std::unique_ptr<SeveralBuckets> more, KeyedRateLimitOptions options) {
  ThrowIfInvalid(Validate(options));
  return {policy,
          std::make_shared<KeySource>(std::move(buckets), std::move(more), std::move(options.key),
                                      options.refund_refused),
          RateLimitTerms{.max_wait = options.max_wait,
                         .cost = std::move(options.cost),
                         .dry_run = options.dry_run,
                         .refund_refused = options.refund_refused}};
}

}  // namespace

RateLimitPlan PlanByKey(std::string_view policy, std::shared_ptr<KeyedTokenBucket> buckets,
                        KeyedRateLimitOptions options) {
  return PlanWith(policy, std::move(buckets), nullptr, std::move(options));
}

RateLimitPlan PlanByKeyAndAll(std::string_view policy, std::shared_ptr<KeyedTokenBucket> buckets,
                              std::vector<std::shared_ptr<TokenBucket>> more,
                              KeyedRateLimitOptions options) {
  return PlanWith(policy, std::move(buckets),
                  std::make_unique<SeveralBuckets>(policy, std::move(more)), std::move(options));
}

}  // namespace internal
}  // namespace holdfast
