#include "table.h"

#include <absl/strings/str_format.h>

#include <algorithm>
#include <string>
#include <vector>

namespace demo {
namespace {

constexpr std::size_t kWidth = 96;
constexpr std::size_t kMaxItems = 20;

std::string Milliseconds(holdfast::Duration duration) {
  return duration == holdfast::Duration::zero()
             ? "-"
             : absl::StrFormat("%.0f ms", Seconds(duration) * 1e3);
}

std::string PerCall(const Run& run) {
  return absl::StrFormat("%.2f",
                         static_cast<double>(run.seen) / std::max<double>(1, run.calls.size()));
}

std::string SuccessRate(const Run& run) {
  return absl::StrFormat("%.1f %%", 100.0 * CountOk(run) / std::max<double>(1, run.calls.size()));
}

int Get(const Tally& tally, const std::string& key) {
  const auto found = tally.find(key);
  return found == tally.end() ? 0 : found->second;
}

class Table {
 public:
  explicit Table(std::ostream& out) : out_(out) {}

  void Row(const std::string& label, const std::string& plain, const std::string& resilient) {
    out_ << absl::StrFormat("  %-34s %12s %12s\n", label, plain, resilient);
  }

 private:
  std::ostream& out_;
};

// "name: a, b, c", wrapped and indented, the first few of them; nothing for no items.
void PrintList(std::ostream& out, const std::string& name, std::vector<std::string> items) {
  if (items.empty()) return;
  if (items.size() > kMaxItems) {
    const std::size_t left_out = items.size() - kMaxItems;
    items.resize(kMaxItems);
    items.push_back(absl::StrFormat("and %d more", left_out));
  }
  std::string line = "  " + name + ":";
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string item = " " + items[i] + (i + 1 < items.size() ? "," : "");
    if (line.size() + item.size() > kWidth) {
      out << line << '\n';
      line = "   ";
    }
    line += item;
  }
  out << line << '\n';
}

std::vector<std::string> Items(const Tally& tally) {
  std::vector<std::string> items;
  for (const auto& [what, count] : tally) items.push_back(absl::StrFormat("%d %s", count, what));
  return items;
}

std::vector<std::string> Items(const std::vector<Change>& changes) {
  std::vector<std::string> items;
  items.reserve(changes.size());
  for (const Change& change : changes) {
    items.push_back(absl::StrFormat("%.2f %s", Seconds(change.at), ToString(change.to)));
  }
  return items;
}

void PrintNotes(std::ostream& out, const Run& plain, const Run& resilient) {
  out << "\n"
         "  Latency is that of successes, from the request's arrival, and includes all waits. A\n"
         "  rejected attempt never reaches the server, and its call may still succeed. The rate\n"
         "  limit and the bulkhead make attempts wait; they reject what would wait too long.\n";
  PrintList(out, plain.client + ", failures", Items(plain.failures));
  PrintList(out, resilient.client + ", failures", Items(resilient.failures));
  PrintList(out, "breaker, at seconds", Items(resilient.changes));
}

}  // namespace

void PrintTable(std::ostream& out, const Run& plain, const Run& resilient) {
  const auto count = [](auto n) { return std::to_string(n); };
  Table table(out);
  table.Row("", plain.client, resilient.client);
  table.Row("requests", count(plain.calls.size()), count(resilient.calls.size()));
  table.Row("succeeded", SuccessRate(plain), SuccessRate(resilient));
  table.Row(plain.scripted ? "requests the server saw" : "requests sent", count(plain.seen),
            count(resilient.seen));
  table.Row("amplification", PerCall(plain), PerCall(resilient));
  table.Row("p50 latency", Milliseconds(Latency(plain, 0.5)),
            Milliseconds(Latency(resilient, 0.5)));
  table.Row("p99 latency", Milliseconds(Latency(plain, 0.99)),
            Milliseconds(Latency(resilient, 0.99)));
  table.Row("attempts rejected, by policy", "", count(Sum(resilient.refused_attempts)));
  for (const char* policy : {"CircuitBreak", "RateLimit", "Bulkhead"}) {
    table.Row(std::string("  ") + policy, "", count(Get(resilient.refused_attempts, policy)));
  }
  table.Row("calls rejected in the end", "", count(Sum(resilient.refused_calls)));
  table.Row("breaker transitions", "", count(resilient.changes.size()));

  PrintNotes(out, plain, resilient);
}

}  // namespace demo
