// What a KeyedTokenBucket costs, of a hundred thousand keys that come in random order, beside a
// look-up of the same key in an absl::flat_hash_map.
#include <absl/container/flat_hash_map.h>
#include <absl/random/random.h>
#include <absl/strings/str_cat.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/rate/keyed_token_bucket.h"

namespace {

using namespace std::chrono_literals;
using holdfast::KeyedTokenBucket;
using holdfast::TimePoint;

constexpr std::size_t kKeys = 100'000;

// A key is asked for again after all others were.
const std::vector<std::string>& Keys() {
  static const auto* const keys = [] {
    auto* const made = new std::vector<std::string>();
    for (std::size_t i = 0; i < kKeys; ++i)
      made->push_back(absl::StrCat("customer/", 1'000'000 + i));
    std::shuffle(made->begin(), made->end(), absl::BitGen());
    return made;
  }();
  return *keys;
}

// Each thread begins elsewhere.
class Walk {
 public:
  explicit Walk(const benchmark::State& state)
      : at_(kKeys / static_cast<std::size_t>(state.threads()) *
            static_cast<std::size_t>(state.thread_index())) {}

  const std::string& Next() {
    at_ = at_ + 1 == kKeys ? 0 : at_ + 1;
    return keys_[at_];
  }

 private:
  const std::vector<std::string>& keys_ = Keys();
  std::size_t at_;
};

std::unique_ptr<KeyedTokenBucket> buckets;
TimePoint start;

void Make(const KeyedTokenBucket::Options& options) {
  buckets = std::make_unique<KeyedTokenBucket>(options);
  start = std::chrono::steady_clock::now();
  for (const std::string& key : Keys()) (void)buckets->AllowAt(start, key);
}

// Get back what they give between two looks at them.
void Plenty(const benchmark::State&) {
  Make({.limits = {.rate = 1e6, .burst = 1'000'000}, .max_keys = kKeys});
}

// Get the next token in a quarter of an hour.
void Empty(const benchmark::State&) {
  Make({.limits = {.rate = 1e-3, .burst = 1}, .max_keys = kKeys});
}

// Half as many as there are keys, each soon idle.
void HalfOfThem(const benchmark::State&) {
  Make({.limits = {.rate = 1e6, .burst = 10}, .max_keys = kKeys / 2});
}

void Usual(benchmark::internal::Benchmark* benchmark) {
  benchmark->MinTime(0.1)->Repetitions(9)->Threads(1)->Threads(2);
}

// The yardsticks: the map that a keyed limiter would be at the least, without a lock; and a reading
// of the clock before it.

const auto& Map() {
  static const auto* const map = [] {
    auto* const made = new absl::flat_hash_map<std::string, std::int64_t>();
    for (const std::string& key : Keys()) made->emplace(key, 1);
    return made;
  }();
  return *map;
}

void KeyLookup(benchmark::State& state) {
  const auto& map = Map();
  Walk walk(state);
  for (auto _ : state) benchmark::DoNotOptimize(map.find(walk.Next())->second);
}
BENCHMARK(KeyLookup)->Apply(Usual);

void KeyLookupAndClock(benchmark::State& state) {
  const auto& map = Map();
  Walk walk(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(std::chrono::steady_clock::now());
    benchmark::DoNotOptimize(map.find(walk.Next())->second);
  }
}
BENCHMARK(KeyLookupAndClock)->Apply(Usual);

void KeyedAllowAt(benchmark::State& state) {
  Walk walk(state);
  for (auto _ : state) benchmark::DoNotOptimize(buckets->AllowAt(start, walk.Next()));
}
BENCHMARK(KeyedAllowAt)->Apply(Usual)->Setup(Plenty);

void KeyedAllow(benchmark::State& state) {
  Walk walk(state);
  for (auto _ : state) benchmark::DoNotOptimize(buckets->Allow(walk.Next()));
}
BENCHMARK(KeyedAllow)->Apply(Usual)->Setup(Plenty);

void KeyedAllowAtRefused(benchmark::State& state) {
  Walk walk(state);
  for (auto _ : state) benchmark::DoNotOptimize(buckets->AllowAt(start, walk.Next()));
}
BENCHMARK(KeyedAllowAtRefused)->Apply(Usual)->Setup(Empty);

// Every key was forgotten since it last came.
void KeyedAllowForgotten(benchmark::State& state) {
  Walk walk(state);
  for (auto _ : state) benchmark::DoNotOptimize(buckets->Allow(walk.Next()));
}
BENCHMARK(KeyedAllowForgotten)->Apply(Usual)->Setup(HalfOfThem);

// All that are remembered are in use.
void KeyedNoRoom(benchmark::State& state) {
  std::string key = absl::StrCat("newcomer/", state.thread_index(), "/");
  const std::size_t prefix = key.size();
  std::int64_t number = 0;
  for (auto _ : state) {
    key.resize(prefix);
    absl::StrAppend(&key, ++number);
    benchmark::DoNotOptimize(buckets->AllowAt(start, key));
  }
}
BENCHMARK(KeyedNoRoom)->Apply(Usual)->Setup(Empty);

}  // namespace
