#include "holdfast/throttle/adaptive_throttler.h"

#include <absl/strings/str_cat.h>

#include <cmath>
#include <cstddef>
#include <mutex>
#include <numeric>
#include <random>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/random.h"
#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/internal/validate.h"
#include "src/base/info_text.h"

namespace holdfast {
namespace {

Duration Period(const AdaptiveThrottler::Options& options) {
  const Duration period = options.window / options.buckets;
  return options.window % options.buckets > Duration::zero() ? period + Duration(1) : period;
}

internal::ThrottleRule RuleOf(const AdaptiveThrottler::Options& options) {
  return {.k = options.k,
          .max_rejection = options.max_rejection,
          .min_requests = static_cast<std::uint64_t>(options.min_requests)};
}

// In [0, 1).
template <class Gen>
double Uniform(Gen& gen) {
  return static_cast<double>(gen() >> 11) * 0x1p-53;
}

}  // namespace

absl::Status Validate(const AdaptiveThrottler::Options& options) {
  internal::OptionsChecker check("AdaptiveThrottler", options.name);
  check(options.k >= 1 && std::isfinite(options.k), "k must be >= 1 and finite, not ", options.k);
  check(options.window > Duration::zero(), "window must be > 0");
  check(options.buckets >= 1 && options.buckets <= AdaptiveThrottler::kMaxBuckets,
        "buckets must be in [1, ", AdaptiveThrottler::kMaxBuckets, "], not ", options.buckets);
  check(options.max_rejection >= 0 && options.max_rejection <= 1,
        "max_rejection must be in [0, 1], not ", options.max_rejection);
  check(options.min_requests >= 0, "min_requests must be >= 0");
  return check.status();
}

// The throttler's own generator, used while it has a seed. `seeded` is relaxed: it publishes
// nothing, since the generator is under the mutex, and a call that sees an Update late draws as
// before it.
struct AdaptiveThrottler::Random {
  explicit Random(std::optional<std::uint64_t> seed) { Begin(seed); }

  void Begin(std::optional<std::uint64_t> seed) {
    const std::lock_guard lock(mutex);
    if (seed) gen.seed(*seed);
    seeded.store(seed.has_value(), std::memory_order_relaxed);
  }
  double Draw() {
    const std::lock_guard lock(mutex);
    return Uniform(gen);
  }

  std::atomic<bool> seeded{false};
  std::mutex mutex;
  std::mt19937_64 gen;
};

AdaptiveThrottler::AdaptiveThrottler(Options options)
    : name_(options.name),
      options_(internal::Validated(std::move(options))),
      classifies_(options_.Read()->classify != nullptr),
      refused_([this] {
        return internal::Refusal(absl::StatusCode::kUnavailable, RejectionKind::kThrottled,
                                 "AdaptiveThrottle", name_,
                                 "rejected locally, since the backend rejects too many calls");
      }),
      random_(std::make_unique<Random>(options_.Read()->seed)),
      window_(RuleOf(*options_.Read()), Period(*options_.Read()), options_.Read()->buckets),
      clock_(options_.Read()->clock) {}

AdaptiveThrottler::~AdaptiveThrottler() = default;

bool AdaptiveThrottler::Refuses(Priority priority, absl::BitGenRef random) {
  const double rejection = window_.RejectionOf(priority);
  if (rejection <= 0) return false;
  const auto draw = [&] {
    return random_->seeded.load(std::memory_order_relaxed) ? random_->Draw() : Uniform(random);
  };
  if (rejection < 1 && draw() >= rejection) return false;
  window_.Refuse(priority);
  return true;
}

bool AdaptiveThrottler::Refuses(Priority priority) {
  return Refuses(priority, internal::ThreadRandom());
}

AdaptiveThrottlerStats AdaptiveThrottler::StatsAt(TimePoint now) {
  window_.AdvanceTo(now);
  return LookAt(now);
}

AdaptiveThrottlerStats AdaptiveThrottler::LookAt(TimePoint now) const {
  const internal::ThrottleCounts counts = window_.CountsAt(now);
  const internal::ThrottleRule rule = window_.rule();
  AdaptiveThrottlerStats stats{
      .requests = std::accumulate(counts.requests.begin(), counts.requests.end(), std::uint64_t{0}),
      .accepts = counts.accepts,
      .refused = counts.refused,
      .rejection = rule.Overall(counts),
      .requests_of = counts.requests};
  for (std::size_t i = 0; i < kPriorities; ++i) {
    stats.rejection_of[i] = rule.Of(static_cast<Priority>(i), counts);
  }
  return stats;
}

absl::StatusOr<internal::Commit> AdaptiveThrottler::PrepareUpdate(Options options) {
  if (absl::Status status =
          internal::KeepNameAndValidate("AdaptiveThrottler", name_, clock_.given(), options);
      !status.ok()) {
    return status;
  }
  options.clock = options_.Read()->clock;
  std::vector<internal::ThrottleCounts> starts(static_cast<std::size_t>(options.buckets));
  return [this, next = internal::Versions<Options>::Make(std::move(options)),
          starts = std::move(starts)]() mutable { Change(std::move(next), starts); };
}

void AdaptiveThrottler::Change(internal::Versions<Options>::Next next,
                               std::vector<internal::ThrottleCounts>& starts) {
  internal::Versions<Options>::Pin before;  // its classify is destroyed without the mutex
  const std::lock_guard lock(update_mutex_);
  before = options_.Read();
  options_.Replace(std::move(next));
  const auto now = options_.Read();
  classifies_.store(now->classify != nullptr, std::memory_order_relaxed);
  if (now->seed != before->seed) random_->Begin(now->seed);
  window_.Change(RuleOf(*now), Period(*now), starts);
}

Outcome AdaptiveThrottler::Classified(const absl::Status& status) const {
  if (const auto options = options_.Read(); options->classify != nullptr) {
    return options->classify(status);
  }
  return status.ok() ? Outcome::kSuccess : ClassifyError(status);
}

Outcome AdaptiveThrottler::ClassifyError(const absl::Status& status) {
  if (status.code() == absl::StatusCode::kCancelled || RejectionOf(status)) {
    return Outcome::kIgnored;
  }
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kDataLoss:
      return Outcome::kFailure;
    default:
      return Outcome::kSuccess;
  }
}

PolicyInfo AdaptiveThrottler::Info(const internal::Changes& changes) const {
  const Options* const next = changes.Of(*this);
  const Options options = next == nullptr ? *options_.Read() : *next;
  const Duration window = SaturatingMul(Period(options), options.buckets);
  return {.settings = internal::JoinSettings(
              {internal::NameText(name_), absl::StrCat("K ", options.k),
               absl::StrCat("window ", internal::DurationText(window)),
               absl::StrCat("rejects up to ", options.max_rejection * 100, "%")}),
          .window = window};
}

}  // namespace holdfast
