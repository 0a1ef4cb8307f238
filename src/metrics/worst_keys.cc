#include "src/metrics/worst_keys.h"

#include <absl/hash/hash.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "holdfast/base/internal/string_view.h"
#include "src/metrics/utf8.h"

namespace holdfast::internal {
namespace {

constexpr std::size_t kMostBytes = 128;

std::size_t HashOf(const Event& event) {
  return absl::HashOf(ToAbsl(event.stack), ToAbsl(event.policy), ToAbsl(event.name),
                      ToAbsl(event.key));
}

bool Worse(const WorstKey& a, const WorstKey& b) {
  return std::tuple(b.refused, a.key, a.stack, a.policy, a.name) <
         std::tuple(a.refused, b.key, b.stack, b.policy, b.name);
}

}  // namespace

std::string KeptText(std::string_view text) {
  std::string kept = WellFormedUtf8(text.substr(0, kMostBytes));
  if (text.size() <= kMostBytes && kept.size() <= kMostBytes) return kept;
  // No part of a character stays, neither at the cut nor of what stands for one that was none.
  constexpr std::string_view kEllipsis = "\xE2\x80\xA6";
  std::size_t end = std::min(kept.size(), kMostBytes - kEllipsis.size());
  while (end > 0 && end < kept.size() && (static_cast<unsigned char>(kept[end]) & 0xC0) == 0x80) {
    --end;
  }
  kept.resize(end);
  kept += kEllipsis;
  return kept;
}

void WorstKeyCounters::Add(const Event& event, std::chrono::system_clock::time_point now) {
  const std::size_t hash = HashOf(event);
  auto found = std::ranges::find(counters_, hash, &Counter::hash);
  if (found == counters_.end()) {
    WorstKey key = {.stack = KeptText(event.stack),
                    .policy = KeptText(event.policy),
                    .name = KeptText(event.name),
                    .key = KeptText(event.key)};
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
