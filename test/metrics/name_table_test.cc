// The table of names in docs/metrics.md is what a registry tells, both ways.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "holdfast/holdfast.h"
#include "holdfast/metrics/metrics.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/catch.h"

namespace holdfast::name_table_test {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

// The type, the unit, and the keys of the attributes.
using Row = std::tuple<std::string, std::string, std::set<std::string>>;
using Table = std::map<std::string, Row>;

// What stands between backquotes.
std::vector<std::string> Quoted(const std::string& cell) {
  std::vector<std::string> quoted;
  std::istringstream parts(cell);
  bool inside = false;
  for (std::string part; std::getline(parts, part, '`'); inside = !inside) {
    if (inside) quoted.push_back(part);
  }
  return quoted;
}

std::string Trimmed(const std::string& text) {
  const auto begin = text.find_first_not_of(' ');
  return begin == std::string::npos ? ""
                                    : text.substr(begin, text.find_last_not_of(' ') - begin + 1);
}

// The rows of the page's tables whose columns are metric, type, unit, attributes and text.
Table Documented() {
  std::ifstream page(HOLDFAST_METRICS_PAGE);
  REQUIRE(page.good());
  Table table;
  for (std::string line; std::getline(page, line);) {
    std::vector<std::string> cells;
    std::istringstream row(line);
    for (std::string cell; std::getline(row, cell, '|');) cells.push_back(cell);
    if (cells.size() != 6 || !cells[1].starts_with(" `holdfast.")) continue;
    const std::vector<std::string> unit = Quoted(cells[3]);
    const std::vector<std::string> keys = Quoted(cells[4]);
    const bool is_new = table
                            .emplace(Quoted(cells[1]).front(),
                                     Row(Trimmed(cells[2]), unit.empty() ? "" : unit.front(),
                                         std::set<std::string>(keys.begin(), keys.end())))
                            .second;
    CHECK(is_new);
  }
  return table;
}

std::string_view NameOf(MetricType type) {
  return type == MetricType::kCounter         ? "counter"
         : type == MetricType::kUpDownCounter ? "updowncounter"
         : type == MetricType::kHistogram     ? "histogram"
                                              : "gauge";
}

Table Told(const Metrics& metrics) {
  Table table;
  const MetricsSnapshot snapshot = metrics.Snapshot();
  for (const MetricFamily& family : snapshot.families()) {
    table.emplace(family.name, Row(NameOf(family.type), family.unit,
                                   std::set<std::string>(family.keys.begin(), family.keys.end())));
  }
  return table;
}

// A service that is down, and a stack to which everything happens of which a stack tells.
class Scene {
 public:
  explicit Scene(Metrics& metrics) {
    REQUIRE(metrics.Add("main", main_).ok());
    REQUIRE(metrics.Add("cached", cached_).ok());
    REQUIRE(metrics.Add("kinds", kinds_).ok());
  }

  void Play() {
    const auto fails = [] { return absl::UnavailableError("down"); };
    main_.Around(fails, &clock_)().IgnoreError();
    main_.Around(fails, &clock_)().IgnoreError();
    kinds_.Around(fails, &clock_)().IgnoreError();
    // The breaker refuses by now.
    kinds_.Around(fails, &clock_).With({.key = "other"}).IgnoreError();
    latencies_->Record(1ms);
    cached_.Around([]() -> absl::StatusOr<int> { return 1; }, &clock_)().IgnoreError();
    LearnLatency();
  }

 private:
  void LearnLatency() {
    for (int i = 0; i < 200; ++i) {
      std::vector<AdaptiveLimiter::Ticket> tickets;
      for (auto ticket = limiter_->AdmitAt(clock_.Now()); ticket.ok();
           ticket = limiter_->AdmitAt(clock_.Now())) {
        tickets.push_back(*std::move(ticket));
      }
      clock_.Advance(10ms);
      for (auto& ticket : tickets) ticket.DoneAt(clock_.Now(), Outcome::kSuccess);
    }
  }

  FakeClock clock_;
  std::shared_ptr<AdaptiveLimiter> limiter_ =
      std::make_shared<AdaptiveLimiter>(AdaptiveLimiter::Options{.initial = 20});
  std::shared_ptr<LatencyQuantile> latencies_ =
      std::make_shared<LatencyQuantile>(LatencyQuantile::Options{.min_samples = 1});
  Stack<Fallback<absl::Status (*)(const absl::Status&)>, Retry<>, RateLimit<>, Timeout<>> main_{
      Fallback(+[](const absl::Status& why) { return why; }),
      Retry({.max_attempts = 2, .pause = std::make_shared<RetryPause>()}),
      RateLimit({.rate = 1, .burst = 1}, {.max_wait = 0s, .dry_run = true}),
      Timeout(std::make_shared<Settings<TimeoutOptions>>(TimeoutOptions{1s}))};
  std::shared_ptr<ResultCache<absl::StatusOr<int>>> cache_ =
      std::make_shared<ResultCache<absl::StatusOr<int>>>(
          ResultCache<absl::StatusOr<int>>::Options{.ttl = 1s});
  Stack<Cache<absl::StatusOr<int>>> cached_{Cache(cache_)};
  decltype(Stack(KeyedRateLimit(KeyedTokenBucket::Options{.limits = {.rate = 1}}),
                 KeyedCircuitBreak(KeyedCircuitBreaker::Options{}),
                 AdaptiveThrottle(AdaptiveThrottler::Options{}),
                 CircuitBreak(CircuitBreaker::Options{}), AdaptiveLimit(limiter_),
                 Bulkhead(Semaphore::Options{.limit = 1}), AdaptiveTimeout(latencies_),
                 Timeout(1s, std::shared_ptr<ThreadPool>()))) kinds_{
      KeyedRateLimit(KeyedTokenBucket::Options{.limits = {.rate = 1}}),
      KeyedCircuitBreak(KeyedCircuitBreaker::Options{}),
      AdaptiveThrottle(AdaptiveThrottler::Options{}),
      CircuitBreak(CircuitBreaker::Options{.rules = {ConsecutiveFailures(1)}}),
      AdaptiveLimit(limiter_),
      Bulkhead(Semaphore::Options{.limit = 1}),
      AdaptiveTimeout(latencies_),
      Timeout(1s, std::make_shared<ThreadPool>(ThreadPool::Options{}))};
};

TEST_CASE("the page names each metric with its type, unit and attributes, and no other") {
  Metrics metrics({.active_calls = true});
  Scene scene(metrics);
  scene.Play();
  const Table documented = Documented();
  const Table told = Told(metrics);
  CHECK(told.size() > 50);
  for (const auto& [name, row] : told) {
    INFO(name);
    REQUIRE(documented.contains(name));
    CHECK(documented.at(name) == row);
  }
  for (const auto& [name, row] : documented) {
    INFO(name);
    CHECK(told.contains(name));
  }
}

}  // namespace
}  // namespace holdfast::name_table_test
