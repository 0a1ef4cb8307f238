#include "holdfast/rate/keyed_rate_limit.h"

#include <absl/strings/str_cat.h>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/call/key_function.h"
#include "src/base/info_text.h"
#include "src/rate/several_buckets.h"
#include "src/rate/token_wait.h"

namespace holdfast {

absl::Status Validate(const KeyedRateLimitOptions& options) {
  internal::OptionsChecker check("KeyedRateLimit");
  check(options.max_wait >= Duration::zero(), "max_wait must be >= 0");
  return check.status();
}

namespace internal {

class KeySource final : public TokenSource {
 public:
  // `more` may be null.
  KeySource(std::shared_ptr<KeyedTokenBucket> buckets, std::unique_ptr<SeveralBuckets> more)
      : buckets_(NotNull(std::move(buckets), "KeyedRateLimit: the KeyedTokenBucket")),
        more_(std::move(more)) {}

  Answer Take(std::string_view key, TimePoint now, std::int64_t n, Duration max_wait,
              bool refundable, Reservations& taken) override {
    if (more_ != nullptr) return TakeAll(key, now, n, max_wait, taken);
    const TakenFor whom = refundable ? TakenFor::kRefundableCall : TakenFor::kCall;
    KeyedTokenBucket::Answer answer = buckets_->Take(now, key, n, max_wait, whom);
    const TimePoint at = answer.reservation.too_late_at();
    if (answer.refused == nullptr && (refundable || at > now)) {
      taken.push_back(std::move(answer.reservation));
    }
    return Said(answer, at);
  }

  TimePoint Look(Call& call, std::string_view key, std::int64_t n, Reservations& taken) override {
    if (more_ == nullptr) {
      buckets_->Look(call.now(), key);
      return TokenWait::Watch(taken.front(), &call.waker());
    }
    SeveralBuckets::Watch(call, taken);
    TimePoint ready_at = taken.front().ready_at();
    buckets_->Together(call.now(), key, n, /*comes=*/false,
                       [&](HeldBucket* held) { ready_at = more_->LookWith(held, call, n, taken); });
    return ready_at;
  }

  void Settle(std::string_view key, TimePoint now, std::int64_t n) override {
    if (n > 0) buckets_->ChargeAt(now, key, n);
    if (n < 0) buckets_->RefundAt(now, key, -n);
    if (more_ != nullptr) more_->Settle(key, now, n);
  }

  std::string Describe(const Changes& changes) const override {
    const KeyedTokenBucket::Options* const next = changes.Of(*buckets_);
    const std::int64_t max_keys = next == nullptr ? buckets_->max_keys() : next->max_keys;
    return JoinSettings({NameText(buckets_->name()), absl::StrCat("up to ", max_keys, " keys"),
                         more_ == nullptr ? "" : absl::StrCat("and ", more_->Describe(changes))});
  }

  void BindClock(ClockBinder& binder, std::string_view policy) override {
    buckets_->BindClock(binder, policy);
    if (more_ != nullptr) more_->BindClock(binder, policy);
  }

  void Objects(CollectedObjects& objects, std::string_view policy) const override {
    objects.Add(buckets_, policy);
    if (more_ != nullptr) more_->Objects(objects, policy);
  }

 private:
  Answer Said(const KeyedTokenBucket::Answer& answer, TimePoint at) const {
    const bool refused = answer.refused != nullptr;
    return {.at = at,
            .whose = refused ? answer.refused : &buckets_->refusals_,
            .refused = refused,
            .impossible = answer.impossible,
            .waiting_helps = answer.refused != &buckets_->no_room_};
  }

  Answer TakeAll(std::string_view key, TimePoint now, std::int64_t n, Duration max_wait,
                 Reservations& taken) {
    Answer answer{.at = now, .whose = nullptr, .refused = false};
    const auto refusal = buckets_->Together(now, key, n, /*comes=*/true, [&](HeldBucket* held) {
      answer = more_->TakeWith(held, now, n, max_wait, taken);
    });
    return refusal ? Said(*refusal, refusal->reservation.too_late_at()) : answer;
  }

  std::shared_ptr<KeyedTokenBucket> buckets_;
  std::unique_ptr<SeveralBuckets> more_;
};

namespace {

RateLimitPlan PlanWith(std::string_view policy, std::shared_ptr<KeyedTokenBucket> buckets,
                       std::unique_ptr<SeveralBuckets> more, Live<KeyedRateLimitOptions> options) {
  return {policy, std::make_shared<KeySource>(std::move(buckets), std::move(more)),
          std::make_shared<LiveTerms<KeyedRateLimitOptions>>(std::move(options))};
}

}  // namespace

RateLimitTerms::RateLimitTerms(KeyedRateLimitOptions options)
    : max_wait(options.max_wait),
      cost(std::move(options.cost)),
      dry_run(options.dry_run),
      refund_refused(options.refund_refused),
      key(std::move(options.key)) {}

KeyedRateLimitOptions SettingsPlan<KeyedRateLimitOptions>::OptionsOf(const RateLimitTerms& terms) {
  return {.key = terms.key,
          .max_wait = terms.max_wait,
          .cost = terms.cost,
          .dry_run = terms.dry_run,
          .refund_refused = terms.refund_refused};
}

RateLimitPlan PlanByKey(std::string_view policy, std::shared_ptr<KeyedTokenBucket> buckets,
                        Live<KeyedRateLimitOptions> options) {
  return PlanWith(policy, std::move(buckets), nullptr, std::move(options));
}

RateLimitPlan PlanByKeyAndAll(std::string_view policy, std::shared_ptr<KeyedTokenBucket> buckets,
                              std::vector<std::shared_ptr<TokenBucket>> more,
                              Live<KeyedRateLimitOptions> options) {
  return PlanWith(policy, std::move(buckets),
                  std::make_unique<SeveralBuckets>(policy, std::move(more)), std::move(options));
}

}  // namespace internal
}  // namespace holdfast
