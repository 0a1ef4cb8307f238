// What a token bucket must answer, found the slow way, and a bucket beside it that is asked the
// same. Needs no test framework: property tests and fuzzing share it.
#ifndef HOLDFAST_TEST_SUPPORT_RATE_ORACLE_H_
#define HOLDFAST_TEST_SUPPORT_RATE_ORACLE_H_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <ostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/rate/token_bucket.h"

namespace holdfast::testing {

__extension__ using Wide = __int128;

// A bucket of a whole rate. It keeps every commitment that still stands, a number of tokens acted
// on at a position of the axis on which rate * time runs, and grants a new one the earliest
// position at which no window of the axis holds more than the burst and what the window's length
// brings. It has no level, no queue and no order of arrival. To be asked in the order of time.
class RateOracle {
 public:
  struct Answer {
    bool ok = false;
    TimePoint ready_at = TimePoint::max();   // of what is not ok: too late
    std::optional<std::int64_t> place = {};  // to cancel it by
  };

  RateOracle(std::int64_t rate, std::int64_t burst) : rate_(rate), burst_(burst) {}

  Answer ReserveAt(TimePoint now, std::int64_t n, Duration max_wait = Duration::max()) {
    if (n < 0 || n > burst_) return {};
    // Zero tokens go where the least of something would begin.
    const Wide position = n > 0 ? Earliest(now, n * kToken) : Earliest(now, 1) & ~Wide{1};
    const Wide ahead = position - Generated(now);
    if (rate_ == 0 && ahead > 0) return {};
    const Wide nanos = ahead > 0 ? ahead / (Wide{2} * rate_) : 0;
    const TimePoint ready_at = now + Duration(static_cast<Duration::rep>(nanos));
    if (ready_at - now > max_wait) return {.ready_at = ready_at};
    standing_[++places_] = {.position = position, .amount = n * kToken, .ready_at = ready_at};
    return {.ok = true, .ready_at = ready_at, .place = places_};
  }

  void CancelAt(TimePoint now, std::int64_t place) {
    const auto found = standing_.find(place);
    if (found != standing_.end() && now <= found->second.ready_at) standing_.erase(found);
  }

  // What is there beyond what is still to be acted on.
  double TokensAt(TimePoint now) const {
    return static_cast<double>(Balance(now)) / static_cast<double>(kToken);
  }

  // The balance alone goes on: places are forgotten, and who comes next waits for all of the debt.
  // It is rounded down to a billionth of a token.
  void SetAt(TimePoint now, std::int64_t rate, std::int64_t burst) {
    Wide balance = std::min(Balance(now), burst * kToken);
    balance -= (balance % 2 + 2) % 2;
    rate_ = rate;
    burst_ = burst;
    standing_.clear();
    standing_[++places_] = {
        .position = Generated(now), .amount = burst * kToken - balance, .ready_at = now};
  }

  std::int64_t rate() const { return rate_; }
  std::int64_t burst() const { return burst_; }

 private:
  // A nanosecond brings 2 * rate of these: all but an infinitesimal comes in even numbers.
  static constexpr Wide kToken = 2'000'000'000;

  struct Commitment {
    Wide position;
    Wide amount;
    TimePoint ready_at;
  };

  Wide Generated(TimePoint now) const { return Wide{2} * rate_ * now.time_since_epoch().count(); }

  std::vector<Commitment> InOrder() const {
    std::vector<Commitment> sorted;
    for (const auto& [place, commitment] : standing_) {
      if (commitment.amount > 0) sorted.push_back(commitment);
    }
    std::ranges::sort(sorted, {}, &Commitment::position);
    return sorted;
  }

  // The first position from `now` on at which `amount` more fits. Between two neighbours, what is
  // asked of a position is linear: windows that end there want it late enough, those that begin
  // there early enough, and those that reach beyond it on both sides have room or have not.
  Wide Earliest(TimePoint now, Wide amount) const {
    const std::vector<Commitment> all = InOrder();
    const Wide full = burst_ * kToken;
    const Wide present = Generated(now);
    for (std::size_t after = 0; after <= all.size(); ++after) {
      Wide first = after == 0 ? present : std::max(present, all[after - 1].position);
      const bool last = after == all.size();
      if (!last && all[after].position < first) continue;

      Wide before = 0;
      for (std::size_t from = after; from-- > 0;) {
        before += all[from].amount;
        first = std::max(first, all[from].position + before + amount - full);
      }
      bool fits = true;
      Wide beyond = 0;
      for (std::size_t to = after; fits && to < all.size(); ++to) {
        beyond += all[to].amount;
        fits = first <= all[to].position + full - beyond - amount;
        Wide within = beyond;
        for (std::size_t from = after; fits && from-- > 0;) {
          within += all[from].amount;
          fits = within + amount <= full + all[to].position - all[from].position;
        }
      }
      if (fits && (last || first <= all[after].position)) return first;
    }
    return present;  // not reached: after the last of all there is always room
  }

  Wide Balance(TimePoint now) const {
    const Wide full = burst_ * kToken;
    const Wide present = Generated(now);
    const std::vector<Commitment> all = InOrder();
    Wide level = full;
    Wide to_come = 0;
    Wide acted_on = 0;
    for (std::size_t from = all.size(); from-- > 0;) {
      if (all[from].position > present) {
        to_come += all[from].amount;
      } else {
        acted_on += all[from].amount;
        level = std::min(level, full + present - all[from].position - acted_on);
      }
    }
    return level - to_come;
  }

  std::int64_t rate_;
  std::int64_t burst_;
  std::int64_t places_ = 0;
  std::map<std::int64_t, Commitment> standing_;
};

// Tokens acted on at a time, as far as it is known.
struct ActedOn {
  std::int64_t n;
  TimePoint at;
  TimePoint latest = at;
};

// The first window of time that certainly holds more than it may, in words; empty if there is none.
// Times are truncated to a nanosecond, so that what its last part brings counts as there.
inline std::string ExceededWindow(std::vector<ActedOn> acted_on, std::int64_t rate,
                                  std::int64_t burst) {
  constexpr Wide kToken = 1'000'000'000;
  std::ranges::sort(acted_on, {}, &ActedOn::latest);
  for (const ActedOn& first : acted_on) {
    Wide sum = 0;
    for (const ActedOn& last : acted_on) {
      if (last.at < first.at) continue;
      sum += last.n * kToken;
      const Duration length = last.latest - first.at;
      const Wide most = burst * kToken + rate * Wide{length.count()};
      if (sum <= most + std::max<std::int64_t>(rate - 1, 0)) continue;
      std::ostringstream text;
      text << static_cast<std::int64_t>(sum / kToken) << " tokens acted on within "
           << length.count() << " ns, from " << first.at.time_since_epoch().count() << " on";
      return text.str();
    }
  }
  return {};
}

// One thing to do to a bucket. Any numbers will do.
struct RateStep {
  enum Kind : std::uint8_t {
    kAllow,
    kReserve,
    kReserveWithin,
    kAdvance,
    kAdvanceTo,  // when a reservation is ready, or a nanosecond before or after
    kCancel,
    kLookAhead,
    kSetRate,
    kSetBurst,
  };
  static constexpr int kKinds = 9;

  Kind kind = kAllow;
  std::uint8_t which = 0;  // how many tokens, or which reservation, rate or burst
  std::uint16_t span = 0;  // of time

  friend std::ostream& operator<<(std::ostream& out, const RateStep& step) {
    static constexpr std::array<const char*, kKinds> kNames = {
        "Allow",  "Reserve",   "ReserveWithin", "Advance", "AdvanceTo",
        "Cancel", "LookAhead", "SetRate",       "SetBurst"};
    return out << kNames[step.kind] << "(" << int{step.which} << ", " << step.span << ")";
  }
};

// A number of tokens, made of any number: mostly few, now and then up to all that there can be and
// one more, and once in a while nonsense.
inline std::int64_t TokensOf(std::uint8_t which, std::int64_t burst) {
  if (which == 255) return -1;
  return which % 4 == 3 ? which / 4 * (burst + 1) / 62 : which % 4;
}

// A time, made of any number: what a few tokens take, a nanosecond more or less, or a part of what
// all of them take.
inline Duration SpanOf(std::uint16_t span, std::int64_t rate, std::int64_t burst) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  rate = std::max<std::int64_t>(rate, 1);
  const std::int64_t whole = span % 8 * kSecond / rate;
  switch (span / 8 % 4) {
    case 0:
      return Duration(whole);
    case 1:
      return Duration(whole + 1);
    case 2:
      return Duration(std::max<std::int64_t>(whole - 1, 0));
    default:
      return Duration(whole + burst * kSecond / 2048 * (span / 32) / rate);
  }
}

// A bucket and the oracle, asked the same.
class BesideOracle {
 public:
  // Those that divide a nanosecond, a second, neither, or hardly anything.
  static constexpr std::array<std::int64_t, 12> kRates = {
      1, 3, 7, 10, 60, 1000, 12'345, 999'983, 250'000'000, 999'999'937, 1'000'000'000, 0};
  static constexpr std::array<std::int64_t, 5> kBursts = {1, 2, 5, 20, 0};

  BesideOracle(std::int64_t rate, std::int64_t burst)
      : bucket_({.rate = static_cast<double>(rate), .burst = std::max<std::int64_t>(burst, 1)}),
        oracle_(rate, burst) {
    if (burst == 0) bucket_.SetBurstAt(TimePoint::min(), 0);
  }

  // Says what the two disagree in; empty while they agree.
  std::string Do(const RateStep& step) {
    said_.str({});
    switch (step.kind) {
      case RateStep::kAllow:
        Allow(TokensOf(step.which, oracle_.burst()));
        break;
      case RateStep::kReserve:
        Reserve(TokensOf(step.which, oracle_.burst()), Duration::max());
        break;
      case RateStep::kReserveWithin:
        Reserve(TokensOf(step.which, oracle_.burst()),
                SpanOf(step.span, oracle_.rate(), oracle_.burst()));
        break;
      case RateStep::kAdvance:
        now_ += SpanOf(step.span, oracle_.rate(), oracle_.burst());
        break;
      case RateStep::kAdvanceTo:
        if (Promise* promise = Chosen(step)) {
          now_ = std::max(now_, promise->reservation.ready_at() + Duration(step.span % 3 - 1));
        }
        break;
      case RateStep::kCancel:
        if (Promise* promise = Chosen(step)) Cancel(*promise, step.span % 2 == 1);
        break;
      case RateStep::kLookAhead:
        CompareTokens(now_ + SpanOf(step.span, oracle_.rate(), oracle_.burst()));
        break;
      case RateStep::kSetRate:
        Set(kRates[step.which % kRates.size()], oracle_.burst());
        break;
      case RateStep::kSetBurst:
        Set(oracle_.rate(), kBursts[step.which % kBursts.size()]);
        break;
    }
    CompareTokens(now_);
    return said_.str();
  }

  // Lets time pass.
  void Pass(Duration time) { now_ += time; }

  // What was granted, and not cancelled in time.
  std::vector<ActedOn> acted_on() const {
    std::vector<ActedOn> acted_on = taken_at_once_;
    for (const Promise& promise : promises_) {
      if (!promise.cancelled) acted_on.push_back({promise.n, promise.reservation.ready_at()});
    }
    return acted_on;
  }

  const TokenBucket& bucket() const { return bucket_; }
  TimePoint now() const { return now_; }

 private:
  struct Promise {
    Reservation reservation;
    std::int64_t place;
    std::int64_t n;
    bool cancelled = false;
  };

  Promise* Chosen(const RateStep& step) {
    return promises_.empty() ? nullptr : &promises_[step.which % promises_.size()];
  }

  void Allow(std::int64_t n) {
    const bool expected = oracle_.ReserveAt(now_, n, Duration::zero()).ok;
    const bool allowed = bucket_.AllowAt(now_, n);
    if (allowed != expected) Said() << "Allow(" << n << ") says " << allowed;
    if (allowed) taken_at_once_.push_back({n, now_});
  }

  void Reserve(std::int64_t n, Duration max_wait) {
    const RateOracle::Answer expected = oracle_.ReserveAt(now_, n, max_wait);
    const Reservation answer = bucket_.ReserveAt(now_, n, max_wait);
    if (answer.ok() != expected.ok || answer.too_late_at() != expected.ready_at) {
      Said() << "Reserve(" << n << ") says " << (answer.ok() ? "ready" : "too late") << " at "
             << answer.too_late_at().time_since_epoch().count() << " and not "
             << (expected.ok ? "ready" : "too late") << " at "
             << expected.ready_at.time_since_epoch().count();
    }
    if (answer.ok() && expected.ok) promises_.push_back({answer, *expected.place, n});
  }

  void Cancel(Promise& promise, bool copy) {
    promise.cancelled = promise.cancelled || now_ <= promise.reservation.ready_at();
    oracle_.CancelAt(now_, promise.place);
    Reservation same = promise.reservation;
    (copy ? same : promise.reservation).CancelAt(now_);
  }

  void Set(std::int64_t rate, std::int64_t burst) {
    if (rate != oracle_.rate()) {
      bucket_.SetRateAt(now_, static_cast<double>(rate));
    } else {
      bucket_.SetBurstAt(now_, burst);
    }
    oracle_.SetAt(now_, rate, burst);
  }

  void CompareTokens(TimePoint now) {
    const double expected = oracle_.TokensAt(now);
    const double tokens = bucket_.TokensAt(now);
    // Of a division of whole numbers and its operands.
    const double rounding = 4e-16 * std::max(1.0, std::abs(expected));
    if (!(std::abs(tokens - expected) <= rounding)) {
      Said() << "TokensAt(" << now.time_since_epoch().count() << ") says " << tokens << " and not "
             << expected;
    }
  }

  std::ostream& Said() {
    if (said_.tellp() > 0) said_ << "; ";
    said_.precision(17);
    return said_ << "at " << now_.time_since_epoch().count() << ": ";
  }

  TokenBucket bucket_;
  RateOracle oracle_;
  TimePoint now_{std::chrono::hours(1)};
  std::vector<Promise> promises_;
  std::vector<ActedOn> taken_at_once_;
  std::ostringstream said_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TEST_SUPPORT_RATE_ORACLE_H_
