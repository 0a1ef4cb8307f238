#include "src/breaker/calls_out.h"

namespace holdfast::internal {

void CallsOut::Clear(std::uint64_t first_era) {
  size_ = 0;
  first_era_ = first_era;
  hung_ = 0;
}

void CallsOut::BeginEra(std::uint64_t era, TimePoint begin, TimePoint until) {
  if (size_ > 0) {
    Part& newest = At(size_ - 1);
    const bool short_enough = SaturatingSub(until, newest.begin) <= slow_call_ / kPartsOfSlowCall;
    if (short_enough || size_ == kMostParts) {
      newest.until = until;
      return;
    }
  }
  At(size_++) = {.first_era = era, .begin = begin, .until = until, .out = 0};
}

void CallsOut::Admit(std::uint64_t calls) {
  if (calls > 0) At(size_ - 1).out += calls;
}

void CallsOut::End(std::uint64_t era, std::uint64_t calls) {
  if (calls == 0 || era < first_era_) return;
  for (std::size_t number = size_; number > 0; --number) {
    Part& part = At(number - 1);
    if (part.first_era > era) continue;
    part.out -= calls;
    return;
  }
  hung_ -= calls;
}

void CallsOut::Age(TimePoint now) {
  for (; size_ > 0 && now > SaturatingAdd(At(0).until, slow_call_); --size_) {
    hung_ += At(0).out;
    first_ = (first_ + 1) % kMostParts;
  }
}

TimePoint CallsOut::NoneBefore() const {
  for (std::size_t number = 0; number < size_; ++number) {
    if (At(number).out > 0) return SaturatingAdd(At(number).until, slow_call_);
  }
  return TimePoint::max();
}

}  // namespace holdfast::internal
