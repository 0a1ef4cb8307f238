#include "holdfast/breaker/keyed_circuit_breaker.h"

#include <absl/strings/str_cat.h>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/internal/validate.h"
#include "src/breaker/live_breakers.h"

namespace holdfast {
namespace {

constexpr char kPolicy[] = "KeyedCircuitBreak";
constexpr std::int64_t kMostKeys = std::int64_t{1} << 30;

absl::Status NoRoom(const std::string& name) {
  return internal::Refusal(absl::StatusCode::kUnavailable, RejectionKind::kOther, kPolicy, name,
                           "no room for a new key");
}

// Called with nothing locked, because it may call functions of the user's.
bool ClosedByItself(CircuitBreaker& breaker, std::optional<TimePoint> now) {
  if (breaker.mode() != BreakerMode::kAutomatic) return false;
  return (now ? breaker.StateAt(*now) : breaker.state()) == BreakerState::kClosed;
}

// The given options of a key's breaker.
CircuitBreaker::Options OptionsOf(const KeyedCircuitBreaker::Options& options,
                                  std::string_view key) {
  return options.options_for == nullptr ? options.breaker : options.options_for(key);
}

// The clock of the breakers; null if none is given.
Clock* ClockOf(const KeyedCircuitBreaker::Options& options) {
  const bool own = options.options_for == nullptr && options.breaker.clock != nullptr;
  return own ? options.breaker.clock : options.clock;
}

}  // namespace

absl::Status Validate(const KeyedCircuitBreaker::Options& options) {
  internal::OptionsChecker check("KeyedCircuitBreaker", options.name);
  check(options.max_keys >= 1 && options.max_keys <= kMostKeys,
        "max_keys must be in [1, 2^30], not ", options.max_keys);
  check(options.options_for != nullptr || options.clock == nullptr ||
            options.breaker.clock == nullptr || options.clock == options.breaker.clock,
        "clock and breaker.clock must be the same clock");
  check(Validate(options.breaker));
  return check.status();
}

KeyedCircuitBreaker::KeyedCircuitBreaker(Options options)
    : name_(options.name),
      options_(internal::Validated(std::move(options))),
      when_full_(options_.Read()->when_full),
      clock_(ClockOf(*options_.Read())),
      no_room_(NoRoom(name_)),
      live_(std::make_shared<internal::LiveBreakers>()),
      breakers_(options_.Read()->max_keys,
                {.make = [this](std::string_view key) { return Make(key); },
                 .idle = ClosedByItself,
                 .update =
                     [this](CircuitBreaker& breaker, std::string_view key) {
                       return breaker.PrepareUpdate(OptionsOf(*options_.Read(), key));
                     }}) {}

KeyedCircuitBreaker::~KeyedCircuitBreaker() = default;

std::shared_ptr<CircuitBreaker> KeyedCircuitBreaker::Make(std::string_view key) const {
  CircuitBreaker::Options options = OptionsOf(*options_.Read(), key);
  std::size_t key_size = options.name.size();  // a name of its own may be made of the key
  if (options.name.empty()) {
    options.name =
        name_.empty() ? std::string(key) : absl::StrCat(name_, "/", internal::ToAbsl(key));
    key_size = key.size();
  }
  if (options.clock == nullptr) options.clock = clock_.given();
  return internal::LiveBreakers::Make(live_, std::move(options), key_size);
}

absl::StatusOr<internal::Commit> KeyedCircuitBreaker::PrepareUpdate(Options options) {
  if (absl::Status status = KeepNameAndClock(options); !status.ok()) return status;
  if (absl::Status status = Validate(options); !status.ok()) return status;
  auto next = internal::Versions<Options>::Make(std::move(options));
  const Options& given = next->value;
  const auto prepare = [&given](std::string_view key) {
    return [its_options = OptionsOf(given, key)](CircuitBreaker& breaker) mutable {
      return breaker.PrepareUpdate(std::move(its_options));
    };
  };
  // The options that it replaces are destroyed with the commit, and so with nothing locked.
  internal::Versions<Options>::Pin before;
  return breakers_.PrepareUpdate(
      given.max_keys, prepare,
      [this, next = std::move(next), before = std::move(before)]() mutable {
        before = options_.Read();
        options_.Replace(std::move(next));
        when_full_.store(options_.Read()->when_full, std::memory_order_relaxed);
      });
}

absl::Status KeyedCircuitBreaker::KeepNameAndClock(Options& next) const {
  const auto now = options_.Read();
  constexpr std::string_view kThis = "KeyedCircuitBreaker";
  Clock* const clock = clock_.given();
  if (absl::Status status = internal::CheckSame(kThis, name_, next.name, clock, next.clock);
      !status.ok()) {
    return status;
  }
  if (next.breaker.clock == nullptr) next.breaker.clock = now->breaker.clock;
  if (absl::Status status = internal::CheckSame(kThis, now->breaker.name, next.breaker.name, clock,
                                                next.options_for ? nullptr : next.breaker.clock);
      !status.ok()) {
    return status;
  }
  next.name = name_;
  next.clock = now->clock;
  next.breaker.name = now->breaker.name;
  return absl::OkStatus();
}

void KeyedCircuitBreaker::Observe(std::shared_ptr<Observer> observer) const {
  live_->watches().Add("",
                       internal::NotNull(std::move(observer), "KeyedCircuitBreaker: the Observer"));
}

void KeyedCircuitBreaker::BindClock(internal::ClockBinder& binder, std::string_view policy) {
  binder.Bind(policy, name(), clock_);
  for (const std::string& key : keys()) {
    if (const auto breaker = Find(key)) breaker->BindClock(binder, policy);
  }
}

}  // namespace holdfast
