// Pace spaces calls out evenly: each takes a place in a row on its way down, and waits for it.
//
//   auto pacer = std::make_shared<holdfast::Pacer>(holdfast::Pacer::Options{.rate = 100});
//   auto fetch = holdfast::Stack(holdfast::Pace(pacer)).Around(transport);
#ifndef HOLDFAST_RATE_PACE_H_
#define HOLDFAST_RATE_PACE_H_

#include <absl/base/attributes.h>
#include <absl/status/status.h>

#include <concepts>
#include <memory>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/base/settings.h"
#include "holdfast/call/call.h"
#include "holdfast/call/policy_info.h"
#include "holdfast/call/verdict.h"
#include "holdfast/rate/pacer.h"

namespace holdfast {

struct PaceOptions {
  TimeSpan max_wait = Duration::max();  // for a place; zero: refuse what can't go at once
  // Gives the place back where a policy inside of this one refuses the call, or it is stopped
  // there, before any attempt ran: if it is still the last one in the row. Off, as
  // RateLimitOptions::refund_refused is, and for its reasons.
  bool refund_refused = false;
};

absl::Status Validate(const PaceOptions& options);

// One place for each call below it: outside of Retry that is one for a call, inside one for an
// attempt. Refuses at once, with nothing taken: kResourceExhausted where the place would come later
// than `max_wait` or never, kDeadlineExceeded where it would come after the deadline. A call that
// is abandoned while it waits gives its place back if it is still the last one in the row;
// otherwise the place stays empty.
class Pace {
 public:
  static constexpr std::string_view kName = "Pace";

  // Both throw std::invalid_argument for options that Validate refuses, and for a null pacer.
  explicit Pace(std::shared_ptr<Pacer> pacer, PaceOptions options = {})
      : pacer_(internal::NotNull(std::move(pacer))), options_(options) {}
  explicit Pace(Pacer::Options pacer, PaceOptions options = {})
      : Pace(std::make_shared<Pacer>(std::move(pacer)), options) {}
  // The same with options that change; throws for null settings. A template, so that {} means
  // default options.
  template <std::same_as<Settings<PaceOptions>> S>
  Pace(std::shared_ptr<Pacer> pacer, std::shared_ptr<S> settings)
      : pacer_(internal::NotNull(std::move(pacer))), options_(std::move(settings)) {}

  class State {
   public:
    ~State() {
      if (pacer_ != nullptr) GiveBack();
    }

   private:
    friend class Pace;
    void GiveBack();

    Pacer* pacer_ = nullptr;  // while the time of the place has not come, or it is refundable
    Call* let_in_ = nullptr;  // with a refundable place
    Pacer::Place place_;      // if there is a pacer
    bool refundable_;         // likewise
    int attempts_;            // of the call, before it was let in
  };

  Verdict Before(Call& call, State& state) const;

  template <class R>
  ABSL_ATTRIBUTE_ALWAYS_INLINE Next After(Call&, State&, R&) const {
    return Next::Done();
  }

  PolicyInfo Info(const internal::Changes& changes = {}) const;

  void BindClock(internal::ClockBinder& binder) const { pacer_->BindClock(binder, kName); }

 private:
  static Verdict LetIn(Call& call, State& state);

  std::shared_ptr<Pacer> pacer_;
  internal::Live<PaceOptions> options_;
};

}  // namespace holdfast

#endif  // HOLDFAST_RATE_PACE_H_
