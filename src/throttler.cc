#include "holdfast/throttler.h"

#include <absl/strings/str_cat.h>

#include <cmath>
#include <cstddef>
#include <mutex>
#include <numeric>
#include <random>

#include "facts_text.h"
#include "holdfast/internal/random.h"
#include "holdfast/internal/validate.h"
#include "holdfast/rejection.h"

namespace holdfast {
namespace {

absl::Status Refusal(const std::string& name) {
  return MakeRejection(absl::StatusCode::kUnavailable,
                       {.kind = RejectionKind::kThrottled, .policy = "Throttle", .name = name},
                       absl::StrCat("Throttle", name.empty() ? "" : " ", name,
                                    ": the backend accepts too few calls for all to be sent"));
}

Duration Period(const Throttler::Options& options) {
  const Duration period = options.window / options.buckets;
  return options.window % options.buckets > Duration::zero() ? period + Duration(1) : period;
}

Throttler::Options Normal(Throttler::Options options) {
  options = internal::Validated(std::move(options));
  return options;
}

// In [0, 1).
template <class Gen>
double Uniform(Gen& gen) {
  return static_cast<double>(gen() >> 11) * 0x1p-53;
}

}  // namespace

absl::Status Validate(const Throttler::Options& options) {
  const auto invalid = [&options](const auto&... text) {
    return absl::InvalidArgumentError(absl::StrCat("Throttler ", options.name, ": ", text...));
  };
  if (!(options.k >= 1 && std::isfinite(options.k))) {
    return invalid("k must be >= 1 and finite, not ", options.k);
  }
  if (options.window <= Duration::zero()) return invalid("window must be > 0");
  if (options.buckets < 1 || options.buckets > Throttler::kMaxBuckets) {
    return invalid("buckets must be in 1 to ", Throttler::kMaxBuckets, ", not ", options.buckets);
  }
  if (!(options.max_rejection >= 0 && options.max_rejection <= 1)) {
    return invalid("max_rejection must be in 0 to 1, not ", options.max_rejection);
  }
  if (options.min_requests < 0) return invalid("min_requests must be >= 0");
  return absl::OkStatus();
}

struct Throttler::Random {
  explicit Random(std::uint64_t seed) : gen(seed) {}

  std::mutex mutex;
  std::mt19937_64 gen;
};

Throttler::Throttler(Options options)
    : options_(Normal(std::move(options))),
      refused_([this] { return Refusal(options_.name); }),
      random_(options_.seed ? std::make_unique<Random>(*options_.seed) : nullptr),
      window_({.k = options_.k,
               .max_rejection = options_.max_rejection,
               .min_requests = static_cast<std::uint64_t>(options_.min_requests)},
              Period(options_), options_.buckets),
      clock_(options_.clock) {}

Throttler::~Throttler() = default;

bool Throttler::Refuses(Priority priority, absl::BitGenRef random) {
  const double rejection = window_.RejectionOf(priority);
  if (rejection <= 0) return false;
  const auto draw = [&] {
    if (random_ == nullptr) return Uniform(random);
    const std::lock_guard lock(random_->mutex);
    return Uniform(random_->gen);
  };
  if (rejection < 1 && draw() >= rejection) return false;
  window_.Refuse(priority);
  return true;
}

bool Throttler::Refuses(Priority priority) { return Refuses(priority, internal::ThreadRandom()); }

ThrottlerStats Throttler::StatsAt(TimePoint now) {
  window_.AdvanceTo(now);
  const internal::ThrottleCounts counts = window_.Counts();
  ThrottlerStats stats{
      .requests = std::accumulate(counts.requests.begin(), counts.requests.end(), std::uint64_t{0}),
      .accepts = counts.accepts,
      .refused = counts.refused,
      .rejection = window_.rule().Overall(counts),
      .requests_of = counts.requests};
  for (std::size_t i = 0; i < kPriorities; ++i) {
    stats.rejection_of[i] = window_.rule().Of(static_cast<Priority>(i), counts);
  }
  return stats;
}

Outcome Throttler::ClassifyError(const absl::Status& status) {
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

PolicyFacts Throttler::Facts() const {
  const Duration window = SaturatingMul(Period(options_), options_.buckets);
  return {.settings = internal::JoinSettings(
              {internal::NameText(options_.name), absl::StrCat("K ", options_.k),
               absl::StrCat("window ", internal::DurationText(window)),
               absl::StrCat("refuses up to ", options_.max_rejection * 100, "%")}),
          .window = window};
}

}  // namespace holdfast
