// The events of a stack in a log of Abseil (since 20230125, which Debian 12 does not have): each at
// the level of its severity, and no more of them than a log can bear. In an outage each call has
// events; a change of a breaker is always written, of the rest ten, and then one per second with
// the number of those that were left out.
#include <absl/base/log_severity.h>
#include <absl/log/globals.h>
#include <absl/log/initialize.h>
#include <absl/log/log.h>
#include <absl/status/status.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"

namespace {

class AbslLog final : public holdfast::Observer {
 public:
  void OnEvent(const holdfast::Event& event) override {
    if (event.kind == holdfast::EventKind::kBreakerChanged) {
      Write(event);
    } else if (!sometimes_.Do([&] { Write(event); })) {
      left_out_.fetch_add(1, std::memory_order_relaxed);
    }
  }

 private:
  // Abseil has no level below INFO.
  static absl::LogSeverity LevelOf(holdfast::Severity severity) {
    return severity == holdfast::Severity::kWarning ? absl::LogSeverity::kWarning
                                                    : absl::LogSeverity::kInfo;
  }

  void Write(const holdfast::Event& event) {
    LOG(LEVEL(LevelOf(event.severity)))
        << holdfast::ToString(event)
        << " left_out=" << left_out_.exchange(0, std::memory_order_relaxed);
  }

  holdfast::Sometimes sometimes_{{.first = 10, .interval = std::chrono::seconds(1)}};
  std::atomic<std::uint64_t> left_out_{0};  // relaxed: a value by itself
};

}  // namespace

int main() {
  absl::InitializeLog();
  absl::SetStderrThreshold(absl::LogSeverityAtLeast::kInfo);
  holdfast::testing::FakeClock clock;  // a wait of Retry ends at once
  const auto fetch = holdfast::Stack(holdfast::Retry({.max_attempts = 3}),
                                     holdfast::CircuitBreak({.name = "orders-db"}))
                         .Observed("orders", std::make_shared<AbslLog>())
                         .Around([] { return absl::UnavailableError("down"); }, &clock);
  for (int i = 0; i < 100; ++i) fetch().IgnoreError();
}
