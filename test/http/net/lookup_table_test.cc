#include "src/http/net/lookup_table.h"

#include <absl/status/status.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "test/support/catch.h"

namespace holdfast::http::internal::lookup_table_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

using Admission = LookupTable::Admission;

const TimePoint kStart = TimePoint(1h);

std::shared_ptr<LookupRequest> Request(const std::string& host) {
  return std::make_shared<LookupRequest>(host, 80, [](const LookupResult&) {});
}

LookupTable::Limits Two() { return {.max_running = 2, .max_queued = 2, .stuck_after = 6s}; }

Admission Ask(LookupTable& table, const std::string& host, TimePoint now = kStart) {
  return table.Ask(Request(host), now);
}

std::vector<std::shared_ptr<LookupRequest>> List(LookupRequests requests) {
  std::vector<std::shared_ptr<LookupRequest>> list;
  for (auto& [number, request] : requests) list.push_back(std::move(request));
  return list;
}

TEST_CASE("lookups begin in the order of asking, no more than so many at once") {
  LookupTable table(Two());
  for (const char* const host : {"a", "b", "c", "d"}) {
    CHECK(Ask(table, host) == Admission::kAdmitted);
  }
  CHECK(table.Begin(kStart) == "a");
  CHECK(table.Begin(kStart) == "b");
  CHECK(table.Begin(kStart) == std::nullopt);
  CHECK(table.queued() == 2);
  CHECK(table.End("b").size() == 1);
  CHECK(table.Begin(kStart) == "c");
  CHECK(table.running() == 2);
}

TEST_CASE("those who ask for one host share its lookup, whether it waits or runs") {
  LookupTable table(Two());
  const auto first = Request("a");
  const auto second = Request("a");
  const auto third = Request("a");
  CHECK(table.Ask(first, kStart) == Admission::kAdmitted);
  CHECK(table.Ask(second, kStart) == Admission::kAdmitted);
  CHECK(table.queued() == 1);
  CHECK(table.Begin(kStart) == "a");
  CHECK(table.Ask(third, kStart) == Admission::kAdmitted);
  CHECK(table.queued() == 0);
  CHECK(List(table.End("a")) == std::vector{first, second, third});
  // It is over: who asks now begins another.
  CHECK(Ask(table, "a") == Admission::kAdmitted);
  CHECK(table.queued() == 1);
}

TEST_CASE("with the queue full a lookup is refused, but not one that can be shared") {
  LookupTable table(Two());
  for (const char* const host : {"a", "b", "c", "d"}) {
    CHECK(Ask(table, host) == Admission::kAdmitted);
  }
  CHECK(Ask(table, "e") == Admission::kFull);
  (void)table.Begin(kStart);
  (void)table.Begin(kStart);
  CHECK(Ask(table, "e") == Admission::kFull);
  CHECK(Ask(table, "a") == Admission::kAdmitted);
  CHECK(Ask(table, "d") == Admission::kAdmitted);
  (void)table.End("a");
  CHECK(Ask(table, "e") == Admission::kAdmitted);
}

TEST_CASE("with every lookup stuck all are refused until one ends") {
  LookupTable table(Two());
  CHECK(Ask(table, "a") == Admission::kAdmitted);
  CHECK(table.Begin(kStart) == "a");
  CHECK(Ask(table, "b", kStart + 1h) == Admission::kAdmitted);  // one of two
  CHECK(table.Begin(kStart + 1h) == "b");
  CHECK(Ask(table, "c", kStart + 1h + 6s - 1ns) == Admission::kAdmitted);
  CHECK(Ask(table, "d", kStart + 1h + 6s) == Admission::kStuck);
  CHECK(Ask(table, "a", kStart + 1h + 6s) == Admission::kStuck);
  (void)table.End("a");
  CHECK(Ask(table, "d", kStart + 1h + 6s) == Admission::kAdmitted);
}

TEST_CASE("a lookup that nobody waits for any more is not begun, and one that runs can be joined") {
  LookupTable table(Two());
  const auto alone = Request("a");
  const auto one = Request("b");
  const auto other = Request("b");
  for (const auto& request : {alone, one, other}) (void)table.Ask(request, kStart);
  table.Leave(*alone);
  table.Leave(*one);
  CHECK(table.queued() == 1);
  CHECK(table.Begin(kStart) == "b");
  table.Leave(*other);
  CHECK(table.running() == 1);
  const auto late = Request("b");
  CHECK(table.Ask(late, kStart) == Admission::kAdmitted);
  CHECK(table.queued() == 0);
  CHECK(List(table.End("b")) == std::vector{late});
  table.Leave(*late);
  table.Leave(*alone);
  CHECK(table.queued() == 0);
  CHECK(table.running() == 0);
}

TEST_CASE("all who wait can be taken out while lookups run") {
  LookupTable table(Two());
  const auto a = Request("a");
  const auto b = Request("b");
  (void)table.Ask(a, kStart);
  CHECK(table.Begin(kStart) == "a");
  (void)table.Ask(b, kStart);
  CHECK(List(table.TakeAll()) == std::vector{a, b});
  CHECK(table.queued() == 0);
  CHECK(table.Begin(kStart) == std::nullopt);
  CHECK(table.End("a").empty());
}

TEST_CASE("a request is answered once, with its port, and not after it was abandoned") {
  int answers = 0;
  LookupResult got;
  const auto keep = [&](LookupResult result) {
    ++answers;
    got = std::move(result);
  };
  const LookupResult result = std::vector<Address>{*Address::Parse("127.0.0.1", 0)};
  LookupRequest request("a", 8080, keep);
  request.Answer(result);
  request.Answer(absl::UnavailableError("again"));
  CHECK(answers == 1);
  REQUIRE(got.ok());
  CHECK(got->front().ToString() == "127.0.0.1:8080");

  LookupRequest abandoned("a", 80, keep);
  abandoned.Abandon();
  abandoned.Answer(result);
  CHECK(answers == 1);

  LookupRequest throws("a", 80, [](const LookupResult&) { throw std::runtime_error("no"); });
  throws.Answer(result);

  std::optional<LookupRequest> gives_up;
  gives_up.emplace("a", 80, [&](const LookupResult&) {
    ++answers;
    gives_up->Abandon();
  });
  gives_up->Answer(result);
  CHECK(answers == 2);
}

}  // namespace
}  // namespace holdfast::http::internal::lookup_table_test
