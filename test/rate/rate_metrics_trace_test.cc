// That to collect what buckets and pacers count changes nothing of what they do, and loses nothing.
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/rate/keyed_token_bucket.h"
#include "holdfast/rate/pacer.h"
#include "holdfast/rate/token_bucket.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"
#include "test/support/collected.h"
#include "test/support/threads.h"

namespace holdfast::rate_metrics_trace_test {
namespace {

using namespace std::chrono_literals;
using test::Collected;
using testing::FakeClock;

constexpr int kSteps = 1000;

// All that is told but the gauges, which may fall.
std::map<Collected::Series, double> Counters(const Collected& collected) {
  std::map<Collected::Series, double> counters = collected.all();
  std::erase_if(counters, [](const auto& one) {
    const std::string& metric = one.first.first;
    return metric.ends_with(".rate") || metric.ends_with(".burst") || metric.ends_with(".tokens") ||
           metric.ends_with(".keys") || metric.ends_with(".limit");
  });
  return counters;
}

// Looks at an object, if it is to, and finds that no counter has shrunk.
class Looker {
 public:
  explicit Looker(bool looks) : looks_(looks) {}

  template <class Object>
  void Look(const Object& object) {
    if (!looks_) return;
    Collected collected;
    object.Collect(collected);
    for (const auto& [series, total] : Counters(collected)) {
      double& before = before_[series];
      shrank_ = shrank_ || total < before;
      before = total;
    }
  }
  bool shrank() const { return shrank_; }

 private:
  bool looks_;
  bool shrank_ = false;
  std::map<Collected::Series, double> before_;
};

struct Trace {
  std::vector<std::int64_t> decisions;
  std::map<Collected::Series, double> told;  // in the end, with the gauges

  friend bool operator==(const Trace&, const Trace&) = default;
};

template <class Object, class Step>
Trace Traced(const Object& object, FakeClock& clock, bool looks, const Step& step) {
  Trace trace;
  Looker looker(looks);
  std::mt19937 random(7);
  for (int i = 0; i < kSteps; ++i) {
    clock.Advance(std::chrono::milliseconds(random() % 100));
    trace.decisions.push_back(step(random));
    looker.Look(object);
  }
  CHECK_FALSE(looker.shrank());
  Collected collected;
  object.Collect(collected);
  trace.told = collected.all();
  return trace;
}

std::int64_t Count(Duration duration) { return duration.count(); }

// One that is cancelled in any order, so that the bucket is locked for long.
class Reserved {
 public:
  std::int64_t Add(Reservation reservation, FakeClock& clock) {
    const Duration delay = reservation.DelayFrom(clock.Now());
    if (reservation.ok()) reservations_.push_back(std::move(reservation));
    return Count(delay);
  }
  std::int64_t Cancel(std::size_t which, FakeClock& clock) {
    if (reservations_.empty()) return 0;
    reservations_[which % reservations_.size()].CancelAt(clock.Now());
    return 1;
  }

 private:
  std::vector<Reservation> reservations_;
};

Trace TraceOfBucket(bool looks) {
  FakeClock clock;
  TokenBucket bucket({.rate = 20, .burst = 5, .clock = &clock});
  Reserved reserved;
  return Traced(bucket, clock, looks, [&](std::mt19937& random) -> std::int64_t {
    const auto n = static_cast<std::int64_t>(random() % 7);
    switch (random() % 8) {
      case 0:
        return reserved.Add(bucket.ReserveAt(clock.Now(), n, 500ms), clock);
      case 1:
        return reserved.Cancel(random(), clock);
      case 2:
        bucket.Charge(n);
        break;
      case 3:
        bucket.Refund(n);
        break;
      case 4:
        bucket.SetRate(static_cast<double>(10 + n));
        break;
      default:
        return bucket.Allow(n) ? 1 : 0;
    }
    return n;
  });
}

Trace TraceOfKeys(bool looks, int& asked) {
  FakeClock clock;
  const auto limits_for = [&asked](std::string_view) {
    ++asked;
    return KeyedTokenBucket::Limits{.rate = 5, .burst = 3};
  };
  KeyedTokenBucket buckets({.limits_for = limits_for, .max_keys = 5, .clock = &clock});
  Reserved reserved;
  return Traced(buckets, clock, looks, [&](std::mt19937& random) -> std::int64_t {
    const std::string key = std::to_string(random() % 8);
    const auto n = static_cast<std::int64_t>(random() % 5);
    switch (random() % 8) {
      case 0:
        return reserved.Add(buckets.ReserveAt(clock.Now(), key, n, 500ms), clock);
      case 1:
        return reserved.Cancel(random(), clock);
      case 2:
        buckets.Charge(key, n);
        break;
      case 3:
        buckets.Refund(key, n);
        break;
      default:
        return buckets.Allow(key, n) ? 1 : 0;
    }
    return buckets.size();
  });
}

Trace TraceOfPacer(bool looks) {
  FakeClock clock;
  Pacer pacer({.rate = 30, .slack = 3, .clock = &clock});
  return Traced(pacer, clock, looks, [&](std::mt19937& random) -> std::int64_t {
    if (random() % 20 == 0) {
      const auto slack = static_cast<std::int64_t>(random() % 4);
      return pacer.Update({.rate = static_cast<double>(10 * slack + 10), .slack = slack}).ok();
    }
    const std::optional<TimePoint> at = pacer.TryTake(std::chrono::milliseconds(random() % 100));
    return at ? Count(*at - clock.Now()) : -1;
  });
}

TEST_CASE("to look at a bucket after each step changes no step") {
  CHECK(TraceOfBucket(true) == TraceOfBucket(false));
}

TEST_CASE("to look at buckets of keys after each step changes no step and asks nobody") {
  int asked = 0;
  int asked_too = 0;
  CHECK(TraceOfKeys(true, asked) == TraceOfKeys(false, asked_too));
  CHECK(asked == asked_too);
}

TEST_CASE("to look at a pacer after each step changes no step") {
  CHECK(TraceOfPacer(true) == TraceOfPacer(false));
}

// Has threads make `calls` each, while another one looks, and returns how many passed.
template <class Object, class Call>
double PassedOf(int calls, const Object& object, const Call& call) {
  std::atomic<int> passed = 0;
  Looker looker(true);
  {
    const std::jthread watcher([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) looker.Look(object);
    });
    test::InThreads(4, [&](int thread) {
      for (int i = 0; i < calls; ++i) {
        if (call(thread, i)) passed.fetch_add(1, std::memory_order_relaxed);
      }
    });
  }
  CHECK_FALSE(looker.shrank());
  return passed.load(std::memory_order_relaxed);
}

template <class Object>
double Refused(const Object& object) {
  Collected collected;
  object.Collect(collected);
  return collected.at("holdfast.rate_limit.refusals", "holdfast.reason=rate_limited");
}

TEST_CASE("what passes a bucket and what it refuses are all calls") {
  constexpr int kCalls = 2000;
  TokenBucket bucket({.rate = 1, .burst = 300});
  const double passed = PassedOf(kCalls, bucket, [&](int thread, int i) {
    if (i % 10 == 0 && thread == 0) bucket.ReserveAt(TimePoint{}, 1).CancelAt(TimePoint{});
    return i % 2 == 0 ? bucket.AllowAt(TimePoint{}) : bucket.ReserveAt(TimePoint{}, 1, 0s).ok();
  });
  CHECK(passed + Refused(bucket) == 4 * kCalls);
}

TEST_CASE("what passes buckets of keys and what they refuse are all calls") {
  constexpr int kCalls = 1000;
  KeyedTokenBucket buckets({.limits = {.rate = 1, .burst = 100}, .max_keys = 2});
  const double passed = PassedOf(kCalls, buckets, [&](int thread, int i) {
    const std::string key = std::to_string((thread + i) % 3);
    return i % 2 == 0 ? buckets.AllowAt(TimePoint{}, key)
                      : buckets.ReserveAt(TimePoint{}, key, 1, 0s).ok();
  });
  CHECK(passed == 200);
  CHECK(Refused(buckets) == 4 * kCalls - 200);
}

TEST_CASE("what passes a pacer and what it refuses are all calls") {
  constexpr int kCalls = 2000;
  Pacer pacer({.rate = 1, .slack = 50});
  const double passed = PassedOf(kCalls, pacer, [&](int thread, int i) {
    if (thread == 0 && i % 100 == 0) (void)pacer.Update({.rate = 1.0 + i, .slack = 50});
    return pacer.TryTakeAt(TimePoint{Duration(i)}, 1s).has_value();
  });
  CHECK(passed + Refused(pacer) == 4 * kCalls);
}

}  // namespace
}  // namespace holdfast::rate_metrics_trace_test
