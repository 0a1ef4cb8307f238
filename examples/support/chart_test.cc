#include "examples/support/chart.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "test/support/catch.h"

namespace support {
namespace {

using holdfast::testing::Results;
using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST_CASE("lines are drawn where there is gnuplot, and what there is nothing of is refused") {
  const ChartLine limit{.name = "it's the limit", .points = {{0s, 20}, {1s, 31.5}, {2s, 25}}};
  const ChartLine workers{.name = "workers", .points = {{0s, 30}}};
  const auto path = std::filesystem::temp_directory_path() / "holdfast_lines_test.svg";
  const absl::Status drawn =
      WriteLinesSvg(path.string(), "calls", {{"one", {limit, workers}}, {"two", {limit}}});
  if (absl::IsNotFound(drawn)) return;
  REQUIRE(drawn.ok());
  const std::string svg = ReadFile(path);
  CHECK(svg.find("it's the limit") != std::string::npos);
  CHECK(svg.find("workers") != std::string::npos);
  CHECK(svg.find("two") != std::string::npos);
  std::filesystem::remove(path);
  CHECK(absl::IsInvalidArgument(WriteLinesSvg(path.string(), "calls", {})));
  CHECK(absl::IsInvalidArgument(WriteLinesSvg(path.string(), "calls", {{"one", {}}})));
  CHECK(absl::IsInvalidArgument(WriteLinesSvg(path.string(), "calls", {{"one", {{"a", {}}}}})));
  CHECK(absl::IsUnknown(WriteLinesSvg("/nowhere/at/all.svg", "calls", {{"one", {limit}}})));
}

TEST_CASE("a chart is drawn where there is gnuplot, and otherwise says that there is none") {
  Results results;
  results.bucket = 1s;
  results.end = 4s;
  for (const std::int64_t successes : {10, 10, 0, 9}) {
    results.timeline.push_back({.calls = 10, .attempts = 10, .successes = successes});
  }
  results.disturbances.push_back({2s, 4s});
  const auto path = std::filesystem::temp_directory_path() / "holdfast_results_test.svg";
  const absl::Status drawn = WriteSvg(path.string(), {{"it's one", results}, {"two", results}});
  if (absl::IsNotFound(drawn)) return;
  REQUIRE(drawn.ok());
  const std::string svg = ReadFile(path);
  CHECK(svg.find("it's one") != std::string::npos);
  CHECK(svg.find("attempts") != std::string::npos);
  std::filesystem::remove(path);
  CHECK(absl::IsInvalidArgument(WriteSvg(path.string(), {})));
  CHECK(absl::IsUnknown(WriteSvg("/nowhere/at/all.svg", {{"one", results}})));
}

}  // namespace
}  // namespace support
