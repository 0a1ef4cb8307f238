#include "holdfast/rate/rate_limit.h"

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/validate.h"
#include "src/rate/several_buckets.h"
#include "src/rate/token_wait.h"

namespace holdfast {

absl::Status Validate(const RateLimitOptions& options) {
  internal::OptionsChecker check("RateLimit");
  check(options.max_wait >= Duration::zero(), "max_wait must be >= 0");
  return check.status();
}

namespace internal {
namespace {

class OneBucket final : public TokenSource {
 public:
  explicit OneBucket(std::shared_ptr<TokenBucket> bucket)
      : bucket_(NotNull(std::move(bucket), "RateLimit: the TokenBucket")) {}

  Answer Take(std::string_view, TimePoint now, std::int64_t n, Duration max_wait, bool refundable,
              Reservations& taken) override {
    const TakenFor whom = refundable ? TakenFor::kRefundableCall : TakenFor::kCall;
    Reservation reservation = TokenWait::Reserve(*bucket_, now, n, max_wait, whom);
    const Answer answer{.at = reservation.too_late_at(),
                        .whose = &bucket_->refusals(),
                        .refused = !reservation.ok(),
                        .impossible = n < 0 || n > bucket_->burst()};
    if (reservation.ok()) taken.push_back(std::move(reservation));
    return answer;
  }
  TimePoint Look(Call& call, std::string_view, std::int64_t, Reservations& taken) override {
    return TokenWait::Watch(taken.front(), &call.waker());
  }
  void Settle(std::string_view, TimePoint now, std::int64_t n) override {
    SettleBucket(*bucket_, now, n);
  }
  std::string Describe(const Changes& changes) const override {
    return DescribeBucket(*bucket_, changes);
  }
  void BindClock(ClockBinder& binder, std::string_view policy) override {
    bucket_->BindClock(binder, policy);
  }
  void Objects(CollectedObjects& objects, std::string_view policy) const override {
    objects.Add(bucket_, policy);
  }

 private:
  std::shared_ptr<TokenBucket> bucket_;
};

std::shared_ptr<TokenSource> AllOf(std::vector<std::shared_ptr<TokenBucket>> buckets) {
  if (buckets.size() == 1) return std::make_shared<OneBucket>(std::move(buckets.front()));
  return std::make_shared<SeveralBuckets>("RateLimit", std::move(buckets));
}

std::shared_ptr<const TermsSource> TermsOf(Live<RateLimitOptions> options) {
  return std::make_shared<LiveTerms<RateLimitOptions>>(std::move(options));
}

}  // namespace

RateLimitTerms::RateLimitTerms(RateLimitOptions options)
    : max_wait(options.max_wait),
      cost(std::move(options.cost)),
      dry_run(options.dry_run),
      refund_refused(options.refund_refused) {}

RateLimitOptions SettingsPlan<RateLimitOptions>::OptionsOf(const RateLimitTerms& terms) {
  return {.max_wait = terms.max_wait,
          .cost = terms.cost,
          .dry_run = terms.dry_run,
          .refund_refused = terms.refund_refused};
}

RateLimitPlan PlanFor(std::string_view policy, const std::shared_ptr<TokenBucket>& bucket,
                      Live<RateLimitOptions> options) {
  return {policy, std::make_shared<OneBucket>(bucket), TermsOf(std::move(options)), bucket.get()};
}

RateLimitPlan PlanForAll(std::string_view policy, std::vector<std::shared_ptr<TokenBucket>> buckets,
                         Live<RateLimitOptions> options) {
  return {policy, AllOf(std::move(buckets)), TermsOf(std::move(options))};
}

}  // namespace internal
}  // namespace holdfast
