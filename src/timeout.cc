#include "holdfast/timeout.h"

#include "facts_text.h"

namespace holdfast::internal {

Duration ValidTimeout(Duration limit) {
  if (limit <= Duration::zero()) {
    ThrowIfInvalid(absl::InvalidArgumentError("Timeout: limit must be > 0"));
  }
  return limit;
}

PolicyFacts TimeoutFacts(Duration limit, bool walks_away) {
  return {.settings = JoinSettings({DurationText(limit), walks_away ? "walks away" : ""}),
          .timeout = limit};
}

}  // namespace holdfast::internal
