#include "holdfast/rate_limit.h"

#include <absl/strings/str_cat.h>

#include "holdfast/internal/validate.h"
#include "several_buckets.h"
#include "token_wait.h"

namespace holdfast {

absl::Status Validate(const RateLimitOptions& options) {
  if (options.max_wait < Duration::zero()) {
    return absl::InvalidArgumentError("RateLimit: max_wait must be >= 0");
  }
  return absl::OkStatus();
}

namespace internal {
namespace {

class OneBucket final : public TokenSource {
 public:
  OneBucket(std::shared_ptr<TokenBucket> bucket, bool refundable)
      : bucket_(NotNull(std::move(bucket))),
        whom_(refundable ? TakenFor::kRefundableCall : TakenFor::kCall) {}

  Answer Take(const Call&, TimePoint now, std::int64_t n, Duration max_wait,
              Reservations& taken) override {
    Reservation reservation = TokenWait::Reserve(*bucket_, now, n, max_wait, whom_);
    const Answer answer{.at = reservation.too_late_at(),
                        .refused = reservation.ok() ? nullptr : &bucket_->refusals(),
                        .impossible = n < 0 || n > bucket_->burst()};
    if (reservation.ok()) taken.push_back(std::move(reservation));
    return answer;
  }
  TimePoint Look(Call& call, std::int64_t, Reservations& taken) override {
    return TokenWait::Watch(taken.front(), &call.waker());
  }
  void Settle(const Call&, TimePoint now, std::int64_t n) override {
    SettleBucket(*bucket_, now, n);
  }
  std::string Describe() const override { return DescribeBucket(*bucket_); }
  void BindClock(ClockBinder& binder, std::string_view policy) override {
    bucket_->BindClock(binder, policy);
  }

 private:
  std::shared_ptr<TokenBucket> bucket_;
  TakenFor whom_;
};

std::shared_ptr<TokenSource> AllOf(std::vector<std::shared_ptr<TokenBucket>> buckets,
                                   bool refundable) {
  if (buckets.size() == 1) {
    return std::make_shared<OneBucket>(std::move(buckets.front()), refundable);
  }
  return std::make_shared<SeveralBuckets>("RateLimit", std::move(buckets));
}

RateLimitTerms TermsOf(RateLimitOptions options) {
  ThrowIfInvalid(Validate(options));
  return {.max_wait = options.max_wait,
          .cost = std::move(options.cost),
          .dry_run = options.dry_run,
          .refund_refused = options.refund_refused};
}

}  // namespace

RateLimitPlan PlanFor(std::string_view policy, const std::shared_ptr<TokenBucket>& bucket,
                      RateLimitOptions options) {
  const bool refundable = options.refund_refused;
  return {policy, std::make_shared<OneBucket>(bucket, refundable), TermsOf(std::move(options)),
          bucket.get()};
}

RateLimitPlan PlanForAll(std::string_view policy, std::vector<std::shared_ptr<TokenBucket>> buckets,
                         RateLimitOptions options) {
  const bool refundable = options.refund_refused;
  return {policy, AllOf(std::move(buckets), refundable), TermsOf(std::move(options))};
}

}  // namespace internal
}  // namespace holdfast
