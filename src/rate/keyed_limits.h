// The limits of a KeyedTokenBucket's keys, as options give them and as its shards take them.
#ifndef HOLDFAST_SRC_RATE_KEYED_LIMITS_H_
#define HOLDFAST_SRC_RATE_KEYED_LIMITS_H_

#include <string>

#include "holdfast/rate/keyed_token_bucket.h"
#include "src/rate/keyed_shard.h"

namespace holdfast::internal {

inline bool Infinite(const KeyedTokenBucket::Limits& limits) {
  return limits.rate == kInfiniteRate;
}

// With the burst in tokens.
KeyedTokenBucket::Limits InTokens(const KeyedTokenBucket::Limits& limits);

// The same, of new limits at run time: throws std::invalid_argument for those that make no sense.
KeyedTokenBucket::Limits CheckedLimits(const KeyedTokenBucket::Limits& limits,
                                       const std::string& name);

// A function that may be that of options(), and then is known again; null for none.
KeyedShard::LimitsFor SharedLimits(KeyedTokenBucket::LimitsFor limits_for);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_RATE_KEYED_LIMITS_H_
