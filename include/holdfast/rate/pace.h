// Pace is a policy that spaces calls out evenly, as a leaky bucket does: each call takes the next
// slot of a schedule, and waits for it.
//
//   auto pacer = std::make_shared<holdfast::Pacer>(holdfast::Pacer::Options{.rate = 100});
//   auto fetch = holdfast::Stack(holdfast::Pace(pacer)).Around(transport);
#ifndef HOLDFAST_RATE_PACE_H_
#define HOLDFAST_RATE_PACE_H_

#include <absl/base/attributes.h>
#include <absl/status/status.h>

#include <chrono>
#include <concepts>
#include <memory>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/base/settings.h"
#include "holdfast/call/call.h"
#include "holdfast/call/collector.h"
#include "holdfast/call/policy.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"
#include "holdfast/rate/internal/no_options.h"
#include "holdfast/rate/pacer.h"

namespace holdfast {

struct PaceOptions {
  // The longest time that a call waits for its slot, >= 0; default 1 s, for the reasons that
  // RateLimitOptions::max_wait gives. Zero refuses every call that cannot go at once. At a rate of
  // less than one call per second give at least the interval, or the second of two calls is
  // refused.
  TimeSpan max_wait = std::chrono::seconds(1);
  // Default false. If true, a call gives its slot back when a policy inside refuses it, or the
  // caller stops it there, before any attempt ran, provided that no later slot was taken. False for
  // the reasons that RateLimitOptions::refund_refused gives.
  bool refund_refused = false;
};

absl::Status Validate(const PaceOptions& options);

// Takes one slot for each call that passes: outside of Retry one per call, inside one per attempt.
// Refuses at once, with nothing taken:
//   kResourceExhausted  the slot would come later than `max_wait` from now, or never
//   kDeadlineExceeded   the slot would come after the call's deadline
// A call that is abandoned while it waits gives its slot back if no later slot was taken; otherwise
// the slot stays empty.
class Pace {
 public:
  static constexpr std::string_view kName = "Pace";

  // All throw std::invalid_argument for options that Validate refuses, and for a null pacer. Those
  // that take a pointer are templates, so that options in braces are never taken for one.
  template <std::same_as<Pacer> P>
  explicit Pace(std::shared_ptr<P> pacer, PaceOptions options = {})
      : pacer_(internal::NotNull(std::move(pacer), "Pace: the Pacer")), options_(options) {}
  explicit Pace(Pacer::Options pacer, PaceOptions options = {})
      : Pace(std::make_shared<Pacer>(std::move(pacer)), options) {}
  // The same with options that can change at run time; throws for null settings.
  template <std::same_as<Settings<PaceOptions>> S>
  Pace(std::shared_ptr<Pacer> pacer, std::shared_ptr<S> settings)
      : pacer_(internal::NotNull(std::move(pacer), "Pace: the Pacer")),
        options_(std::move(settings)) {}
  // Pace({}) does not compile.
  template <class T = void>
  explicit Pace(internal::NoOptions) : Pace(Pacer::Options{}) {
    static_assert(internal::kGiven<T>,
                  "Pace({}) has no rate: write Pace({.rate = 100}), in calls per second");
  }

  class State {
   public:
    ~State() {
      if (pacer_ != nullptr) GiveBack();
    }

   private:
    friend class Pace;
    void GiveBack();

    Pacer* pacer_ = nullptr;  // while the time of the slot has not come, or it is refundable
    Call* call_;              // if there is a pacer; so are the others
    Pacer::Place place_;
    bool refundable_;
    bool let_in_;   // with a refundable slot
    int attempts_;  // of the call, before it was let in
  };

  Verdict Before(Call& call, State& state) const;

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call&, State&, R&) const {
    return Next::Done();
  }

  PolicyInfo Info(const internal::Changes& changes = {}) const;

  void Objects(CollectedObjects& objects) const { objects.Add(pacer_, kName); }

  void BindClock(internal::ClockBinder& binder) const { pacer_->BindClock(binder, kName); }

 private:
  static Verdict LetIn(State& state);

  std::shared_ptr<Pacer> pacer_;
  internal::Live<PaceOptions> options_;
};

// Stack(pacer) means Stack(Pace(pacer)).
template <>
struct PolicyOf<Pacer> {
  using type = Pace;
};

}  // namespace holdfast

#endif  // HOLDFAST_RATE_PACE_H_
