#include "holdfast/rate_limit.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <span>

#include "facts_text.h"
#include "holdfast/internal/validate.h"
#include "token_hold.h"

namespace holdfast {

absl::Status Validate(const RateLimitOptions& options) {
  if (options.max_wait < Duration::zero()) {
    return absl::InvalidArgumentError("RateLimit: max_wait must be >= 0");
  }
  return absl::OkStatus();
}

namespace internal {
namespace {

using Buckets = std::span<const std::shared_ptr<TokenBucket>>;

void Settle(TokenBucket& bucket, TimePoint now, std::int64_t n) {
  if (n > 0) bucket.ChargeAt(now, n);
  if (n < 0) bucket.RefundAt(now, -n);
}

std::string DescribeBucket(const TokenBucket& bucket) {
  return JoinSettings(
      {NameText(bucket.name()), RateText(bucket.rate()), absl::StrCat("burst ", bucket.burst())});
}

class OneBucket final : public TokenSource {
 public:
  explicit OneBucket(std::shared_ptr<TokenBucket> bucket) : bucket_(NotNull(std::move(bucket))) {}

  Answer Take(const Call&, TimePoint now, std::int64_t n, Duration max_wait,
              Reservations& taken) override {
    Reservation reservation = bucket_->ReserveAt(now, n, max_wait);
    const Answer answer{.at = reservation.too_late_at(),
                        .refused = reservation.ok() ? nullptr : &bucket_->refusals(),
                        .impossible = n < 0 || n > bucket_->burst()};
    if (reservation.ok()) taken.push_back(std::move(reservation));
    return answer;
  }
  void Settle(const Call&, TimePoint now, std::int64_t n) override {
    internal::Settle(*bucket_, now, n);
  }
  std::string Describe() const override { return DescribeBucket(*bucket_); }

 private:
  std::shared_ptr<TokenBucket> bucket_;
};

// Holds all buckets at once, always in the same order.
class SeveralBuckets final : public TokenSource {
 public:
  explicit SeveralBuckets(std::vector<std::shared_ptr<TokenBucket>> buckets)
      : buckets_(std::move(buckets)) {}

  Answer Take(const Call&, TimePoint now, std::int64_t n, Duration max_wait,
              Reservations& taken) override {
    taken.reserve(buckets_.size());  // what is taken must not be lost for want of memory
    return Hold(buckets_, nullptr, {.now = now, .n = n, .max_wait = max_wait, .taken = taken});
  }
  void Settle(const Call&, TimePoint now, std::int64_t n) override {
    for (const auto& bucket : buckets_) internal::Settle(*bucket, now, n);
  }
  std::string Describe() const override {
    std::vector<std::string> each;
    each.reserve(buckets_.size());
    for (const auto& bucket : buckets_) each.push_back(DescribeBucket(*bucket));
    std::ranges::sort(each);  // the order here is that of their addresses
    return absl::StrJoin(each, " and ");
  }

 private:
  struct Request {
    TimePoint now;
    std::int64_t n;
    Duration max_wait;
    Reservations& taken;
  };
  struct Held {
    Held(TokenBucket& of, TimePoint now, Held* others) : bucket(of), hold(of, now), next(others) {}
    TokenBucket& bucket;
    TokenHold hold;
    Held* next;
  };

  static Answer Hold(Buckets rest, Held* held, const Request& request) {
    if (rest.empty()) return Decide(held, request);
    Held one(*rest.front(), request.now, held);
    return Hold(rest.subspan(1), &one, request);
  }

  // What one bucket allows at the earliest, another may allow only later; until all agree.
  static Answer Decide(Held* all, const Request& request) {
    TimePoint at = request.now;
    TokenBucket* latest = &all->bucket;
    for (bool agreed = false; !agreed;) {
      agreed = true;
      for (Held* held = all; held != nullptr; held = held->next) {
        const TimePoint earliest = held->hold.EarliestFor(request.n, at);
        if (earliest <= at) continue;
        at = earliest;
        latest = &held->bucket;
        agreed = at == TimePoint::max();
        if (agreed) break;
      }
    }
    if (at == TimePoint::max() || SaturatingSub(at, request.now) > request.max_wait) {
      return {.at = at,
              .refused = &latest->refusals(),
              .impossible = request.n < 0 || request.n > latest->burst()};
    }
    for (Held* held = all; held != nullptr; held = held->next) {
      request.taken.push_back(held->hold.Take(request.n, at));
    }
    return {.at = at, .refused = nullptr};
  }

  std::vector<std::shared_ptr<TokenBucket>> buckets_;
};

std::shared_ptr<TokenSource> AllOf(std::vector<std::shared_ptr<TokenBucket>> buckets) {
  std::ranges::sort(buckets);
  const bool any_twice = std::ranges::adjacent_find(buckets) != buckets.end();
  if (buckets.empty() || buckets.front() == nullptr || any_twice) {
    ThrowIfInvalid(absl::InvalidArgumentError(
        "RateLimit: there must be at least one bucket, none null and none twice"));
  }
  if (buckets.size() == 1) return std::make_shared<OneBucket>(std::move(buckets.front()));
  return std::make_shared<SeveralBuckets>(std::move(buckets));
}

RateLimitTerms TermsOf(RateLimitOptions options) {
  ThrowIfInvalid(Validate(options));
  return {
      .max_wait = options.max_wait, .cost = std::move(options.cost), .dry_run = options.dry_run};
}

}  // namespace

RateLimitPlan PlanFor(std::string_view policy, const std::shared_ptr<TokenBucket>& bucket,
                      RateLimitOptions options) {
  return {policy, std::make_shared<OneBucket>(bucket), TermsOf(std::move(options)), bucket.get()};
}

RateLimitPlan PlanForAll(std::string_view policy, std::vector<std::shared_ptr<TokenBucket>> buckets,
                         RateLimitOptions options) {
  return {policy, AllOf(std::move(buckets)), TermsOf(std::move(options))};
}

}  // namespace internal
}  // namespace holdfast
