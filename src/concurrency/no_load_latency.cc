#include "src/concurrency/no_load_latency.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace holdfast::internal {

void NoLoadLatency::Update(const LimitWindow& window, double limit, double minimum) {
  if (window.succeeded <= 0) {
    probe_.reset();  // it is due again at once
    return;
  }
  const double latency = window.latency;
  if (!known()) value_ = latency;
  const double worked_on = limit * std::min(1.0, value_ / latency);
  const double light = std::max(minimum, std::floor(kDrain * worked_on));
  if (probe_ || static_cast<double>(window.in_flight) <= light) {
    Measured(latency);
    probe_.reset();
    windows_ = 0;
    calls_ = 0;
    jitter_ = NextJitter(window);
    return;
  }
  // Load makes no service faster, so a lower latency is nearer to the truth. Only part of the way,
  // since the least of many noisy means is less than their mean.
  constexpr double kPart = 0.125;
  if (latency < value_) value_ += kPart * (latency - value_);
  ++windows_;
  calls_ += static_cast<double>(window.calls);
  const double due = jitter_ * static_cast<double>(probe_multiplier_) * limit;
  if (windows_ >= kMinWindows && calls_ >= due) probe_ = light;
}

// A small difference may be chance; a large one means that the service has changed.
void NoLoadLatency::Measured(double latency) {
  constexpr double kMuch = 0.15;
  const bool much = std::abs(latency - value_) > kMuch * value_;
  value_ = much ? latency : (value_ + latency) / 2;
}

// Derived from what was measured: a simulation repeats itself, and yet the clients of one service
// do not probe it at the same time.
double NoLoadLatency::NextJitter(const LimitWindow& window) {
  random_ += std::bit_cast<std::uint64_t>(window.latency) + 0x9e37'79b9'7f4a'7c15;
  std::uint64_t mixed = random_;  // splitmix64's
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58'476d'1ce4'e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d0'49bb'1331'11eb;
  mixed ^= mixed >> 31;
  return 0.5 + 0.5 * static_cast<double>(mixed >> 11) * 0x1p-53;
}

}  // namespace holdfast::internal
