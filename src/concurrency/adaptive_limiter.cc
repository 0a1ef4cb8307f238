#include "holdfast/concurrency/adaptive_limiter.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <type_traits>
#include <variant>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/base/rejection.h"
#include "src/base/info_text.h"
#include "src/concurrency/limit_loop.h"

namespace holdfast {
namespace {

using internal::LimitBounds;

// Nothing that is given moves: what is not moves with it.
LimitBounds BoundsOf(const AdaptiveLimiter::Options& options) {
  return std::visit(
      [&](const auto& algorithm) {
        using A = std::remove_cvref_t<decltype(algorithm)>;
        LimitBounds bounds = {A::kInitial, A::kMinimum, A::kMaximum};
        if (options.initial)
          bounds = {*options.initial, std::min(bounds.minimum, *options.initial),
                    std::max(bounds.maximum, *options.initial)};
        if (options.minimum) {
          bounds.minimum = *options.minimum;
          if (!options.initial) bounds.initial = std::max(bounds.initial, bounds.minimum);
          bounds.maximum = std::max(bounds.maximum, bounds.initial);
        }
        if (options.maximum) {
          bounds.maximum = *options.maximum;
          if (!options.initial) bounds.initial = std::min(bounds.initial, bounds.maximum);
          if (!options.minimum) bounds.minimum = std::min(bounds.minimum, bounds.initial);
        }
        return bounds;
      },
      options.algorithm);
}

std::string SettingsText(const AdaptiveLimiter::Options& options, const LimitBounds& bounds) {
  constexpr std::string_view kNames[] = {"AIMD", "Vegas", "Gradient2"};
  return absl::StrCat(internal::ToAbsl(kNames[options.algorithm.index()]), " from ", bounds.minimum,
                      " to ", bounds.maximum);
}

std::unique_ptr<internal::LimitLoop> MakeLoop(const AdaptiveLimiter::Options& options) {
  return std::make_unique<internal::LimitLoop>(
      internal::LimitSampler(options.window, options.min_samples),
      internal::LimitEstimator(options.algorithm, BoundsOf(options), options.queue_size),
      options.drop_share);
}

absl::Status Error(const AdaptiveLimiter::Options& options, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("AdaptiveLimiter ", options.name, ": ", what));
}

}  // namespace

absl::Status Validate(const AdaptiveLimiter::Options& options) {
  if (absl::Status status = Validate(options.algorithm); !status.ok()) return status;
  const LimitBounds bounds = BoundsOf(options);
  if (bounds.minimum < 1) return Error(options, "minimum must be >= 1");
  if (bounds.maximum > Semaphore::kMaxLimit) return Error(options, "maximum must be < 2^31");
  if (bounds.initial < bounds.minimum || bounds.initial > bounds.maximum) {
    return Error(options, "minimum <= initial <= maximum must hold");
  }
  if (options.queue_size.value_or(1) < 1) return Error(options, "queue_size must be >= 1");
  if (options.queue_size && std::holds_alternative<Aimd>(options.algorithm)) {
    return Error(options, "Aimd has no queue_size");
  }
  if (options.window <= Duration::zero()) return Error(options, "window must be > 0");
  if (options.min_samples < 1 || options.min_samples > 1000) {
    return Error(options, "min_samples must be in [1, 1000]");
  }
  if (!(options.drop_share >= 0 && options.drop_share < 1)) {
    return Error(options, "drop_share must be in [0, 1)");
  }
  return absl::OkStatus();
}

AdaptiveLimiter::AdaptiveLimiter(Options options)
    : mask_(internal::StripeCount() - 1),
      stripes_(std::make_unique<Stripe[]>(mask_ + 1)),
      options_(internal::Validated(std::move(options))),
      classifies_(options_.Read()->classify != nullptr),
      loop_(MakeLoop(*options_.Read())),
      clock_(options_.Read()->clock),
      refusals_(RejectionKind::kBulkheadFull, "AdaptiveLimit", options_.Read()->name, "permit"),
      semaphore_({.limit = loop_->estimator.limit(),
                  .name = options_.Read()->name,
                  .clock = options_.Read()->clock}) {}

AdaptiveLimiter::~AdaptiveLimiter() = default;

absl::StatusOr<AdaptiveLimiter::Ticket> AdaptiveLimiter::Admit() {
  std::optional<Permit> permit = semaphore_.TryAcquire();
  if (!permit) return refusals_.exhausted;
  Ticket ticket;
  ticket.clock_ = clock_.get();
  ticket.permit_ = *std::move(permit);
  if (Picks()) Measure(Now(), ticket.sample_);
  return ticket;
}

absl::StatusOr<AdaptiveLimiter::Ticket> AdaptiveLimiter::AdmitAt(TimePoint now) {
  std::optional<Permit> permit = semaphore_.TryAcquire();
  if (!permit) return refusals_.exhausted;
  Ticket ticket;
  ticket.clock_ = clock_.get();
  ticket.permit_ = *std::move(permit);
  if (Picks()) Measure(now, ticket.sample_);
  return ticket;
}

void AdaptiveLimiter::Ticket::Done(Outcome outcome) noexcept {
  const bool timed = sample_.limiter() != nullptr && outcome != Outcome::kIgnored;
  DoneAt(timed ? internal::ReadClock(clock_) : TimePoint::min(), outcome);
}

// Nobody waits to be measured.
void AdaptiveLimiter::MeasureLocked(TimePoint now, internal::LimitSample& sample) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return;
  AdaptIfReady(now);
  // While more are out than the limit says, this one may have got its permit under an older limit.
  const std::int64_t in_use = semaphore_.in_use();
  const bool old = in_use > loop_->estimator.limit();
  const std::uint64_t window = old ? 0 : loop_->sampler.Join(now, in_use);
  Publish();
  if (window == 0) return;
  sample.limiter_ = this;
  sample.window_ = window;
  sample.began_ = now;
}

void AdaptiveLimiter::Settle(const internal::LimitSample& sample, TimePoint now, Outcome outcome) {
  const std::lock_guard lock(mutex_);
  loop_->sampler.End(sample.window_, SaturatingSub(now, sample.began_), outcome);
  if (outcome != Outcome::kIgnored) AdaptIfReady(now);
  Publish();
}

void AdaptiveLimiter::AdaptIfReady(TimePoint now) {
  if (!loop_->Adapt(now)) return;
  SetLimit();
  if (loop_->latency <= 0) return;
  // Most calls take less than twice the mean.
  constexpr double kMost = 3600e9;
  semaphore_.expected_hold_.store(static_cast<Duration::rep>(std::min(2 * loop_->latency, kMost)),
                                  std::memory_order_relaxed);
}

// Under the mutex, so that an older limit does not replace a newer one; the semaphore calls nobody
// who could come back here.
void AdaptiveLimiter::SetLimit() {
  const std::int64_t limit = loop_->estimator.limit();
  if (limit != semaphore_.limit()) semaphore_.ChangeLimit(limit);
}

void AdaptiveLimiter::Publish() {
  const internal::LimitSampler& sampler = loop_->sampler;
  shift_.store(sampler.shift(), std::memory_order_relaxed);
  busy_from_.store(sampler.busy_from().time_since_epoch().count(), std::memory_order_relaxed);
  busy_until_.store(sampler.busy_until().time_since_epoch().count(), std::memory_order_relaxed);
}

absl::StatusOr<internal::Commit> AdaptiveLimiter::PrepareUpdate(Options options) {
  if (absl::Status status = internal::CheckSame("AdaptiveLimiter", name(), options.name,
                                                clock_.given(), options.clock);
      !status.ok()) {
    return status;
  }
  options.name = name();
  if (absl::Status status = Validate(options); !status.ok()) return status;
  options.clock = options_.Read()->clock;
  return [this, next = internal::Versions<Options>::Make(std::move(options))]() mutable {
    Change(std::move(next));
  };
}

void AdaptiveLimiter::Change(internal::Versions<Options>::Next next) {
  internal::Versions<Options>::Pin before;  // its classify is destroyed without the mutex
  const std::lock_guard lock(mutex_);
  before = options_.Read();
  options_.Replace(std::move(next));
  const auto now = options_.Read();
  classifies_.store(now->classify != nullptr, std::memory_order_relaxed);
  loop_->Change(*now, BoundsOf(*now));
  SetLimit();
  Publish();
}

PolicyInfo AdaptiveLimiter::Info(PolicyInfo bulkhead, const internal::Changes& changes) const {
  const Options* const next = changes.Of(*this);
  const Options options = next == nullptr ? *options_.Read() : *next;
  const LimitBounds bounds = BoundsOf(options);
  bulkhead.settings =
      internal::JoinSettings({std::move(bulkhead.settings), SettingsText(options, bounds)});
  bulkhead.limit = bounds.maximum;
  return bulkhead;
}

Outcome AdaptiveLimiter::Classify(const absl::Status& status) const {
  if (ABSL_PREDICT_FALSE(classifies_.load(std::memory_order_relaxed))) {
    if (const auto options = options_.Read(); options->classify) return options->classify(status);
  }
  if (ABSL_PREDICT_TRUE(status.ok())) return Outcome::kSuccess;
  switch (status.code()) {
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return RejectionOf(status) ? Outcome::kIgnored : Outcome::kFailure;
    default:
      return Outcome::kIgnored;
  }
}

}  // namespace holdfast
