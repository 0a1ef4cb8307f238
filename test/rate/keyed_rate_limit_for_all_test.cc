// A key's bucket and those for all, asked in one decision.
#include <absl/status/status.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "holdfast/base/rejection.h"
#include "holdfast/call/report.h"
#include "holdfast/rate/keyed_rate_limit.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/caller.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"
#include "test/support/threads.h"

namespace holdfast::keyed_rate_limit_for_all_test {
namespace {

using namespace std::chrono_literals;
using test::Caller;
using testing::FakeClock;

constexpr TimePoint At(Duration d) { return TimePoint{d}; }

std::shared_ptr<TokenBucket> Bucket(double rate, std::int64_t burst) {
  return std::make_shared<TokenBucket>(
      TokenBucket::Options{.rate = rate, .burst = burst, .name = "route"});
}

std::shared_ptr<KeyedTokenBucket> Buckets(double rate, std::int64_t burst) {
  return std::make_shared<KeyedTokenBucket>(
      KeyedTokenBucket::Options{.limits = {.rate = rate, .burst = burst}, .name = "customers"});
}

const auto kSucceed = [] { return absl::OkStatus(); };

TEST_CASE("a key and all together are charged both or neither") {
  FakeClock clock;
  const auto customers = Buckets(1, 2);
  const auto route = Bucket(1, 3);
  const auto call =
      Stack(KeyedRateLimit(customers, route, {.max_wait = 0s})).Around(kSucceed, &clock);
  for (int i = 0; i < 100; ++i) {
    const absl::Status status = call.With({.key = "abuser"});
    CHECK(status.ok() == (i < 2));
    if (!status.ok()) CHECK(RejectionOf(status)->name == "customers");
  }
  CHECK(route->TokensAt(clock.Now()) == 1);
  CHECK(call.With({.key = "other"}).ok());
  Report report;
  const absl::Status refused = call.With({.key = "third", .report = &report});
  CHECK(RejectionOf(refused)->name == "route");
  CHECK(report.retry_at == At(1s));
  CHECK(customers->TokensAt(clock.Now(), "third") == 2);
  CHECK(customers->TokensAt(clock.Now(), "other") == 1);
}

using Together = Caller<KeyedRateLimit<>>;

TEST_CASE("a call that waits for its key and for all goes at the time that both allow") {
  FakeClock clock;
  const auto customers = Buckets(0.1, 1);
  const auto route = Bucket(1, 1);
  std::tuple limit(KeyedRateLimit{customers, route, {.max_wait = 1min}});
  const CallOptions a{.key = "a"};
  CHECK(Together(limit, clock, a).ran());
  Together waiter(limit, clock, a);
  CHECK(waiter.goes_at() == At(10s));
  Together other(limit, clock, {.key = "b"});
  CHECK(other.goes_at() == At(1s));  // the token of that second, and not of the tenth, is its own
  SECTION("sooner, with new limits for keys") {
    customers->SetLimitsAt(clock.Now(), {.rate = 0.5, .burst = 1});
    CHECK(waiter.Look().goes_at() == At(2s));
    route->SetRateAt(clock.Now(), 0.5);
    CHECK(other.Look().goes_at() == At(1s));
  }
  SECTION("sooner, with a function for keys") {
    customers->SetLimitsAt(clock.Now(), [](std::string_view) {
      return KeyedTokenBucket::Limits{.rate = 0.5, .burst = 1};
    });
    CHECK(waiter.Look().goes_at() == At(2s));
  }
  SECTION("sooner, from buckets that are filled anew") {
    customers->SetLimitsAt(clock.Now(), {.rate = 0.1, .burst = 1}, TokenCarryOver::kReset);
    CHECK(waiter.Look().goes_at() == At(2s));
    CHECK(customers->TokensAt(clock.Now(), "a") == 0);
    route->SetLimitsAt(clock.Now(), 1, 2, TokenCarryOver::kReset);
    CHECK(waiter.Look().ran());
    CHECK(other.Look().ran());
    CHECK(route->TokensAt(clock.Now()) == 0);
  }
  SECTION("not at all: then both have their tokens back") {
    CHECK(waiter.Stop().code() == absl::StatusCode::kCancelled);
    CHECK(other.Stop().code() == absl::StatusCode::kCancelled);
    CHECK(customers->TokensAt(clock.Now(), "a") == 0);
    CHECK(customers->TokensAt(clock.Now(), "b") == 1);
    CHECK(route->TokensAt(clock.Now()) == 0);
  }
}

TEST_CASE("keys for which there is no room are limited by what is for all") {
  using WhenFull = KeyedTokenBucket::WhenFull;
  FakeClock clock;
  const WhenFull when_full = GENERATE(WhenFull::kRefuse, WhenFull::kShare, WhenFull::kAdmit);
  const auto customers = std::make_shared<KeyedTokenBucket>(KeyedTokenBucket::Options{
      .limits = {.rate = 1, .burst = 1}, .max_keys = 1, .when_full = when_full});
  const auto route = Bucket(1, 4);
  const auto call =
      Stack(KeyedRateLimit(customers, route, {.max_wait = 0s})).Around(kSucceed, &clock);
  CHECK(call.With({.key = "a"}).ok());
  int passed = 0;
  for (const auto* const key : {"b", "c", "d", "e", "f"}) passed += call.With({.key = key}).ok();
  CHECK(passed == (when_full == WhenFull::kRefuse ? 0 : when_full == WhenFull::kShare ? 1 : 3));
  CHECK(route->TokensAt(clock.Now()) == 3 - passed);
  CHECK_THROWS_AS(KeyedRateLimit(customers, std::shared_ptr<TokenBucket>()), std::invalid_argument);
  CHECK_THROWS_AS(KeyedRateLimit(customers, std::vector{route, route}), std::invalid_argument);
}

// One bucket that gets a token each `interval`, the slow way: what was taken, and when it is acted
// on. Times are in seconds, and so are tokens: as the time in which they come.
class Ledger {
 public:
  Ledger(std::int64_t interval, std::int64_t burst) : interval_(interval), burst_(burst) {}

  // Whether `n` tokens more may be acted on at `at`: no window has more than it may.
  bool Allows(std::int64_t n, std::int64_t at) const {
    std::vector<Entry> all = entries_;
    all.push_back({.id = -1, .amount = n * interval_, .at = at});
    for (const Entry& first : all) {
      for (const Entry& last : all) {
        std::int64_t sum = 0;
        for (const Entry& each : all) {
          if (first.at <= each.at && each.at <= last.at) sum += each.amount;
        }
        if (first.at <= last.at && sum > burst_ * interval_ + last.at - first.at) return false;
      }
    }
    return true;
  }
  void Add(int id, std::int64_t n, std::int64_t at) {
    entries_.push_back({.id = id, .amount = n * interval_, .at = at});
  }
  void Remove(int id) {
    std::erase_if(entries_, [id](const Entry& entry) { return entry.id == id; });
  }
  std::int64_t burst() const { return burst_; }

  // What there is at `now`, less what is promised for later.
  double Tokens(std::int64_t now) const {
    std::vector<Entry> in_order = entries_;
    std::ranges::sort(in_order, {}, &Entry::at);
    const std::int64_t full = burst_ * interval_;
    std::int64_t level = full;
    std::int64_t time = 0;
    std::int64_t promised = 0;
    for (const Entry& entry : in_order) {
      if (entry.at > now) {
        promised += entry.amount;
        continue;
      }
      level = std::min(full, level + entry.at - time) - entry.amount;
      time = entry.at;
    }
    level = std::min(full, level + now - time) - promised;
    return static_cast<double>(level) / static_cast<double>(interval_);
  }

 private:
  struct Entry {
    int id;
    std::int64_t amount;
    std::int64_t at;
  };

  std::int64_t interval_;
  std::int64_t burst_;
  std::vector<Entry> entries_;
};

// At the earliest second that all ledgers allow, within `max_wait`; -1: never.
std::int64_t FirstAllowed(const std::vector<Ledger*>& ledgers, std::int64_t n, std::int64_t now,
                          std::int64_t max_wait) {
  if (std::ranges::any_of(ledgers, [n](const Ledger* each) { return n > each->burst(); })) {
    return -1;
  }
  for (std::int64_t at = now; at <= now + max_wait; ++at) {
    if (std::ranges::all_of(ledgers, [&](const Ledger* each) { return each->Allows(n, at); })) {
      return at;
    }
  }
  return -1;
}

struct JointStep {
  enum Kind : std::uint8_t { kCall, kAdvance, kStop };
  Kind kind = kCall;
  std::uint8_t key = 0;
  std::uint8_t n = 1;
  std::uint8_t which = 0;

  friend std::ostream& operator<<(std::ostream& out, const JointStep& step) {
    constexpr std::array<const char*, 3> kNames = {"Call", "Advance", "Stop"};
    return out << kNames.at(step.kind) << "(" << int{step.key} << ", " << int{step.n} << ", "
               << int{step.which} << ")";
  }
};

TEST_CASE("a key and all together decide as the oracle does, and are charged both or neither") {
  static constexpr std::array<std::string_view, 3> kKeys = {"a", "b", "c"};
  test::Property(3, [] {
    const std::int64_t interval = *rc::gen::element<std::int64_t>(1, 2, 4);
    const std::int64_t burst = *rc::gen::inRange<std::int64_t>(1, 6);
    const std::int64_t interval_for_all = *rc::gen::element<std::int64_t>(1, 2);
    const std::int64_t burst_for_all = *rc::gen::inRange<std::int64_t>(1, 9);
    const std::int64_t max_wait = *rc::gen::element<std::int64_t>(0, 2, 1000);
    const auto steps = *rc::gen::container<std::vector<JointStep>>(rc::gen::build<JointStep>(
        rc::gen::set(&JointStep::kind, rc::gen::element(JointStep::kCall, JointStep::kCall,
                                                        JointStep::kAdvance, JointStep::kStop)),
        rc::gen::set(&JointStep::key, rc::gen::inRange<std::uint8_t>(0, 3)),
        rc::gen::set(&JointStep::n, rc::gen::inRange<std::uint8_t>(1, 6)),
        rc::gen::set(&JointStep::which)));

    FakeClock clock;
    const auto customers = Buckets(1 / static_cast<double>(interval), burst);
    const auto route = Bucket(1 / static_cast<double>(interval_for_all), burst_for_all);
    std::int64_t cost = 1;
    std::tuple policies(KeyedRateLimit(customers, route,
                                       {.max_wait = std::chrono::seconds(max_wait),
                                        .cost = [&cost](const Call&) { return cost; }}));
    std::vector<Ledger> of_keys(kKeys.size(), Ledger(interval, burst));
    Ledger of_all(interval_for_all, burst_for_all);
    struct One {
      std::unique_ptr<Caller<KeyedRateLimit<>>> call;
      int id;
      std::size_t key;
    };
    std::vector<One> waiting;
    int ids = 0;
    std::int64_t now = 0;

    for (const JointStep& step : steps) {
      if (step.kind == JointStep::kCall) {
        cost = step.n;
        One one{.call = nullptr, .id = ids++, .key = step.key};
        one.call = std::make_unique<Caller<KeyedRateLimit<>>>(
            policies, clock, CallOptions{.key = kKeys.at(step.key)});
        const std::int64_t at = FirstAllowed({&of_keys[step.key], &of_all}, cost, now, max_wait);
        RC_ASSERT(one.call->goes_at() ==
                  (at < 0 ? TimePoint::max() : At(std::chrono::seconds(at))));
        if (at >= 0) {
          of_keys[step.key].Add(one.id, cost, at);
          of_all.Add(one.id, cost, at);
        }
        if (one.call->waits()) waiting.push_back(std::move(one));
      } else if (step.kind == JointStep::kAdvance) {
        now += step.which % 3;
        clock.Advance(std::chrono::seconds(step.which % 3));
        for (const One& one : waiting) one.call->Look();
        std::erase_if(waiting, [](const One& one) { return one.call->ran(); });
      } else if (!waiting.empty()) {
        const auto stopped = waiting.begin() + step.which % static_cast<int>(waiting.size());
        RC_ASSERT_FALSE(stopped->call->Stop().ok());
        of_keys[stopped->key].Remove(stopped->id);
        of_all.Remove(stopped->id);
        waiting.erase(stopped);
      }
      RC_ASSERT(route->TokensAt(clock.Now()) == of_all.Tokens(now));
      for (std::size_t i = 0; i < kKeys.size(); ++i) {
        RC_ASSERT(customers->TokensAt(clock.Now(), kKeys.at(i)) == of_keys[i].Tokens(now));
      }
    }
  });
}

// Limits that share their buckets, in any order, while others change them, or use them alone.
TEST_CASE("threads that ask a key's bucket and those for all don't wait for each other for ever") {
  constexpr std::int64_t kAll = 400;
  constexpr std::int64_t kEach = 150;
  const bool refund = GENERATE(false, true);
  const auto first = Bucket(0, kAll);
  const auto second = Bucket(0, kAll);
  const auto customers = Buckets(0, kEach);
  const auto others = Buckets(0, kEach);
  const KeyedRateLimitOptions options{.max_wait = 0s, .refund_refused = refund};
  const auto by_customer = Stack(KeyedRateLimit(customers, std::vector{first, second}, options),
                                 KeyedRateLimit(others, {.max_wait = 0s}))
                               .Around(kSucceed);
  const auto by_other =
      Stack(KeyedRateLimit(others, std::vector{second, first}, options)).Around(kSucceed);
  const auto for_all = Stack(RateLimit(second, first)).Around(kSucceed);
  std::atomic<std::int64_t> passed{0};
  test::InThreads(4, [&](int thread) {
    for (int i = 0; i < 200; ++i) {
      const std::string key(1, static_cast<char>('a' + i % 3));
      const CallOptions of_key{.key = key};
      if (thread == 3) {
        customers->SetLimits({.rate = 0, .burst = kEach + i % 2});
        first->SetRate(0);
        passed += i % 8 == 0 && for_all().ok() ? 1 : 0;
      } else {
        passed += by_customer.With(of_key).ok() ? 1 : 0;
        passed += by_other.With(of_key).ok() ? 1 : 0;
      }
    }
  });
  CHECK(passed.load() <= kAll);
  CHECK(first->Tokens() <= static_cast<double>(kAll - passed.load()));
  CHECK(first->Tokens() == second->Tokens());
  CHECK(first->Tokens() >= 0);
}

}  // namespace
}  // namespace holdfast::keyed_rate_limit_for_all_test
