// For how many keys a KeyedTokenBucket has room, whom it forgets for another, and what memory that
// takes.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "holdfast/base/rejection.h"
#include "holdfast/rate/keyed_token_bucket.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace holdfast::keyed_token_bucket_room_test {
namespace {

using namespace std::chrono_literals;
using Limits = KeyedTokenBucket::Limits;
using WhenFull = KeyedTokenBucket::WhenFull;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }
std::string Key(std::int64_t i) { return "key " + std::to_string(i); }

TEST_CASE("a key that takes no tokens needs no room") {
  const double rate = GENERATE(10.0, kInfiniteRate);
  KeyedTokenBucket buckets({.limits = {.rate = rate, .burst = 2}, .max_keys = 1});
  CHECK(buckets.AllowAt(At(0s), "a", 0));
  CHECK(buckets.ReserveAt(At(0s), "b", 0).ok());
  CHECK_FALSE(buckets.AllowAt(At(0s), "c", -1));
  CHECK(buckets.AllowAt(At(0s), "d", 3) == (rate == kInfiniteRate));
  CHECK(buckets.ReserveAt(At(0s), "e", 3).ok() == (rate == kInfiniteRate));
  CHECK(buckets.ReserveAt(At(0s), "e", 3).too_late_at() ==
        (rate == kInfiniteRate ? At(0s) : TimePoint::max()));
  buckets.ChargeAt(At(0s), "f", 0);
  buckets.RefundAt(At(0s), "g", 5);
  CHECK(buckets.size() == 0);
}

TEST_CASE("a key that nothing limits is remembered as long as nobody needs the room") {
  int asked = 0;
  KeyedTokenBucket buckets({.limits_for =
                                [&](std::string_view key) {
                                  ++asked;
                                  return Limits{.rate = key == "free" ? kInfiniteRate : 1,
                                                .burst = 1};
                                },
                            .max_keys = 1});
  CHECK(buckets.AllowAt(At(1s), "free"));
  CHECK(buckets.AllowAt(At(1s), "free", 100));
  CHECK(asked == 1);
  CHECK(buckets.AllowAt(At(2s), "b"));
  CHECK(buckets.AllowAt(At(2s), "free", 100));
  CHECK(buckets.AllowAt(At(2s), "free", 100));
  CHECK(asked == 4);
  CHECK_FALSE(buckets.AllowAt(At(2s), "b"));
  CHECK(buckets.size() == 1);
}

TEST_CASE("by default a key is refused until there is room for it") {
  KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = 2}, .max_keys = 2, .name = "api"});
  CHECK(buckets.AllowAt(At(0s), "a", 2));
  CHECK(buckets.AllowAt(At(50ms), "b"));
  CHECK_FALSE(buckets.AllowAt(At(50ms), "c"));
  // That of b: by 150 ms it has got back what it took.
  const Reservation refused = buckets.ReserveAt(At(50ms), "c");
  CHECK_FALSE(refused.ok());
  CHECK(refused.too_late_at() == At(150ms));
  CHECK(buckets.AllowAt(At(60ms), "b", 0));
  CHECK_FALSE(buckets.AllowAt(At(150ms - 1ns), "c"));
  CHECK(buckets.AllowAt(At(150ms), "c"));
  CHECK_FALSE(buckets.AllowAt(At(150ms), "b"));
  CHECK(buckets.ReserveAt(At(150ms), "b").too_late_at() == At(200ms));
  CHECK(buckets.size() == 2);
}

TEST_CASE("a refusal for want of room says so") {
  testing::FakeClock clock;
  KeyedTokenBucket buckets(
      {.limits = {.rate = 10, .burst = 1}, .max_keys = 1, .name = "api", .clock = &clock});
  CHECK(buckets.Wait("a").ok());
  const absl::Status refused = buckets.Wait("b", 1, {.deadline = At(1h)});
  CHECK(refused.code() == absl::StatusCode::kResourceExhausted);
  CHECK(refused.message() == "KeyedRateLimit api: no room for another key");
  CHECK(RejectionOf(refused)->kind == RejectionKind::kRateLimited);
  CHECK(RejectionOf(refused)->name == "api");
  CHECK(clock.Now() == At(0s));
}

TEST_CASE("where keys never get idle there is never room") {
  KeyedTokenBucket buckets({.limits = {.rate = 0, .burst = 2}, .max_keys = 1});
  CHECK(buckets.AllowAt(At(-1h), "a"));
  CHECK(buckets.ReserveAt(At(-1h), "b").too_late_at() == TimePoint::max());
  CHECK_FALSE(buckets.AllowAt(TimePoint::max(), "b"));
  buckets.RefundAt(TimePoint::max(), "a", 1);
  CHECK(buckets.AllowAt(TimePoint::max(), "b"));
}

TEST_CASE("keys without room share a bucket, if that is wanted") {
  KeyedTokenBucket buckets(
      {.limits = {.rate = 10, .burst = 3}, .max_keys = 2, .when_full = WhenFull::kShare});
  CHECK(buckets.AllowAt(At(0s), "a", 3));
  CHECK(buckets.AllowAt(At(0s), "b", 3));
  int granted = 0;
  for (int i = 0; i < 20; ++i) granted += buckets.AllowAt(At(0s), Key(i)) ? 1 : 0;
  CHECK(granted == 3);
  Reservation reservation = buckets.ReserveAt(At(0s), "c", 2);
  CHECK(reservation.ready_at() == At(200ms));
  CHECK(buckets.ReserveAt(At(0s), "d", 1, 250ms).too_late_at() == At(300ms));
  CHECK_FALSE(buckets.ReserveAt(At(0s), "d", 4).ok());
  reservation.CancelAt(At(0s));
  buckets.ChargeAt(At(0s), "e", 1);
  CHECK(buckets.ReserveAt(At(0s), "d", 1).ready_at() == At(200ms));
  CHECK(buckets.size() == 2);
  CHECK(buckets.AllowAt(At(300ms), "c", 3));  // in the place of a
}

TEST_CASE("keys without room are not limited, if that is wanted") {
  KeyedTokenBucket buckets(
      {.limits = {.rate = 10, .burst = 3}, .max_keys = 2, .when_full = WhenFull::kAdmit});
  CHECK(buckets.AllowAt(At(0s), "a"));
  CHECK(buckets.AllowAt(At(0s), "b", 3));
  for (int i = 0; i < 20; ++i) CHECK(buckets.AllowAt(At(0s), "c", 3));
  CHECK(buckets.ReserveAt(At(0s), "d", 3, 0s).ready_at() == At(0s));
  CHECK_FALSE(buckets.AllowAt(At(0s), "d", 4));
  CHECK_FALSE(buckets.AllowAt(At(0s), "d", -1));
  buckets.ChargeAt(At(0s), "d", 100);
  CHECK_FALSE(buckets.AllowAt(At(0s), "a", 3));
  CHECK(buckets.AllowAt(At(100ms), "d", 3));
  CHECK_FALSE(buckets.AllowAt(At(100ms), "d"));  // in the place of a
}

TEST_CASE("as long as any key is idle there is room, in whichever shard it is") {
  constexpr std::int64_t kKeys = 5000;  // of four shards
  KeyedTokenBucket buckets({.limits_for =
                                [](std::string_view key) {
                                  const bool soon = key.starts_with("soon");
                                  return Limits{.rate = soon ? 1000.0 : 0.001, .burst = 1};
                                },
                            .max_keys = kKeys});
  for (std::int64_t i = 0; i < kKeys - 3; ++i) CHECK(buckets.AllowAt(At(0s), Key(i)));
  for (std::int64_t round = 0; round < 200; ++round) {
    const TimePoint now = At(1ms * round);  // just when the last three are idle
    std::int64_t granted = 0;
    for (int i = 0; i < 6; ++i) {
      granted += buckets.AllowAt(now, "soon " + std::to_string(7 * round + i)) ? 1 : 0;
    }
    CHECK(granted == 3);
    CHECK(buckets.ReserveAt(now, "other").too_late_at() == now + 1ms);
  }
  CHECK(buckets.size() == kKeys);
}

TEST_CASE("what is given back makes room at once") {
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 4}, .max_keys = 1});
  CHECK(buckets.AllowAt(At(0s), "a", 4));
  CHECK_FALSE(buckets.AllowAt(At(0s), "b"));
  buckets.RefundAt(At(0s), "a", 3);
  CHECK_FALSE(buckets.AllowAt(At(0s), "b"));
  CHECK(buckets.ReserveAt(At(0s), "b").too_late_at() == At(1s));
  buckets.RefundAt(At(0s), "a", 1);
  Reservation reservation = buckets.ReserveAt(At(0s), "b");
  CHECK(reservation.ok());
  CHECK_FALSE(buckets.AllowAt(At(0s), "a"));
  reservation.CancelAt(At(0s));
  CHECK(buckets.AllowAt(At(0s), "a"));
}

TEST_CASE("a key for which somebody waits is not forgotten") {
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 2}, .max_keys = 1});
  CHECK(buckets.AllowAt(At(0s), "a", 2));
  Reservation first = buckets.ReserveAt(At(0s), "a", 2);
  Reservation second = buckets.ReserveAt(At(0s), "a", 2);
  CHECK(second.ready_at() == At(4s));
  CHECK_FALSE(buckets.AllowAt(At(3s), "b"));
  first.CancelAt(At(1s));
  CHECK_FALSE(buckets.AllowAt(At(4s), "b"));
  CHECK_FALSE(buckets.AllowAt(At(6s - 1ns), "b"));
  CHECK(buckets.AllowAt(At(6s), "b"));
  second.CancelAt(At(3s));
  CHECK(buckets.TokensAt(At(6s), "b") == 1);
}

TEST_CASE("nor is it where its bucket can hold nothing") {
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 2}, .max_keys = 1});
  CHECK(buckets.AllowAt(At(0s), "a", 2));
  Reservation first = buckets.ReserveAt(At(0s), "a", 2);
  const Reservation second = buckets.ReserveAt(At(0s), "a", 2);
  first.CancelAt(At(0s));
  buckets.SetLimitsAt(At(0s), Limits{.rate = 1, .burst = 0});
  buckets.ChargeAt(At(3s), "b", 1);  // for which there is no room
  CHECK(buckets.TokensAt(At(3s), "b") == 0);
  buckets.ChargeAt(second.ready_at(), "b", 1);
  CHECK(buckets.TokensAt(second.ready_at(), "b") == -1);
}

// An attacker with ten times as many keys as there is room for.
TEST_CASE("who cycles through keys gains nothing") {
  constexpr std::int64_t kMaxKeys = 1000;
  constexpr std::int64_t kKeys = 10 * kMaxKeys;
  constexpr std::int64_t kBurst = 3;
  const WhenFull when_full = GENERATE(WhenFull::kRefuse, WhenFull::kShare);
  KeyedTokenBucket buckets(
      {.limits = {.rate = 2, .burst = kBurst}, .max_keys = kMaxKeys, .when_full = when_full});
  std::vector<std::int64_t> granted(kKeys, 0);
  TimePoint now = At(1h);
  std::int64_t total = 0;
  std::int64_t most = 0;
  for (int round = 0; round < 30; ++round) {
    for (std::int64_t i = 0; i < kKeys; ++i) {
      while (buckets.AllowAt(now, Key(i))) ++granted[static_cast<std::size_t>(i)];
      now += 20us;
    }
    most = std::max(most, buckets.size());
  }
  for (const std::int64_t of_key : granted) total += of_key;
  CHECK(most == kMaxKeys);
  // Six seconds: two tokens in each of them, for each, and what it began with.
  const std::int64_t shared = when_full == WhenFull::kShare ? kBurst + 12 : 0;
  for (const std::int64_t of_key : granted) CHECK(of_key <= kBurst + 12 + shared);
  // Of all keys together no more than of those that fit: each is in use for a second and a half.
  CHECK(total <= kMaxKeys * (kBurst + 12) + shared);
  CHECK(total >= kMaxKeys * 12);
}

TEST_CASE("a key in use is never forgotten, whatever the others do") {
  const auto [rate, burst] = GENERATE(table<double, std::int64_t>({{10, 5}, {1000, 1}, {0.3, 2}}));
  KeyedTokenBucket buckets(
      {.limits = {.rate = rate, .burst = burst}, .max_keys = 100, .when_full = WhenFull::kAdmit});
  TokenBucket alone({.rate = rate, .burst = burst});
  TimePoint now = At(1h);
  int agreed = 0;
  for (int i = 0; i < 20'000; ++i) {
    agreed += buckets.AllowAt(now, "victim") == alone.AllowAt(now) ? 1 : 0;
    (void)buckets.AllowAt(now, Key(i % 1000));
    now += 777us;
  }
  CHECK(agreed == 20'000);
}

TEST_CASE("an older now mints nothing, not even for a key that was forgotten") {
  KeyedTokenBucket buckets({.limits = {.rate = 10, .burst = 2}, .max_keys = 1});
  int granted = 0;
  for (int i = 0; i < 1000; ++i) {
    granted += buckets.AllowAt(At(i % 2 == 0 ? 200ms : 0ms), "a") ? 1 : 0;
  }
  CHECK(granted == 2);
  // By 400 ms it is idle. Coming back with a time before that, it has not filled twice.
  CHECK(buckets.AllowAt(At(400ms), "b"));
  CHECK_FALSE(buckets.AllowAt(At(200ms), "a"));
  CHECK(buckets.AllowAt(At(500ms), "a", 2));
  CHECK_FALSE(buckets.AllowAt(At(100ms), "a"));
  CHECK_FALSE(buckets.AllowAt(At(599ms), "a"));
  CHECK(buckets.AllowAt(At(600ms), "a"));
}

TEST_CASE("a key that comes back with an older now begins full as of the latest") {
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 2}, .max_keys = 2});
  CHECK(buckets.AllowAt(At(10s), "a", 2));
  CHECK(buckets.AllowAt(At(12s), "b", 2));
  CHECK(buckets.AllowAt(At(12s), "c", 2));  // in the place of a
  buckets.RefundAt(At(12s), "c", 2);
  CHECK(buckets.AllowAt(At(2s), "a", 2));  // in the place of c
  CHECK_FALSE(buckets.AllowAt(At(4s), "a"));
  CHECK_FALSE(buckets.AllowAt(At(12s), "a"));
  CHECK(buckets.AllowAt(At(13s), "a"));
}

#ifdef __GLIBC__
// What the allocator has given out; nothing where a sanitizer has taken its place.
std::size_t Allocated() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST_CASE("a key takes no more memory than is said") {
  const std::int64_t max_keys = GENERATE(1, 1000, 20'000, 300'000);
  const std::size_t before = Allocated();
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 1}, .max_keys = max_keys});
  std::size_t in_excess = 0;
  TimePoint now = At(0s);
  for (std::int64_t i = 0; i < 3 * max_keys; ++i) {
    (void)buckets.AllowAt(now, Key(i));
    if (i % max_keys == 0) now += 1s;
    if (i % 97 != 0) continue;
    const std::size_t most =
        static_cast<std::size_t>(buckets.size()) * KeyedTokenBucket::kBytesPerKey +
        KeyedTokenBucket::kFewBytes;
    in_excess = std::max(in_excess, std::max(Allocated(), before + most) - before - most);
  }
  CHECK(in_excess == 0);
  CHECK(buckets.size() == max_keys);
}

TEST_CASE("what waited doesn't stay") {
  constexpr std::int64_t kKeys = 20'000;
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 1}, .max_keys = kKeys});
  for (std::int64_t i = 0; i < kKeys; ++i) (void)buckets.AllowAt(At(0s), Key(i));
  const std::size_t before = Allocated();
  std::size_t most = 0;
  for (std::int64_t i = 0; i < kKeys; ++i) {
    const TimePoint now = At(i * 1ms);
    (void)buckets.AllowAt(now, Key(i));
    CHECK(buckets.ReserveAt(now, Key(i)).ok());  // for a second; then nobody looks at it again
    most = std::max(most, Allocated() - before);
  }
  CHECK(most <= 3000 * KeyedTokenBucket::kBytesPerPromise);
}

TEST_CASE("limits that no key has any more take no memory") {
  constexpr std::int64_t kMaxKeys = 100;
  double rate = 1;
  KeyedTokenBucket buckets(
      {.limits_for = [&](std::string_view) { return Limits{.rate = rate += 1, .burst = 1}; },
       .max_keys = kMaxKeys});
  std::size_t most = 0;
  const std::size_t before = Allocated();
  for (std::int64_t i = 0; i < 20'000; ++i) {
    CHECK(buckets.AllowAt(At(i * 1s), Key(i)));
    if (i % 1000 == 0)
      buckets.SetLimitsAt(At(i * 1s),
                          [&](std::string_view) { return Limits{.rate = rate += 1, .burst = 1}; });
    most = std::max(most, Allocated() - before);
  }
  CHECK(most <=
        kMaxKeys * (KeyedTokenBucket::kBytesPerKey + KeyedTokenBucket::kBytesPerLimits) + 10'000);
}
#endif

// Threads. They count, and the main thread compares.

TEST_CASE("threads find room for exactly as many keys as there is, while time stands still") {
  constexpr std::int64_t kMaxKeys = 3000;  // of two shards
  const WhenFull when_full = GENERATE(WhenFull::kRefuse, WhenFull::kShare);
  KeyedTokenBucket buckets(
      {.limits = {.rate = 1, .burst = 2}, .max_keys = kMaxKeys, .when_full = when_full});
  std::atomic<std::int64_t> granted = 0;
  test::InThreads(4, [&](int thread) {
    for (std::int64_t i = 0; i < 4 * kMaxKeys; ++i) {
      const std::int64_t key = (i * 7 + std::int64_t{thread} * 1000) % (2 * kMaxKeys);
      if (buckets.AllowAt(At(1s), Key(key))) ++granted;
    }
  });
  CHECK(granted == 2 * kMaxKeys + (when_full == WhenFull::kShare ? 2 : 0));
  CHECK(buckets.size() == kMaxKeys);
}

// Where there is room in other shards only, several may look for it on behalf of the same key.
TEST_CASE("threads that find room for the same key at once lose none of it") {
  constexpr std::int64_t kMaxKeys = 1 << 16;  // of 64 shards
  KeyedTokenBucket buckets({.limits_for =
                                [](std::string_view key) {
                                  return Limits{.rate = key.front() == 's' ? 1000.0 : 1,
                                                .burst = 1};
                                },
                            .max_keys = kMaxKeys});
  for (std::int64_t i = 0; i < kMaxKeys - 3; ++i) (void)buckets.AllowAt(At(0s), Key(i));
  std::atomic<std::int64_t> arrived = 0;
  test::InThreads(2, [&](int) {
    for (std::int64_t i = 0; i < 1000; ++i) {
      const std::string key = "soon " + std::to_string(i);
      ++arrived;
      while (arrived < 2 * (i + 1)) std::this_thread::yield();
      (void)buckets.AllowAt(At(i / 3 * 1ms), key);
    }
  });
  std::int64_t granted = 0;
  for (std::int64_t i = 0; i < kMaxKeys + 100; ++i) {
    granted += buckets.AllowAt(At(1h), "last " + Key(i)) ? 1 : 0;
  }
  CHECK(granted == kMaxKeys);
}

TEST_CASE("keys come, are used up, are forgotten and given new limits, all at once") {
  constexpr int kKeys = 400;
  constexpr int kMaxKeys = 100;
  static constexpr std::int64_t kBurst = 4;
  KeyedTokenBucket buckets({.limits = {.rate = 1000, .burst = kBurst}, .max_keys = kMaxKeys});
  std::vector<std::atomic<std::int64_t>> granted(kKeys);
  std::atomic<std::int64_t> nanos = 0;
  std::atomic<std::int64_t> most_keys = 0;
  std::atomic<bool> done = false;
  const auto now = [&] { return At(Duration(nanos.fetch_add(1000))); };
  std::jthread setter([&] {
    while (!done) {
      buckets.SetLimitsAt(now(), Limits{.rate = 1000, .burst = kBurst});
      buckets.SetLimitsAt(now(), [](std::string_view key) {
        return Limits{.rate = key.back() % 2 == 0 ? 1000.0 : 500.0, .burst = kBurst};
      });
      most_keys = std::max(most_keys.load(), buckets.size());
    }
  });
  test::InThreads(4, [&](int thread) {
    for (int i = 0; i < 20'000; ++i) {
      const int key = (i * 13 + thread * 101) % kKeys;
      if (buckets.AllowAt(now(), Key(key))) granted[static_cast<std::size_t>(key)] += 1;
    }
  });
  done = true;
  setter.join();
  const std::int64_t bound = kBurst + nanos / 1'000'000 + 1;
  std::int64_t in_excess = 0;
  for (const auto& of_key : granted) in_excess += of_key > bound ? 1 : 0;
  CHECK(in_excess == 0);
  CHECK(most_keys <= kMaxKeys);
}

}  // namespace
}  // namespace holdfast::keyed_token_bucket_room_test
