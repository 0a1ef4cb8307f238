// What the demo's server does to its callers, and when.
#ifndef HOLDFAST_EXAMPLES_DEMO_SCRIPT_H_
#define HOLDFAST_EXAMPLES_DEMO_SCRIPT_H_

#include <cstdint>
#include <mutex>
#include <random>

#include "holdfast/base/time.h"

namespace demo {

struct Fate {
  enum class Kind { kAnswer, kUnavailable, kUnavailableRetryAfter, kDrop };
  Kind kind = Kind::kAnswer;
  holdfast::Duration latency = {};  // before it happens
};

struct Window {
  holdfast::Duration begin = {};
  holdfast::Duration end = {};
  bool Contains(holdfast::Duration elapsed) const { return begin <= elapsed && elapsed < end; }
};

// Decides what happens to each request, in the order of arrival: the same sequence for the same
// seed, apart from the outage. Times count from the start of the run. Thread-safe.
class Script {
 public:
  // `span` is how long requests will keep arriving: the outage takes three seconds in its middle,
  // or a quarter of a shorter one.
  Script(std::uint64_t seed, holdfast::Duration span);

  const Window& outage() const { return outage_; }
  Fate Next(holdfast::Duration elapsed);

 private:
  const Window outage_;
  std::mutex mutex_;
  std::mt19937_64 random_;
};

}  // namespace demo

#endif  // HOLDFAST_EXAMPLES_DEMO_SCRIPT_H_
