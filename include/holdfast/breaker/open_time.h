// An open time that grows with each opening, as a backoff does, for
// CircuitBreakerOptions::open_time.
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

// Returns a function for CircuitBreakerOptions::open_time: opening number n since the breaker last
// closed lasts as long as the backoff's delay before retry n. Jitter spreads the probes of many
// processes; with Jitter::kFull some probes come at once. The function is thread-safe. With a
// `seed` the jitter is reproducible, and copies of the function share one sequence, which children
// of fork() repeat.
std::function<TimeSpan(std::uint64_t openings)> BackoffOpenTime(
    Backoff backoff, std::optional<std::uint64_t> seed = std::nullopt);

}  // namespace holdfast

#endif  // HOLDFAST_BREAKER_OPEN_TIME_H_
