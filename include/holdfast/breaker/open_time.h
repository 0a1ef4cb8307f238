// How long a CircuitBreaker stays open, where that is to grow while the service stays away.
//
//   holdfast::CircuitBreaker breaker({
//       .name = "orders",
//       .open_time = holdfast::BackoffOpenTime(holdfast::Backoff::Exponential(
//           {.initial = 5s, .max = 300s, .jitter = holdfast::Jitter::kEqual})),
//   });
#ifndef HOLDFAST_BREAKER_OPEN_TIME_H_
#define HOLDFAST_BREAKER_OPEN_TIME_H_

#include <cstdint>
#include <functional>
#include <optional>

#include "holdfast/base/backoff.h"
#include "holdfast/base/time.h"

namespace holdfast {

// For CircuitBreaker::Options::open_time: opening number n since the breaker was last closed lasts
// as long as that backoff's delay before retry n. Jitter keeps the probes of many processes apart;
// with Jitter::kFull some come at once. Thread-safe. With a `seed` copies share their randomness,
// which repeats itself, also in children of fork().
std::function<TimeSpan(std::uint64_t openings)> BackoffOpenTime(
    Backoff backoff, std::optional<std::uint64_t> seed = std::nullopt);

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_OPEN_TIME_H_
