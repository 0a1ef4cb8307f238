#include "holdfast/cache/cache.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <string>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/rejection.h"
#include "holdfast/call/internal/patience.h"
#include "src/base/info_text.h"

namespace holdfast {

absl::Status Validate(const CacheOptions& options) {
  internal::OptionsChecker check("Cache");
  check(options.max_wait >= Duration::zero(), "max_wait must be >= 0");
  return check.status();
}

namespace internal {

Verdict AskCache(CacheTable& table, const CacheOptions& options, const Refusals& refusals,
                 Call& call, CacheTable::Place& place) {
  CacheTable::Found found;
  if (place.entered()) {
    found = table.Look(place);
  } else {
    const std::string_view key = options.key(call);
    if (key.empty()) return Verdict::Proceed();
    found = table.Find(key,
                       {.priority = call.priority(),
                        .whom = call.key(),
                        .deadline = call.deadline(),
                        .came = call.now()},
                       call.waker(), place);
  }
  if (found == CacheTable::Found::kAnswer) return Verdict::ShortCircuit();
  if (found == CacheTable::Found::kAsk) return Verdict::Proceed();
  const Patience patience{.give_up_at = SaturatingAdd(place.came(), options.max_wait),
                          .too_late_at = call.deadline()};
  if (!patience.EndedBy(call.now())) return Verdict::Wait(patience.until());
  return Verdict::Reject(patience.Refusal(refusals));
}

CacheTable::For WhoseFailure(Call& call, const absl::Status& outcome) {
  using For = CacheTable::For;
  const bool in_time = call.deadline() == TimePoint::max() || call.now() < call.deadline();
  // A policy may refuse at once what it knows would come too late.
  const bool too_late = absl::IsDeadlineExceeded(outcome) && call.retry_at() > call.deadline();
  if (absl::IsCancelled(outcome) || !in_time || too_late) return For::kNobody;
  if (call.rejected() || RejectionOf(outcome).has_value()) return For::kAlike;
  // There was no time for another attempt, or for the end of this one.
  return call.out_of_time() ? For::kAsHurried : For::kAll;
}

PolicyInfo InfoOfCache(const CacheTerms& terms, const CacheOptions& options) {
  const auto if_any = [](Duration d, absl::string_view what) {
    return d == Duration::zero() ? "" : absl::StrCat(what, " ", DurationText(d));
  };
  return {
      .settings = JoinSettings({NameText(std::string(terms.name)), if_any(terms.ttl, "fresh for"),
                                if_any(terms.negative_ttl, "failures for"),
                                if_any(terms.stale_while_revalidate, "stale while revalidated for"),
                                if_any(terms.stale_if_error, "stale if error for"),
                                CountText(terms.max_entries, "key"),
                                CountText(terms.max_bytes, "byte"), MaxWaitText(options.max_wait)}),
      // Only the lack of a limit is told: a wait is no addition to the time of a call, since it
      // takes the place of what the other call does below.
      .max_wait = options.max_wait == Duration::max() ? Duration::max() : Duration::zero()};
}

}  // namespace internal
}  // namespace holdfast
