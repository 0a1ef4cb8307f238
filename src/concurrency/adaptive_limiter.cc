#include "holdfast/concurrency/adaptive_limiter.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <type_traits>
#include <utility>
#include <variant>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/base/rejection.h"
#include "src/base/info_text.h"
#include "src/concurrency/limit_estimator.h"
#include "src/concurrency/limit_sampler.h"

namespace holdfast {
namespace {

using internal::LimitBounds;

// A bound that is given never moves; those that are not move as far as it makes necessary.
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

}  // namespace

absl::Status Validate(const AdaptiveLimiter::Options& options) {
  const LimitBounds bounds = BoundsOf(options);
  internal::OptionsChecker check("AdaptiveLimiter", options.name);
  check(Validate(options.algorithm));
  check(bounds.minimum >= 1, "minimum must be >= 1");
  check(bounds.maximum <= Semaphore::kMaxLimit, "maximum must be < 2^31");
  check(bounds.initial >= bounds.minimum && bounds.initial <= bounds.maximum,
        "initial must be between minimum and maximum");
  check(options.queue_size.value_or(1) >= 1, "queue_size must be >= 1");
  check(!options.queue_size || !std::holds_alternative<Aimd>(options.algorithm),
        "queue_size must not be given with Aimd");
  check(options.window > Duration::zero(), "window must be > 0");
  check(options.min_samples >= 1 && options.min_samples <= 1000,
        "min_samples must be in [1, 1000]");
  check(options.drop_share >= 0 && options.drop_share < 1, "drop_share must be in [0, 1)");
  return check.status();
}

// The loop of control: windows of calls come from the sampler, the estimator makes a limit of each.
class AdaptiveLimiter::Loop {
 public:
  explicit Loop(const Options& options)
      : sampler(options.window, options.min_samples),
        estimator(options.algorithm, BoundsOf(options), options.queue_size),
        drop_share_(options.drop_share) {}

  // True if there is a limit to set.
  bool Adapt(TimePoint now) {
    if (!sampler.Ready(now)) return false;
    const internal::LimitWindow window = sampler.Take(drop_share_);
    estimator.Update(window);
    if (window.succeeded > 0) latency = window.latency;
    return true;
  }

  void Change(const Options& options) {
    const std::int64_t before = estimator.limit();
    sampler.Change(options.window, options.min_samples);
    estimator.Change(options.algorithm, BoundsOf(options), options.queue_size);
    if (estimator.limit() != before) sampler.Drop();  // its calls began under an older limit
    drop_share_ = options.drop_share;
  }

  internal::LimitSampler sampler;
  internal::LimitEstimator estimator;
  double latency = 0;  // the mean of the last window that had a success, in ns; 0: none yet

 private:
  double drop_share_;
};

AdaptiveLimiter::AdaptiveLimiter(Options options)
    : options_(internal::Validated(std::move(options))),
      classifies_(options_.Read()->classify != nullptr),
      loop_(std::make_unique<Loop>(*options_.Read())),
      clock_(options_.Read()->clock),
      semaphore_({.limit = loop_->estimator.limit(),
                  .name = options_.Read()->name,
                  .clock = options_.Read()->clock},
                 "AdaptiveLimit") {}

AdaptiveLimiter::~AdaptiveLimiter() = default;

absl::StatusOr<AdaptiveLimiter::Ticket> AdaptiveLimiter::Admit() {
  std::optional<Permit> permit = semaphore_.TryAcquire();
  if (!permit) return semaphore_.refusals().exhausted;
  Ticket ticket;
  ticket.clock_ = clock_.get();
  ticket.permit_ = *std::move(permit);
  if (picker_.Picks()) Measure(Now(), ticket.sample_);
  return ticket;
}

absl::StatusOr<AdaptiveLimiter::Ticket> AdaptiveLimiter::AdmitAt(TimePoint now) {
  std::optional<Permit> permit = semaphore_.TryAcquire();
  if (!permit) return semaphore_.refusals().exhausted;
  Ticket ticket;
  ticket.clock_ = clock_.get();
  ticket.permit_ = *std::move(permit);
  if (picker_.Picks()) Measure(now, ticket.sample_);
  return ticket;
}

void AdaptiveLimiter::Ticket::Done(Outcome outcome) noexcept {
  const bool timed = sample_.limiter() != nullptr && outcome != Outcome::kIgnored;
  DoneAt(timed ? internal::ReadClock(clock_) : TimePoint::min(), outcome);
}

// A call does not wait for the mutex to be measured: it goes unmeasured.
void AdaptiveLimiter::MeasureLocked(TimePoint now, internal::LimitSample& sample) {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return;
  AdaptIfReady(now);
  // While more permits are in use than the limit, this call may have got its own under an older
  // one.
  const std::int64_t in_use = semaphore_.in_use();
  const bool old = in_use > loop_->estimator.limit();
  const std::uint64_t window = old ? 0 : loop_->sampler.Join(now, in_use);
  Publish();
  if (window == 0) return;
  sample.limiter_.get_deleter() = {.window = window, .began = now};
  sample.limiter_.reset(this);
}

void internal::LimitSample::SettleMeasured(TimePoint now, Outcome outcome) noexcept {
  limiter_.release()->Settle(limiter_.get_deleter(), now, outcome);
}

void internal::LimitSampleDeleter::operator()(AdaptiveLimiter* limiter) const noexcept {
  limiter->Settle(*this, TimePoint::min(), Outcome::kIgnored);
}

void AdaptiveLimiter::Settle(const internal::LimitSampleDeleter& sample, TimePoint now,
                             Outcome outcome) {
  const std::lock_guard lock(mutex_);
  loop_->sampler.End(sample.window, SaturatingSub(now, sample.began), outcome);
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

// With the mutex held, so that an older limit never replaces a newer one. The semaphore only wakes
// waiters, and a waker does not call back.
void AdaptiveLimiter::SetLimit() {
  no_load_latency_.store(loop_->estimator.no_load_latency(), std::memory_order_relaxed);
  const std::int64_t limit = loop_->estimator.limit();
  const std::int64_t before = semaphore_.limit();
  if (limit == before) return;
  (limit > before ? raised_ : lowered_).fetch_add(1, std::memory_order_relaxed);
  semaphore_.ChangeLimit(limit);
}

void AdaptiveLimiter::Publish() {
  const internal::LimitSampler& sampler = loop_->sampler;
  picker_.Publish(sampler.shift(), sampler.busy_from(), sampler.busy_until());
}

absl::StatusOr<internal::Commit> AdaptiveLimiter::PrepareUpdate(Options options) {
  if (absl::Status status =
          internal::KeepNameAndValidate("AdaptiveLimiter", name(), clock_.given(), options);
      !status.ok()) {
    return status;
  }
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
  loop_->Change(*now);
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
