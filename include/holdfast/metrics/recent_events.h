// RecentEvents keeps the last events of stacks and breakers, for a page or a dump.
//
//   const auto events = std::make_shared<holdfast::RecentEvents>();
//   holdfast::Metrics metrics({.observer = events});
//   absl::Status added = metrics.Add("orders", stack);
//   for (const holdfast::RecentEvent& event : events->Events()) {
//     std::cout << event.stack << ": " << ToString(event.kind) << "\n";
//   }
#ifndef HOLDFAST_METRICS_RECENT_EVENTS_H_
#define HOLDFAST_METRICS_RECENT_EVENTS_H_

#include <absl/status/status.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/call/observer.h"

namespace holdfast {

struct RecentEventsOptions {
  std::size_t capacity = 200;  // the most events that are kept, 1 to 10,000
  // Keeps keys: CallOptions::key, the keys of a KeyedCircuitBreaker's breakers, and which keys are
  // refused most. A key may be personal data, and then the page is one, too.
  bool keys = false;
  // Keeps the messages of statuses. They may name keys, and whatever else a service says.
  bool messages = false;
  std::size_t worst_keys = 10;  // the most that WorstKeys() tells, 1 to 100
  // The least severity that is kept; kDebug makes each call cost what a Report costs.
  Severity least_severity = Severity::kInfo;
  std::shared_ptr<Observer> next = nullptr;  // is told the same events, those it wants
  // The time of an event is when it is told, on this clock; called in any thread.
  std::function<std::chrono::system_clock::time_point()> now = &std::chrono::system_clock::now;
};

// OK, or kInvalidArgument that names the option.
absl::Status Validate(const RecentEventsOptions& options);

// An Event that stays. Its texts are valid UTF-8, cut to 128 bytes.
struct RecentEvent {
  std::uint64_t number = 0;  // from 1
  std::chrono::system_clock::time_point time = {};
  std::uint64_t count = 1;                          // how many this one stands for
  std::chrono::system_clock::time_point last = {};  // when the last of these was told
  EventKind kind = EventKind::kEnded;
  Severity severity = Severity::kDebug;
  std::string stack = {};
  std::string policy = {};
  std::string name = {};  // without the key where keys are not kept
  std::string key = {};   // empty where keys are not kept
  std::string state = {};
  std::string reason = {};
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string message = {};  // empty where messages are not kept
  int attempt = 0;
  Duration took{0};
  Duration waited{0};
  std::optional<Duration> until = std::nullopt;  // from `time` on
};

// A key that policies refused often.
struct WorstKey {
  std::string stack = {};
  std::string policy = {};
  std::string name = {};
  std::string key = {};
  std::uint64_t refused = 0;   // at most so many
  std::uint64_t too_many = 0;  // by which `refused` may be too great
  std::chrono::system_clock::time_point last = {};
};

// Equal events within a second are kept as one with a count, so that an outage, in which each call
// is refused, does not push out what came before. Equal are those that differ in nothing but
// attempt, times and message; a change of a breaker is kept by itself.
//
// The keys that were refused most are counted by the Space-Saving algorithm (Metwally, Agrawal and
// El Abbadi, 2005) with eight counters for each key that is told: of n refusals each key is there
// that had more than n / (8 * worst_keys).
//
// Takes a bounded amount of memory: about 1 kB for each event that is kept. Thread-safe. An event
// is copied before the one mutex is locked.
class RecentEvents final : public Observer {
 public:
  // Throws std::invalid_argument with what Validate(options) says unless that is OK.
  explicit RecentEvents(RecentEventsOptions options = {});
  RecentEvents(const RecentEvents&) = delete;
  RecentEvents& operator=(const RecentEvents&) = delete;
  ~RecentEvents() override;

  void OnEvent(const Event& event) override;
  Severity least_severity() const override;

  std::vector<RecentEvent> Events() const;  // the newest first
  std::uint64_t total() const;              // of those kept ever, each by itself
  std::vector<WorstKey> WorstKeys() const;  // the worst first; none where keys are not kept
  bool keeps_keys() const;

 private:
  struct Impl;

  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast

#endif  // HOLDFAST_METRICS_RECENT_EVENTS_H_
