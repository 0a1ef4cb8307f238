// Any bytes are a rate, a burst and a sequence of things to do to a bucket, and it must answer what
// the oracle does.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "test/support/rate_oracle.h"

namespace {

using holdfast::testing::BesideOracle;
using holdfast::testing::RateStep;

using enum RateStep::Kind;

// The oracle takes cubic time.
constexpr std::size_t kMostSteps = 96;
constexpr std::size_t kMostBytes = 3 + 4 * kMostSteps;

// The oracle has no opinion on what was cancelled beside changes of the rate or the burst.
constexpr std::array kWithoutChanges{kAllow,     kReserve, kReserveWithin, kAdvance,
                                     kAdvanceTo, kCancel,  kLookAhead};
constexpr std::array kWithoutCancel{kAllow,     kReserve, kReserveWithin, kAdvance,
                                    kAdvanceTo, kSetRate, kSetBurst,      kLookAhead};
constexpr std::array kAll{kAllow,  kReserve,   kReserveWithin, kAdvance, kAdvanceTo,
                          kCancel, kLookAhead, kSetRate,       kSetBurst};

// Bytes that follow each other; zeros after the last one.
class Reader {
 public:
  Reader(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  bool empty() const { return size_ == 0; }
  std::uint8_t Byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  template <class Array>
  auto OneOf(const Array& array) {
    return array[Byte() % array.size()];
  }
  template <class Kinds>
  RateStep Step(const Kinds& kinds) {
    const RateStep::Kind kind = OneOf(kinds);
    const std::uint8_t which = Byte();
    const int low = Byte();
    return {.kind = kind, .which = which, .span = static_cast<std::uint16_t>(low | Byte() << 8)};
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

struct Begin {
  std::int64_t rate;
  std::int64_t burst;
};

[[noreturn]] void Fail(const Begin& begin, const std::vector<RateStep>& steps,
                       const std::string& what) {
  std::cerr << "rate " << begin.rate << ", burst " << begin.burst << ":";
  for (const RateStep& step : steps) std::cerr << " " << step;
  std::cerr << "\n" << what << "\n";
  std::abort();
}

template <class Kinds>
void Compare(Reader& reader, const Begin& begin, const Kinds& kinds) {
  BesideOracle beside(begin.rate, begin.burst);
  std::vector<RateStep> steps;
  while (!reader.empty()) {
    steps.push_back(reader.Step(kinds));
    const std::string difference = beside.Do(steps.back());
    if (!difference.empty()) Fail(begin, steps, difference);
  }
}

void JustRun(Reader& reader, const Begin& begin) {
  BesideOracle beside(begin.rate, begin.burst);
  std::vector<RateStep> steps;
  while (!reader.empty()) {
    steps.push_back(reader.Step(kAll));
    beside.Do(steps.back());
    const holdfast::TokenBucket& bucket = beside.bucket();
    if (bucket.TokensAt(beside.now()) > static_cast<double>(bucket.burst())) {
      Fail(begin, steps, "more tokens than the burst");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > kMostBytes) return -1;
  Reader reader(data, size);
  Begin begin{};
  begin.rate = reader.OneOf(BesideOracle::kRates);
  begin.burst = reader.OneOf(BesideOracle::kBursts);
  switch (reader.Byte() % 4) {
    case 0:
      Compare(reader, begin, kWithoutCancel);
      break;
    case 1:
      JustRun(reader, begin);
      break;
    default:
      Compare(reader, begin, kWithoutChanges);
      break;
  }
  return 0;
}
