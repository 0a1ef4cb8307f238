// Settings hold the options of policies, and can change while calls run.
//
//   auto settings = std::make_shared<holdfast::Settings<holdfast::RetryOptions>>(
//       holdfast::RetryOptions{.max_attempts = 4});
//   auto ask = holdfast::Stack(holdfast::Retry(settings)).Around(transport);
//
//   holdfast::RetryOptions once = settings->options();  // the present ones
//   once.max_attempts = 1;
//   absl::Status changed = settings->Update(once);  // from the next call on
#ifndef HOLDFAST_BASE_SETTINGS_H_
#define HOLDFAST_BASE_SETTINGS_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/base/internal/versions.h"

namespace holdfast {

namespace internal {

// What a policy makes of its options, once for all calls: to be specialized where that is more than
// a copy. `Keep` puts into `next` what is left out there and can't change, or refuses; `After` is
// the plan that follows on another.
template <class Options>
struct SettingsPlan {
  using type = Options;
  static const Options& OptionsOf(const type& plan) { return plan; }
  static type After(const type&, Options next) { return next; }
  static absl::Status Keep(const Options&, Options&) { return absl::OkStatus(); }
};

// An object among the options: `next` becomes `present` if it is null. False if it is another one.
template <class T>
bool KeepObject(const std::shared_ptr<T>& present, std::shared_ptr<T>& next) {
  if (next == nullptr) next = present;
  return next == present;
}

template <class Options>
class Live;

}  // namespace internal

// For the options of these policies: Retry, Timeout, AdaptiveTimeout, Hedge, RateLimit,
// KeyedRateLimit, Pace, Bulkhead, AdaptiveLimit. Several policies may share one Settings; if its
// options name no retry budget, the Retry and Hedge policies that share it also share the budget
// that is made for them. (The options of a policy object, such as the rate of a bucket or the
// timeout of a breaker, change by the object's own Update.)
//
// A call uses the options that were in force when it reached the policy; a Hedge reads them again
// for each branch. Objects among the options (a budget, a pause, latencies, a pool) can't be
// replaced: an Update that leaves them out keeps them, and one that names another object is
// refused.
//
// Thread-safe. Calls read the options without a lock; before the first Update, reading costs one
// load.
template <class O>
class Settings {
 public:
  using Options = O;

  // Throws std::invalid_argument with the text of Validate.
  explicit Settings(Options options) : versions_(Plan(internal::Validated(std::move(options)))) {}

  // Replaces all options: a field that is not given gets its default. Returns kInvalidArgument,
  // with nothing changed, for options that Validate refuses. Validate(stack) is not called:
  // UpdateAll (update_all.h) does that.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }

  // Returns the options in force. To change one field, change it in a copy of these and Update.
  Options options() const { return Traits::OptionsOf(*versions_.Read()); }

  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options) {
    const auto present = versions_.Read();
    if (absl::Status status = Traits::Keep(Traits::OptionsOf(*present), options); !status.ok()) {
      return status;
    }
    if (absl::Status status = Validate(options); !status.ok()) return status;
    Plan plan = Traits::After(*present, std::move(options));
    return [this, next = internal::Versions<Plan>::Make(std::move(plan))]() mutable {
      versions_.Replace(std::move(next));
    };
  }

 private:
  friend class internal::Live<Options>;

  using Traits = internal::SettingsPlan<Options>;
  using Plan = typename Traits::type;

  internal::Versions<Plan> versions_;
};

namespace internal {

// What a policy holds: options of its own, or Settings.
template <class Options>
class Live {
 public:
  using Plan = typename SettingsPlan<Options>::type;
  using Pin = typename Versions<Plan>::Pin;

  explicit Live(Options options) : own_(Validated(std::move(options))) {}
  explicit Live(std::shared_ptr<Settings<Options>> settings)
      : settings_(NotNull(std::move(settings), "the Settings object")),
        own_(*settings_->versions_.Read()) {}

  // For as long as the pin lives, which must be less than this.
  ABSL_ATTRIBUTE_ALWAYS_INLINE Pin Read() const {
    return ABSL_PREDICT_TRUE(settings_ == nullptr) ? Pin(own_) : settings_->versions_.Read();
  }

  bool changes() const { return settings_ != nullptr; }
  const std::shared_ptr<Settings<Options>>& settings() const { return settings_; }  // may be null
  // Those of the beginning: what can't change in them is still as it is there.
  const Plan& first() const { return own_; }
  // The options; those that they would be after some changes.
  Plan With(const Changes& changes) const {
    const Options* const next = settings_ == nullptr ? nullptr : changes.Of(*settings_);
    if (next == nullptr) return *Read();
    Options kept = *next;
    SettingsPlan<Options>::Keep(settings_->options(), kept).IgnoreError();
    return Plan(std::move(kept));
  }

 private:
  std::shared_ptr<Settings<Options>> settings_;
  Plan own_;  // those of the beginning, where there are settings
};

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_BASE_SETTINGS_H_
