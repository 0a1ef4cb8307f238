#include "holdfast/rate_limit.h"

#include <algorithm>
#include <span>

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

}  // namespace

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

RateLimitPlan::RateLimitPlan(std::string_view policy, std::shared_ptr<TokenSource> source,
                             RateLimitOptions options)
    : policy_(policy), source_(std::move(source)), options_(Validated(std::move(options))) {}

RateLimitPlan::RateLimitPlan(std::string_view policy, const std::shared_ptr<TokenBucket>& bucket,
                             RateLimitOptions options)
    : RateLimitPlan(policy, std::make_shared<OneBucket>(bucket), std::move(options)) {
  if (options_.cost == nullptr) single_ = bucket.get();
}

void RateLimitPlan::State::GiveBack() {
  for (Reservation& reservation : taken_) reservation.CancelAt(call_->now());
}

Verdict RateLimitPlan::TakeTokens(Call& call, State& state) const {
  if (state.call_ == nullptr) {
    const TimePoint now = call.now();
    const Duration time_left = SaturatingSub(call.deadline(), now);
    state.cost_ = options_.cost == nullptr ? 1 : options_.cost(std::as_const(call));
    state.call_ = &call;
    const TokenSource::Answer answer =
        source_->Take(call, now, state.cost_, std::min(options_.max_wait, time_left), state.taken_);
    if (answer.refused != nullptr) return Refuse(call, state, answer, time_left);
    state.ready_at_ = answer.at;
    if (options_.dry_run && answer.at > now) {
      call.Waive(policy_, absl::OkStatus(), answer.at);
      state.ready_at_ = now;
    }
  }
  if (call.now() < state.ready_at_) return Verdict::Wait(state.ready_at_);
  state.taken_.clear();  // acted on: nothing to give back
  return Verdict::Proceed();
}

Verdict RateLimitPlan::Refuse(Call& call, State& state, const TokenSource::Answer& answer,
                              Duration time_left) const {
  const Refusals& refusals = *answer.refused;
  const bool late = answer.at != TimePoint::max() && time_left < options_.max_wait;
  const absl::Status& refusal = answer.impossible ? refusals.impossible
                                : late            ? refusals.deadline
                                                  : refusals.exhausted;
  // One that comes later may wait for the same tokens.
  const bool too_long = SaturatingSub(answer.at, call.now()) > options_.max_wait;
  const bool waits = answer.waiting_helps && too_long && !late && answer.at != TimePoint::max();
  const TimePoint retry_at = waits ? answer.at - options_.max_wait : answer.at;
  if (!options_.dry_run) return Verdict::Reject(refusal, retry_at);
  call.Waive(policy_, refusal, retry_at);
  state.cost_ = -1;
  return Verdict::Proceed();
}

void RateLimitPlan::Settle(Call& call, const State& state, std::int64_t true_cost) const {
  const std::int64_t difference = std::max<std::int64_t>(true_cost, 0) - state.cost_;
  if (state.cost_ >= 0 && difference != 0) source_->Settle(call, call.now(), difference);
}

}  // namespace internal
}  // namespace holdfast
