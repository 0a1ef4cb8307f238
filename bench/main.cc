// Runs the benchmarks, and prints the ratios that the stack is judged by.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <map>
#include <ostream>
#include <string>
#include <vector>

namespace {

class RatioReporter final : public benchmark::ConsoleReporter {
 public:
  RatioReporter() : ConsoleReporter(isatty(STDOUT_FILENO) != 0 ? OO_Defaults : OO_None) {}

  void ReportRuns(const std::vector<Run>& runs) override {
    ConsoleReporter::ReportRuns(runs);
    for (const Run& run : runs) {
      const double nanos = run.GetAdjustedCPUTime();
      auto [best, first] = best_.try_emplace(run.benchmark_name(), nanos);
      if (!first && nanos < best->second) best->second = nanos;
    }
  }

  // With --benchmark_repetitions, of the best run of each: noise only ever adds.
  void Finalize() override {
    PrintRatio("StackOfFive", "ClockRead");
    PrintRatio("AsyncStackOfFive", "AsyncOperation");
    PrintRatio("AsyncStackWithAttemptTimeout", "AsyncOperation");
    PrintRatio("AwaitedStackOfFive", "AwaitedOperation");
  }

 private:
  void PrintRatio(const std::string& name, const std::string& base) {
    const auto of = best_.find(name);
    const auto to = best_.find(base);
    if (of == best_.end() || to == best_.end()) return;
    GetOutputStream() << name << " / " << base << " = " << of->second / to->second << "\n";
  }

  std::map<std::string, double> best_;
};

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  RatioReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
}
