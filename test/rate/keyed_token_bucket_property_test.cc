// A KeyedTokenBucket beside one TokenBucket for each key: whatever is done to both, they agree, and
// there is room for a key as long as another one's bucket is full. rapidcheck shrinks a sequence
// that fails; RC_PARAMS="seed=..." makes it again.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <ostream>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/rate/keyed_token_bucket.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"
#include "test/support/rate_oracle.h"

namespace holdfast::keyed_token_bucket_property_test {
namespace {

using namespace std::chrono_literals;
using Limits = KeyedTokenBucket::Limits;

// One thing to do. Any numbers will do.
struct KeyStep {
  enum Kind : std::uint8_t {
    kAllow,
    kReserve,
    kReserveWithin,
    kCancel,
    kCharge,
    kRefund,
    kAdvance,
    kAdvanceTo,  // when a reservation is ready, or a nanosecond before or after
    kLookAhead,
    kSetLimits,
  };

  Kind kind = kAllow;
  std::uint8_t key = 0;
  std::uint8_t which = 0;  // how many tokens, or which reservation, limits or kind of span
  std::uint16_t span = 0;  // of time

  friend std::ostream& operator<<(std::ostream& out, const KeyStep& step) {
    static constexpr std::array<const char*, 10> kNames = {
        "Allow",  "Reserve", "ReserveWithin", "Cancel",    "Charge",
        "Refund", "Advance", "AdvanceTo",     "LookAhead", "SetLimits"};
    return out << kNames[step.kind] << "(" << int{step.key} << ", " << int{step.which} << ", "
               << step.span << ")";
  }
};

std::vector<KeyStep> Steps(std::initializer_list<KeyStep::Kind> kinds) {
  return *rc::gen::container<std::vector<KeyStep>>(rc::gen::build<KeyStep>(
      rc::gen::set(&KeyStep::kind, rc::gen::elementOf(std::vector(kinds))),
      rc::gen::set(&KeyStep::key), rc::gen::set(&KeyStep::which), rc::gen::set(&KeyStep::span)));
}

// A sequence takes microseconds: many times the hundred at which rapidcheck stops.
constexpr int kOften = 20;

constexpr std::array<Limits, 8> kLimits = {
    {{1, 1}, {3, 2}, {10, 5}, {12'345, 20}, {1e9, 4}, {999'999'937, 7}, {0, 3}, {7, 0}}};

class BesideBuckets {
 public:
  BesideBuckets(const Limits& limits, std::int64_t max_keys, int keys)
      : limits_(limits),
        max_keys_(max_keys),
        keys_(keys),
        keyed_({.limits = {.rate = 1}, .max_keys = max_keys}) {
    keyed_.SetLimitsAt(TimePoint::min(), limits);  // also a burst of zero
  }

  // Says what the two disagree in; empty while they agree.
  std::string Do(const KeyStep& step) {
    said_.str({});
    const std::string key = std::to_string(step.key % keys_);
    switch (step.kind) {
      case KeyStep::kAllow:
        Allow(key, TokensOf(step));
        break;
      case KeyStep::kReserve:
        Reserve(key, TokensOf(step), Duration::max());
        break;
      case KeyStep::kReserveWithin:
        Reserve(key, TokensOf(step), SpanOf(step));
        break;
      case KeyStep::kCancel:
        Cancel(step);
        break;
      case KeyStep::kCharge:
        if (!Charge(key, step.which % 8)) break;
        BucketOf(key).ChargeAt(now_, step.which % 8);
        break;
      case KeyStep::kRefund:
        keyed_.RefundAt(now_, key, step.which % 8);
        BucketOf(key).RefundAt(now_, step.which % 8);
        break;
      case KeyStep::kAdvance:
        now_ += SpanOf(step);
        break;
      case KeyStep::kAdvanceTo:
        if (promises_.empty()) break;
        now_ = std::max(now_, Chosen(step).first.ready_at() + Duration(step.span % 3 - 1));
        break;
      case KeyStep::kLookAhead:
        CompareTokens(key, now_ + SpanOf(step));
        break;
      case KeyStep::kSetLimits:
        SetLimits(kLimits[step.which % kLimits.size()],
                  static_cast<TokenCarryOver>(step.which / kLimits.size() % 4));
        break;
    }
    for (const auto& [used, bucket] : buckets_) CompareTokens(used, now_);
    if (keyed_.size() > max_keys_) Said() << "there are " << keyed_.size() << " keys";
    return said_.str();
  }

 private:
  using Pair = std::pair<Reservation, Reservation>;

  std::int64_t TokensOf(const KeyStep& step) const {
    return testing::TokensOf(step.which, limits_.burst);
  }

  Duration SpanOf(const KeyStep& step) const {
    if (step.which % 5 == 4) return step.span % 8 * 100ms;  // so that the axis of a fast rate ends
    return testing::SpanOf(step.span, static_cast<std::int64_t>(limits_.rate), limits_.burst);
  }

  TokenBucket& BucketOf(const std::string& key) {
    const auto [at, added] = buckets_.try_emplace(key, TokenBucket::Options{.rate = 1});
    if (added) {
      at->second.SetLimitsAt(TimePoint::min(), limits_.rate, limits_.burst, TokenCarryOver::kReset);
    }
    return at->second;
  }

  bool Full(const std::string& key) const {
    const auto bucket = buckets_.find(key);
    return bucket == buckets_.end() ||
           bucket->second.TokensAt(now_) == static_cast<double>(limits_.burst);
  }

  // A key whose bucket is full may have been forgotten; others are certainly there.
  bool HasRoom(const std::string& key) const {
    if (!Full(key)) return true;
    std::int64_t in_use = 0;
    for (const auto& [used, bucket] : buckets_) in_use += Full(used) ? 0 : 1;
    return in_use < max_keys_;
  }

  bool TakesNone(std::int64_t n) const { return n <= 0 || n > limits_.burst; }

  void Allow(const std::string& key, std::int64_t n) {
    const bool has_room = TakesNone(n) || HasRoom(key);
    const bool expected = has_room && BucketOf(key).AllowAt(now_, n);
    const bool allowed = keyed_.AllowAt(now_, key, n);
    if (allowed && n > 0) used_.insert(key);
    if (allowed != expected) Said() << "Allow(" << key << ", " << n << ") says " << allowed;
  }

  void Reserve(const std::string& key, std::int64_t n, Duration max_wait) {
    const bool has_room = TakesNone(n) || HasRoom(key);
    const Reservation answer = keyed_.ReserveAt(now_, key, n, max_wait);
    if (!has_room) {
      if (answer.ok() || answer.too_late_at() <= now_) {
        Said() << "Reserve(" << key << ", " << n << ") finds room";
      }
      return;
    }
    const Reservation expected = BucketOf(key).ReserveAt(now_, n, max_wait);
    if (answer.ok() != expected.ok() || answer.too_late_at() != expected.too_late_at()) {
      Said() << "Reserve(" << key << ", " << n << ") says " << answer.ok() << " at "
             << answer.too_late_at().time_since_epoch().count() << " and not " << expected.ok()
             << " at " << expected.too_late_at().time_since_epoch().count();
    }
    if (!answer.ok() || !expected.ok() || n == 0) return;
    promises_.emplace_back(answer, expected);
    used_.insert(key);
  }

  Pair& Chosen(const KeyStep& step) { return promises_[step.which % promises_.size()]; }

  void Cancel(const KeyStep& step) {
    if (promises_.empty()) return;
    Pair copy = Chosen(step);
    copy.first.CancelAt(now_);
    copy.second.CancelAt(now_);
  }

  bool Charge(const std::string& key, std::int64_t n) {
    const bool has_room = n == 0 || HasRoom(key);
    keyed_.ChargeAt(now_, key, n);
    if (has_room && n > 0) used_.insert(key);
    return has_room;
  }

  void SetLimits(const Limits& limits, TokenCarryOver carry_over) {
    keyed_.SetLimitsAt(now_, limits, carry_over);
    limits_ = limits;
    // A key that isn't in use begins full, whatever its limits have been.
    if (carry_over == TokenCarryOver::kReset) {
      promises_.clear();
      used_.clear();
    }
    std::erase_if(buckets_, [this](const auto& bucket) { return !used_.contains(bucket.first); });
    for (auto& [key, bucket] : buckets_) {
      bucket.SetLimitsAt(now_, limits.rate, limits.burst, carry_over);
    }
  }

  void CompareTokens(const std::string& key, TimePoint now) {
    const double expected = BucketOf(key).TokensAt(now);
    const double tokens = keyed_.TokensAt(now, key);
    const double rounding = 4e-16 * std::max(1.0, std::abs(expected));
    if (!(std::abs(tokens - expected) <= rounding)) {
      Said() << "TokensAt(" << key << ", " << now.time_since_epoch().count() << ") says " << tokens
             << " and not " << expected;
    }
  }

  std::ostream& Said() {
    if (said_.tellp() > 0) said_ << "; ";
    said_.precision(17);
    return said_ << "at " << now_.time_since_epoch().count() << ": ";
  }

  Limits limits_;
  std::int64_t max_keys_;
  int keys_;
  KeyedTokenBucket keyed_;
  std::map<std::string, TokenBucket> buckets_;
  std::set<std::string> used_;
  TimePoint now_{1h};
  std::vector<Pair> promises_;
  std::ostringstream said_;
};

using enum KeyStep::Kind;

TEST_CASE("with room for all, each key decides as a bucket of its own") {
  const Limits limits = GENERATE(from_range(kLimits));
  test::Property(kOften, [limits] {
    BesideBuckets beside(limits, 100, 4);
    for (const KeyStep& step : Steps({kAllow, kReserve, kReserve, kReserveWithin, kCancel, kCharge,
                                      kRefund, kAdvance, kAdvance, kAdvanceTo, kLookAhead})) {
      RC_ASSERT(beside.Do(step) == "");
    }
  });
}

TEST_CASE("whatever becomes of the limits, each key decides as a bucket of its own") {
  test::Property(kOften, [] {
    BesideBuckets beside(*rc::gen::elementOf(kLimits), 100, 3);
    for (const KeyStep& step : Steps({kAllow, kReserve, kReserve, kReserveWithin, kCancel, kCharge,
                                      kRefund, kAdvance, kAdvance, kAdvanceTo, kSetLimits})) {
      RC_ASSERT(beside.Do(step) == "");
    }
  });
}

TEST_CASE("a key finds room if and only if another one's bucket is full, and never minds") {
  const Limits limits = GENERATE(from_range(kLimits));
  test::Property(kOften, [limits] {
    BesideBuckets beside(limits, 3, 8);
    for (const KeyStep& step : Steps({kAllow, kAllow, kReserve, kReserveWithin, kCancel, kCharge,
                                      kRefund, kAdvance, kAdvance, kAdvanceTo})) {
      RC_ASSERT(beside.Do(step) == "");
    }
  });
}

}  // namespace
}  // namespace holdfast::keyed_token_bucket_property_test
