#include "holdfast/hedge/hedge.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/call/internal/collect_pool.h"
#include "src/base/info_text.h"

namespace holdfast {

absl::Status Validate(const HedgeOptions& options) {
  internal::OptionsChecker check("Hedge");
  check(options.delay > Duration::zero(), "delay must be > 0");
  check(options.max_hedges >= 1 && options.max_hedges <= HedgeOptions::kMaxHedges,
        "max_hedges must be in [1, 16], not ", options.max_hedges);
  return check.status();
}

namespace internal {

absl::Status SettingsPlan<HedgeOptions>::Keep(const HedgeOptions& present, HedgeOptions& next) {
  OptionsChecker check("Hedge");
  check(KeepObject(present.budget, next.budget),
        "an Update cannot replace the budget; call the budget's own Update");
  check(KeepObject(present.latencies, next.latencies),
        "an Update cannot replace the latencies; call their own Update");
  check(KeepObject(present.pool, next.pool), "an Update cannot replace the pool");
  return check.status();
}

HedgePlan::HedgePlan(HedgeOptions options) : options_(std::move(options)) {
  if (options_.budget == nullptr) options_.budget = RetryBudget::MakeDefault();
}

TimePoint HedgePlan::NextBranch(TimePoint now, int sent) const {
  if (sent > options_.max_hedges) return TimePoint::max();
  Duration delay = options_.delay;
  if (options_.latencies != nullptr) delay = options_.latencies->ValueAt(now).value_or(delay);
  // A latency may be zero on a fake clock.
  return SaturatingAdd(now, std::max(delay, Duration(1)));
}

bool HedgePlan::TakeBranch(TimePoint now) const { return options_.budget->TryWithdrawAt(now); }

void HedgePlan::ReturnBranch() const { options_.budget->Refund(); }

void HedgePlan::BindClock(ClockBinder& binder) const {
  options_.budget->BindClock(binder, "Hedge");
  if (options_.latencies != nullptr) options_.latencies->BindClock(binder, "Hedge");
}

void HedgePlan::Objects(CollectedObjects& objects, std::string_view kind) const {
  if (options_.pool != nullptr) objects.Add<CollectPool>(options_.pool, kind);
  objects.Add(options_.budget, kind);
  if (options_.latencies != nullptr) objects.Add(options_.latencies, kind);
}

PolicyInfo HedgePlan::Info(const Changes& changes) const {
  (void)changes.Of(*options_.budget);  // none of their options are shown
  if (options_.pool != nullptr) (void)changes.Of(*options_.pool);
  const LatencyQuantile* const latencies = options_.latencies.get();
  const auto* const next = latencies == nullptr ? nullptr : changes.Of(*latencies);
  const std::string delay =
      latencies == nullptr
          ? DurationText(options_.delay)
          : absl::StrCat(QuantileText(next == nullptr ? latencies->quantile() : next->quantile),
                         latencies->name().empty() ? "" : " of ", NameText(latencies->name()));
  return {.settings = absl::StrCat("up to ", options_.max_hedges, " more, after ", delay,
                                   options_.max_hedges == 1 ? "" : " each"),
          .last_hedge = latencies == nullptr ? SaturatingMul(options_.delay, options_.max_hedges)
                                             : Duration(0)};
}

void HedgePlan::Succeeded(Call& call, const State& state) const {
  if (options_.latencies != nullptr) {
    options_.latencies->RecordAt(call.now(), SaturatingSub(call.now(), state.sent));
  }
  if (call.FirstToClaim(options_.budget.get())) options_.budget->Deposit();
}

}  // namespace internal
}  // namespace holdfast
