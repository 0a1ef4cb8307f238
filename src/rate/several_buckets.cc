#include "src/rate/several_buckets.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/internal/validate.h"
#include "src/base/info_text.h"
#include "src/rate/in_time.h"
#include "src/rate/token_wait.h"

namespace holdfast::internal {
namespace {

using Buckets = std::span<const std::shared_ptr<TokenBucket>>;

// Holds all buckets at once, in their order, and calls use(first) with the list of them, which is
// in the order in which they were held, after `held`.
template <class Use>
void HoldAll(Buckets rest, TimePoint now, HeldBucket* first, HeldBucket* last, const Use& use) {
  if (rest.empty()) return use(first);
  HeldTokenBucket one(*rest.front(), now);
  (last == nullptr ? first : last->next) = &one;
  HoldAll(rest.subspan(1), now, first, &one, use);
}

struct Agreement {
  TimePoint at;
  HeldBucket* latest;  // whose time it is
};

// What one bucket allows at the earliest, another may allow only later; until all agree.
Agreement Agree(HeldBucket* all, std::int64_t n, TimePoint now) {
  Agreement agreement{.at = now, .latest = all};
  for (bool agreed = false; !agreed;) {
    agreed = true;
    for (HeldBucket* held = all; held != nullptr; held = held->next) {
      const TimePoint earliest = held->EarliestFor(n, agreement.at);
      if (earliest <= agreement.at) continue;
      agreement = {.at = earliest, .latest = held};
      if (earliest == TimePoint::max()) return agreement;
      agreed = false;
    }
  }
  return agreement;
}

// Buckets of which the time has come already are not asked again. If the others can't agree on a
// time that is no later, all stays as it was.
TimePoint DecideAnew(HeldBucket* all, std::int64_t n, TimePoint now) {
  TimePoint before = TimePoint::max();
  HeldBucket* lifted = nullptr;
  for (HeldBucket* held = all; held != nullptr;) {
    HeldBucket* const next = held->next;
    before = std::min(before, held->taken->ready_at());
    if (held->Lift(*held->taken)) held->next = std::exchange(lifted, held);
    held = next;
  }
  const TimePoint at = lifted == nullptr ? now : Agree(lifted, n, now).at;
  for (HeldBucket* held = lifted; held != nullptr; held = held->next) {
    held->Put(*held->taken, at <= before ? std::optional(at) : std::nullopt);
  }
  return std::min(at, before);
}

}  // namespace

SeveralBuckets::SeveralBuckets(std::string_view policy,
                               std::vector<std::shared_ptr<TokenBucket>> buckets)
    : given_(buckets), buckets_(std::move(buckets)) {
  std::ranges::sort(buckets_);
  const bool any_twice = std::ranges::adjacent_find(buckets_) != buckets_.end();
  if (buckets_.empty() || buckets_.front() == nullptr || any_twice) {
    ThrowIfInvalid(absl::InvalidArgumentError(absl::StrCat(
        ToAbsl(policy), ": there must be at least one bucket, none null and none twice")));
  }
}

TokenSource::Answer SeveralBuckets::TakeWith(HeldBucket* first, TimePoint now, std::int64_t n,
                                             Duration max_wait, Reservations& taken) {
  taken.reserve(buckets_.size() + 1);  // what is taken must not be lost for want of memory
  Answer answer{.at = now, .whose = nullptr, .refused = false};
  HoldAll(buckets_, now, first, first, [&](HeldBucket* all) {
    const Agreement agreement = Agree(all, n, now);
    answer.at = agreement.at;
    answer.whose = &agreement.latest->refusals();
    answer.refused = !InTime(answer.at, now, max_wait);
    answer.impossible = answer.refused && agreement.latest->Impossible(n);
    if (answer.refused) return;
    for (HeldBucket* held = all; held != nullptr; held = held->next) {
      taken.push_back(held->Take(n, answer.at));
    }
  });
  return answer;
}

void SeveralBuckets::Watch(Call& call, Reservations& taken) {
  for (Reservation& each : taken) TokenWait::Watch(each, &call.waker());
}

TimePoint SeveralBuckets::LookWith(HeldBucket* first, Call& call, std::int64_t n,
                                   Reservations& taken) {
  const TimePoint now = call.now();
  TimePoint ready_at = taken.front().ready_at();
  if (n <= 0) return ready_at;
  HoldAll(buckets_, now, first, first, [&](HeldBucket* all) {
    std::size_t i = 0;
    for (HeldBucket* held = all; held != nullptr; held = held->next) {
      if (i == taken.size() || !held->Gave(taken[i])) return;  // others than gave the tokens
      held->taken = &taken[i++];
    }
    if (i == taken.size()) ready_at = DecideAnew(all, n, now);
  });
  return ready_at;
}

void SeveralBuckets::Settle(std::string_view, TimePoint now, std::int64_t n) {
  for (const auto& bucket : buckets_) SettleBucket(*bucket, now, n);
}

std::string SeveralBuckets::Describe(const Changes& changes) const {
  std::vector<std::string> each;
  each.reserve(buckets_.size());
  for (const auto& bucket : buckets_) each.push_back(DescribeBucket(*bucket, changes));
  std::ranges::sort(each);  // the order here is that of their addresses
  return absl::StrJoin(each, " and ");
}

void SeveralBuckets::BindClock(ClockBinder& binder, std::string_view policy) {
  for (const auto& bucket : buckets_) bucket->BindClock(binder, policy);
}

void SeveralBuckets::Objects(CollectedObjects& objects, std::string_view policy) const {
  for (const auto& bucket : given_) objects.Add(bucket, policy);
}

void SettleBucket(TokenBucket& bucket, TimePoint now, std::int64_t n) {
  if (n > 0) bucket.ChargeAt(now, n);
  if (n < 0) bucket.RefundAt(now, -n);
}

std::string DescribeBucket(const TokenBucket& bucket, const Changes& changes) {
  const TokenBucket::Options* const next = changes.Of(bucket);
  const double rate = next == nullptr ? bucket.rate() : next->rate;
  const std::int64_t burst = next == nullptr ? bucket.burst() : next->burst;
  return JoinSettings({NameText(bucket.name()), RateText(rate), absl::StrCat("burst ", burst)});
}

}  // namespace holdfast::internal
