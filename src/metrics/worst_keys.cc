#include "src/metrics/worst_keys.h"

#include <absl/hash/hash.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/internal/utf8.h"

namespace holdfast::internal {
namespace {

std::size_t HashOf(const Event& event) {
  return absl::HashOf(ToAbsl(event.stack), ToAbsl(event.policy), ToAbsl(event.name),
                      ToAbsl(event.key));
}

bool Worse(const WorstKey& a, const WorstKey& b) {
  return std::tuple(b.refused, a.key, a.stack, a.policy, a.name) <
         std::tuple(a.refused, b.key, b.stack, b.policy, b.name);
}

}  // namespace

void WorstKeyCounters::Add(const Event& event, std::chrono::system_clock::time_point now) {
  const std::size_t hash = HashOf(event);
  auto found = std::ranges::find(counters_, hash, &Counter::hash);
  if (found == counters_.end()) {
    const auto kept = [](std::string_view text) { return KeptText(text, kMostOfEventText); };
    WorstKey key = {.stack = kept(event.stack),
                    .policy = kept(event.policy),
                    .name = kept(event.name),
                    .key = kept(event.key)};
    if (counters_.size() < most_) {
      found = counters_.insert(counters_.end(), {.hash = hash, .key = std::move(key)});
    } else {
      found =
          std::ranges::min_element(counters_, {}, [](const Counter& c) { return c.key.refused; });
      key.refused = key.too_many = found->key.refused;
      *found = {.hash = hash, .key = std::move(key)};
    }
  }
  ++found->key.refused;
  found->key.last = now;
}

std::vector<WorstKey> WorstKeyCounters::Worst(std::size_t n) const {
  std::vector<WorstKey> worst;
  worst.reserve(counters_.size());
  for (const Counter& counter : counters_) worst.push_back(counter.key);
  std::ranges::sort(worst, Worse);
  if (worst.size() > n) worst.resize(n);
  return worst;
}

}  // namespace holdfast::internal
