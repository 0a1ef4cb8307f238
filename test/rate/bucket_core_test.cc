// What a TokenBucket and a key of a KeyedTokenBucket do alike when tokens are given back.
#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "holdfast/rate/keyed_token_bucket.h"
#include "holdfast/rate/token_bucket.h"
#include "src/rate/keyed_shard.h"
#include "src/rate/token_wait.h"
#include "test/support/catch.h"

namespace holdfast::bucket_core_test {
namespace {

using namespace std::chrono_literals;
using internal::TakenFor;
using internal::TokenWait;

constexpr TimePoint kStart{1000s};

// A bucket that was full half a second ago, less one call: of each call less than a token comes
// back, and nothing of it counts against the next one but what did.
TEST_CASE("calls that are refused late, one after the other, give back all but what they must") {
  for (const int calls : {2, 5, 10}) {
    TokenBucket bucket({.rate = 1, .burst = 10});
    std::vector<Reservation> taken;
    for (int i = 0; i < calls; ++i) {
      taken.push_back(
          TokenWait::Reserve(bucket, kStart, 1, Duration::max(), TakenFor::kRefundableCall));
    }
    for (const Reservation& one : taken) TokenWait::TakeBack(one, kStart + 500ms);
    CHECK(bucket.TokensAt(kStart + 500ms) == 10);
  }
}

TEST_CASE("what is cancelled by an older clock comes back only until its time was seen to pass") {
  for (const double rate : {0.0, 1e-9, 0.3}) {
    for (const Duration later : {Duration(1), Duration(5), Duration(1s)}) {
      CAPTURE(rate, later.count());
      TokenBucket bucket({.rate = rate, .burst = 10});
      Reservation one = bucket.ReserveAt(kStart, 4);
      (void)bucket.AllowAt(kStart + later, 1);
      one.CancelAt(kStart);
      CHECK(bucket.TokensAt(kStart + later) < 6);
      KeyedTokenBucket buckets({.limits = {.rate = rate, .burst = 10}});
      Reservation keyed = buckets.ReserveAt(kStart, "key", 4);
      (void)buckets.AllowAt(kStart + later, "key", 1);
      keyed.CancelAt(kStart);
      CHECK(buckets.TokensAt(kStart + later, "key") < 6);
    }
  }
}

TEST_CASE(
    "a key's promise that is decided anew and stays as it was keeps more than a lower burst") {
  for (const bool asked_between : {false, true}) {
    std::mutex growing;
    internal::KeyedShard shard;
    shard.Begin(100, &growing, {.rate = 1, .burst = 10}, nullptr);
    shard.Observe(kStart);
    std::uint32_t key = shard.Insert(42, {.rate = 1, .burst = 10});
    shard.Enqueue(key);
    shard.TakeNow(key, 10);
    const auto promise = shard.Take(key, 8, shard.EarliestFor(key, 8), /*moves=*/false);
    shard.SetLimits(KeyedTokenBucket::Limits{.rate = 1, .burst = 5}, TokenCarryOver::kAsIs);
    key = shard.Find(42);
    shard.Observe(kStart + 7s);
    REQUIRE(shard.Lift(key, *promise));
    if (asked_between) CHECK(shard.EarliestFor(key, 8) == TimePoint::max());
    shard.Put(key, promise, std::nullopt);
    shard.Observe(kStart + 8s);
    CHECK(shard.Tokens(key, kStart + 8s) == 0);
  }
}

}  // namespace
}  // namespace holdfast::bucket_core_test
