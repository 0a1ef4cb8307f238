// Runs the benchmarks, and prints the ratios and differences that the library is judged by.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <ostream>
#include <string>
#include <vector>

namespace {

struct Pair {
  const char* name;
  const char* base;
};

constexpr Pair kRatios[] = {
    // stack_bench.cc
    {"StackOfFive", "ClockRead"},
    // async_bench.cc
    {"AsyncStackOfFive", "AsyncOperation"},
    {"AsyncStackWithAttemptTimeout", "AsyncOperation"},
    {"AwaitedStackOfFive", "AwaitedOperation"},
    // metrics_bench.cc
    {"FiveCounted", "FiveUnknown"},
    {"FiveTimed", "FiveUnknown"},
    {"FiveObservedRarely", "FiveCounted"},
    {"FiveObservedAlways", "FiveCounted"},
    {"CounterAdd/threads:2", "CounterAdd/threads:1"},
    {"HistogramRecord/threads:2", "HistogramRecord/threads:1"},
    {"CallCounted/threads:2", "CallCounted/threads:1"},
    // rate_bench.cc
    {"AllowAt/threads:1", "OneAtomicAdd/threads:1"},
    {"AllowAt/threads:2", "OneAtomicAdd/threads:2"},
    {"Allow/threads:1", "OneClockRead/threads:1"},
    {"Allow/threads:2", "OneClockRead/threads:2"},
    {"AllowAtRefused/threads:1", "AllowAt/threads:1"},
    {"AllowAtRefused/threads:2", "AllowAt/threads:2"},
    {"AllowRefused/threads:1", "Allow/threads:1"},
    {"AllowRefused/threads:2", "Allow/threads:2"},
    // keyed_bench.cc
    {"KeyedAllowAt/threads:1", "KeyLookup/threads:1"},
    {"KeyedAllowAt/threads:2", "KeyLookup/threads:2"},
    {"KeyedAllow/threads:1", "KeyLookupAndClock/threads:1"},
    {"KeyedAllow/threads:2", "KeyLookupAndClock/threads:2"},
    // breaker_bench.cc
    {"Breaker/threads:2", "Breaker/threads:1"},
    {"BreakerAt/threads:2", "BreakerAt/threads:1"},
    {"BreakerByMutex/threads:1", "Breaker/threads:1"},
    {"BreakerByMutex/threads:2", "Breaker/threads:2"},
    {"BreakerRefusal/threads:1", "Breaker/threads:1"},
    {"BreakerRefusal/threads:2", "Breaker/threads:2"},
    {"BreakerFixedWindow/threads:1", "BreakerAt/threads:1"},
    {"BreakerRolling10/threads:1", "BreakerAt/threads:1"},
    {"BreakerRolling10000/threads:1", "BreakerAt/threads:1"},
    {"BreakerLast100000/threads:1", "BreakerAt/threads:1"},
    // bulkhead_bench.cc
    {"AcquireRelease/threads:1", "TwoAtomicAdds/threads:1"},
    {"AcquireRelease/threads:2", "TwoAtomicAdds/threads:2"},
    {"StandardAcquireRelease/threads:2", "AcquireRelease/threads:2"},
    {"MutexedAcquireRelease/threads:2", "AcquireRelease/threads:2"},
    {"AcquireRefused/threads:1", "AcquireRelease/threads:1"},
    {"BulkheadRefuses/threads:1", "BulkheadAdmits/threads:1"},
    // throttle_bench.cc
    {"ThrottledByMutex/threads:1", "Throttled/threads:1"},
    {"ThrottledByMutex/threads:2", "Throttled/threads:2"},
    {"ThrottleRefusal/threads:1", "ThrottledByMutex/threads:1"},
    {"ThrottleRefusal/threads:2", "ThrottledByMutex/threads:2"},
    // transport_bench.cc
    {"PooledRequest", "BareRequest"},
    {"PooledRequestWithDeadline", "BareRequest"},
    // wire_bench.cc
    {"WireRequest", "HttpParserRequest"},
    {"WireRequest", "BeastRequest"},
    {"WireResponse", "HttpParserResponse"},
    {"WireResponse", "BeastResponse"},
    {"WireChunks", "HttpParserChunks"},
    {"WireChunks", "BeastChunks"},
};

constexpr Pair kDifferences[] = {
    // stack_bench.cc
    {"RetryAlone", "StackOfNone"},
    // breaker_bench.cc
    {"Breaker/threads:1", "BreakerClockRead/threads:1"},
    // metrics_bench.cc; the first is to be a MetricsClockRead and 8 ns at most
    {"FiveTimed", "FiveUnknown"},
    {"FiveObservedAlways", "FiveCounted"},
    // transport_bench.cc
    {"PooledRequest", "BareRequest"},
};

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

class RatioReporter final : public benchmark::ConsoleReporter {
 public:
  RatioReporter() : ConsoleReporter(isatty(STDOUT_FILENO) != 0 ? OO_Defaults : OO_None) {}

  // Of repetitions it shows the median only.
  void ReportRuns(const std::vector<Run>& runs) override {
    std::vector<Run> shown;
    for (Run run : runs) {
      const bool timed_by_hand = run.run_name.time_type == "manual_time";
      run.run_name.min_time.clear();
      run.run_name.iterations.clear();
      run.run_name.repetitions.clear();
      run.run_name.time_type.clear();
      const bool failed = run.iterations == 0;
      if (run.run_type == Run::RT_Iteration && !failed) {
        nanos_[run.benchmark_name()].push_back(timed_by_hand ? run.GetAdjustedRealTime()
                                                             : run.GetAdjustedCPUTime());
      }
      if (failed || run.repetitions <= 1 || run.aggregate_name == "median") shown.push_back(run);
    }
    if (!shown.empty()) ConsoleReporter::ReportRuns(shown);
  }

  void Finalize() override {
    for (const Pair& pair : kRatios) {
      Print(pair, "/", std::divides<>(), "");
    }
    for (const Pair& pair : kDifferences) {
      Print(pair, "-", std::minus<>(), " ns");
    }
  }

 private:
  template <class Operator>
  void Print(const Pair& pair, const char* sign, Operator result, const char* unit) {
    const auto of = nanos_.find(pair.name);
    const auto to = nanos_.find(pair.base);
    if (of == nanos_.end() || to == nanos_.end()) return;
    GetOutputStream() << pair.name << " " << sign << " " << pair.base << " = "
                      << result(Median(of->second), Median(to->second)) << unit << "\n";
  }

  std::map<std::string, std::vector<double>> nanos_;  // the processor's, of each repetition;
                                                      // the clock's where it was timed by hand
};

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  RatioReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
}
