// The events of a stack in a log of spdlog: each at the level of its severity, and no more of them
// than a log can bear. In an outage each call has events; a change of a breaker is always written,
// of the rest ten, and then one per second with the number of those that were left out.
#include <absl/status/status.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"

namespace {

class SpdlogLog final : public holdfast::Observer {
 public:
  void OnEvent(const holdfast::Event& event) override {
    if (event.kind == holdfast::EventKind::kBreakerChanged) {
      Write(event);
    } else if (!sometimes_.Do([&] { Write(event); })) {
      left_out_.fetch_add(1, std::memory_order_relaxed);
    }
  }

 private:
  static spdlog::level::level_enum LevelOf(holdfast::Severity severity) {
    switch (severity) {
      case holdfast::Severity::kDebug:
        return spdlog::level::debug;
      case holdfast::Severity::kInfo:
        return spdlog::level::info;
      case holdfast::Severity::kWarning:
        break;
    }
    return spdlog::level::warn;
  }

  void Write(const holdfast::Event& event) {
    spdlog::log(LevelOf(event.severity), "{} left_out={}", holdfast::ToString(event),
                left_out_.exchange(0, std::memory_order_relaxed));
  }

  holdfast::Sometimes sometimes_{{.first = 10, .interval = std::chrono::seconds(1)}};
  std::atomic<std::uint64_t> left_out_{0};  // relaxed: a value by itself
};

}  // namespace

int main() {
  holdfast::testing::FakeClock clock;  // a wait of Retry ends at once
  const auto fetch = holdfast::Stack(holdfast::Retry({.max_attempts = 3}),
                                     holdfast::CircuitBreak({.name = "orders-db"}))
                         .Observed("orders", std::make_shared<SpdlogLog>())
                         .Around([] { return absl::UnavailableError("down"); }, &clock);
  for (int i = 0; i < 100; ++i) fetch().IgnoreError();
}
