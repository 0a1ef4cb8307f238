#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "holdfast/base/waker.h"
#include "holdfast/concurrency/adaptive_limit.h"
#include "holdfast/concurrency/adaptive_limiter.h"
#include "holdfast/concurrency/bulkhead.h"
#include "holdfast/concurrency/semaphore.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/fake_clock.h"
#include "test/support/caller.h"
#include "test/support/catch.h"
#include "test/support/collected.h"
#include "test/support/threads.h"

namespace holdfast::concurrency_metrics_test {
namespace {

using namespace std::chrono_literals;
using test::Approx;
using test::Caller;
using test::Collected;
using testing::FakeClock;
using Counts = std::map<std::string, double>;

std::shared_ptr<Semaphore> Permits(std::int64_t limit, Clock* clock = nullptr) {
  return std::make_shared<Semaphore>(
      Semaphore::Options{.limit = limit, .name = "db", .clock = clock});
}

template <class Object>
Collected Look(const Object& object) {
  Collected collected;
  object.Collect(collected);
  return collected;
}

std::string Attributes(std::string_view reason, std::string_view priority) {
  return std::string("holdfast.reason=")
      .append(reason)
      .append(",holdfast.priority=")
      .append(priority);
}

// The refusals that are not zero, as {"full normal", 3}.
template <class Object>
Counts Refusals(const Object& object, const std::string& policy = "bulkhead") {
  constexpr std::array kReasons = {"full",     "queue_full", "gave_way",        "max_wait",
                                   "deadline", "cancelled",  "exceeds_capacity"};
  constexpr std::array kNames = {"sheddable", "low", "normal", "critical"};
  const Collected collected = Look(object);
  const std::string metric = "holdfast." + policy + ".refusals";
  Counts counts;
  for (const std::string reason : kReasons) {
    for (const std::string priority : kNames) {
      const double count = collected.at(metric, Attributes(reason, priority));
      if (count != 0) counts[reason + " " + priority] = count;
    }
  }
  return counts;
}

template <class Object>
double AllRefusals(const Object& object, const std::string& policy = "bulkhead") {
  double sum = 0;
  for (const auto& [what, count] : Refusals(object, policy)) sum += count;
  return sum;
}

TEST_CASE("a semaphore tells its limit, its use and its queue") {
  const auto permits = Permits(3);
  const auto held = permits->TryAcquire(2);
  Parker waker;
  Semaphore::Waiter waiter;
  REQUIRE(waiter.TryEnter(*permits, waker, {.n = 2}));
  const Collected collected = Look(*permits);
  CHECK(collected.at("holdfast.bulkhead.limit") == 3);
  CHECK(collected.at("holdfast.bulkhead.in_use") == 2);
  CHECK(collected.at("holdfast.bulkhead.queued") == 1);
  CHECK(collected.all().size() == 3 + 7 * 4);  // series that are zero too
}

TEST_CASE("what a semaphore refuses by hand counts once, by its reason") {
  FakeClock clock(TimePoint{1h});
  const auto permits = Permits(2, &clock);
  std::optional<Permit> held = permits->TryAcquire(2);
  CHECK(Refusals(*permits).empty());

  CHECK_FALSE(permits->TryAcquire());
  CHECK_FALSE(permits->TryAcquire(2));
  CHECK_FALSE(permits->TryAcquire(0));
  CHECK_FALSE(permits->TryAcquire(3));
  CHECK_FALSE(permits->Acquire(3).ok());
  CHECK_FALSE(permits->Acquire(1, {.deadline = clock.Now() - 1ns}).ok());
  CHECK_FALSE(permits->Acquire(1, {.deadline = clock.Now() + 1s}).ok());  // it waits
  std::stop_source stop;
  std::jthread waits([&] { (void)permits->Acquire(1, {.stop = stop.get_token()}); });
  clock.AwaitWaiters(1);
  stop.request_stop();
  waits.join();
  CHECK_FALSE(permits->Acquire(1, {.stop = stop.get_token()}).ok());

  const Counts expected = {{"full normal", 2},
                           {"exceeds_capacity normal", 3},
                           {"deadline normal", 2},
                           {"cancelled normal", 2}};
  CHECK(Refusals(*permits) == expected);
  held->Release();
  CHECK(permits->Acquire(2).ok());
  CHECK(Refusals(*permits) == expected);
}

TEST_CASE("what becomes of a waiter counts once, by its priority") {
  const auto permits = Permits(2);
  std::optional<Permit> held = permits->TryAcquire(2);
  Parker waker;
  {
    Semaphore::Waiter low, critical, refused;
    REQUIRE(low.TryEnter(*permits, waker, {.priority = Priority::kLow, .max_queue = 1}));
    REQUIRE(critical.TryEnter(*permits, waker, {.priority = Priority::kCritical, .max_queue = 1}));
    CHECK(Refusals(*permits) == Counts{{"gave_way low", 1}});
    CHECK_FALSE(low.Take()->ok());
    CHECK_FALSE(refused.TryEnter(*permits, waker, {.max_queue = 1}));
    CHECK(Refusals(*permits) == Counts{{"gave_way low", 1}, {"queue_full normal", 1}});
  }
  CHECK(Refusals(*permits) ==
        Counts{{"gave_way low", 1}, {"queue_full normal", 1}, {"cancelled critical", 1}});
  {
    Semaphore::Waiter both, one;
    REQUIRE(both.TryEnter(*permits, waker, {.n = 2, .priority = Priority::kSheddable}));
    REQUIRE(one.TryEnter(*permits, waker, {.priority = Priority::kSheddable}));
    permits->SetLimit(1);  // so `both` can never be served, and is destroyed without a Take
    held->Release();
    CHECK(one.Take()->ok());
  }
  CHECK(Refusals(*permits) == Counts{{"gave_way low", 1},
                                     {"queue_full normal", 1},
                                     {"cancelled critical", 1},
                                     {"exceeds_capacity sheddable", 1}});
}

TEST_CASE("a waiter that goes without the permits that it was given was refused") {
  const auto permits = Permits(1);
  std::optional<Permit> held = permits->TryAcquire();
  {
    Parker waker;
    Semaphore::Waiter waiter;
    REQUIRE(waiter.TryEnter(*permits, waker, {}));
    held->Release();
    CHECK(permits->in_use() == 1);
  }
  CHECK(permits->in_use() == 0);
  CHECK(Refusals(*permits) == Counts{{"cancelled normal", 1}});
}

TEST_CASE("a bulkhead counts each call that it refuses once, by reason and priority") {
  FakeClock clock(TimePoint{1h});
  const auto permits = Permits(1);
  std::optional<Permit> held = permits->TryAcquire();
  std::tuple at_once{Bulkhead(permits, {.max_queue = 0})};
  std::tuple one_waits{Bulkhead(permits, {.max_wait = 1s, .max_queue = 1})};
  const auto refused = [&](auto& caller) { return !caller.waits() && !caller.ran(); };

  Caller full(at_once, clock, {.priority = Priority::kLow});
  CHECK(refused(full));
  Caller patient(one_waits, clock, {.priority = Priority::kSheddable});
  Caller no_room(one_waits, clock, {.priority = Priority::kSheddable});
  CHECK(refused(no_room));
  Caller late(one_waits, clock, {.deadline = clock.Now() + 500ms});  // instead of `patient`
  CHECK(refused(patient.Look()));
  clock.Advance(500ms);
  CHECK(refused(late.Look()));
  Caller waited(one_waits, clock);
  clock.Advance(1s);
  CHECK(refused(waited.Look()));
  Caller stopped(one_waits, clock, {.priority = Priority::kCritical});
  CHECK(stopped.Stop().code() == absl::StatusCode::kCancelled);

  const Counts expected = {{"full low", 1},           {"queue_full sheddable", 1},
                           {"gave_way sheddable", 1}, {"deadline normal", 1},
                           {"max_wait normal", 1},    {"cancelled critical", 1}};
  CHECK(Refusals(*permits) == expected);
  held->Release();
  CHECK(Caller(at_once, clock).ran());
  CHECK(Caller(one_waits, clock).ran());
  CHECK(Refusals(*permits) == expected);
}

using Ticket = AdaptiveLimiter::Ticket;

// As many calls at once as there are places, each of 10 ms, for the time of a window.
void FillWindow(AdaptiveLimiter& limiter, TimePoint& now, Outcome outcome) {
  for (const TimePoint end = now + 150ms; now < end;) {
    std::vector<Ticket> tickets;
    for (auto ticket = limiter.AdmitAt(now); ticket.ok(); ticket = limiter.AdmitAt(now)) {
      tickets.push_back(*std::move(ticket));
    }
    now += 10ms;
    for (Ticket& ticket : tickets) ticket.DoneAt(now, outcome);
  }
}

TEST_CASE("an adaptive limiter tells what it has learned, and how often its limit changed") {
  const auto changes = [](const AdaptiveLimiter& limiter, std::string_view direction) {
    return Look(limiter).at("holdfast.adaptive_limit.changes",
                            std::string("holdfast.direction=").append(direction));
  };
  TimePoint now{1h};
  AdaptiveLimiter vegas({.initial = 20});
  CHECK_FALSE(Look(vegas).has("holdfast.adaptive_limit.no_load_latency"));
  for (int i = 0; i < 5; ++i) FillWindow(vegas, now, Outcome::kSuccess);
  CHECK(Look(vegas).at("holdfast.adaptive_limit.no_load_latency") == Approx(0.01));

  AdaptiveLimiter aimd({.algorithm = Aimd{}, .initial = 20, .minimum = 1});
  for (int i = 0; i < 5; ++i) FillWindow(aimd, now, Outcome::kSuccess);
  const auto limit = static_cast<double>(aimd.limit());
  CHECK(limit > 20);
  CHECK(Look(aimd).at("holdfast.adaptive_limit.limit") == limit);
  CHECK(changes(aimd, "up") == limit - 20);  // by one each
  CHECK(changes(aimd, "down") == 0);
  CHECK_FALSE(Look(aimd).has("holdfast.adaptive_limit.no_load_latency"));
  REQUIRE(aimd.Update({.algorithm = Aimd{}, .minimum = 1, .maximum = 10}).ok());
  CHECK(aimd.limit() == 10);
  CHECK(changes(aimd, "up") == limit - 20);
  CHECK(changes(aimd, "down") == 1);
}

TEST_CASE("an adaptive limiter counts its refusals as its own, not as a bulkhead's") {
  FakeClock clock;
  const auto limiter =
      std::make_shared<AdaptiveLimiter>(AdaptiveLimiter::Options{.initial = 1, .name = "orders"});
  absl::StatusOr<Ticket> held = limiter->AdmitAt(clock.Now());
  CHECK_FALSE(limiter->AdmitAt(clock.Now()).ok());
  CHECK_FALSE(limiter->Admit().ok());
  std::tuple policies{AdaptiveLimit(limiter, {.max_wait = 1s})};
  Caller caller(policies, clock, {.priority = Priority::kLow});
  CHECK(Look(*limiter).at("holdfast.adaptive_limit.queued") == 1);
  clock.Advance(1s);
  CHECK_FALSE(caller.Look().waits());
  CHECK(Refusals(*limiter, "adaptive_limit") == Counts{{"full normal", 2}, {"max_wait low", 1}});
  const Collected collected = Look(*limiter);
  CHECK(collected.at("holdfast.adaptive_limit.limit") == 1);
  CHECK(collected.at("holdfast.adaptive_limit.in_use") == 1);
  for (const auto& [series, value] : collected.all()) {
    CHECK(series.first.starts_with("holdfast.adaptive_limit."));
  }
}

TEST_CASE("the policies name their objects, each once") {
  const auto limiter =
      std::make_shared<AdaptiveLimiter>(AdaptiveLimiter::Options{.name = "orders"});
  const auto permits = Permits(7);
  const CollectedObjects objects = Stack(AdaptiveLimit(limiter), Bulkhead(permits)).Objects();
  REQUIRE(objects.all().size() == 3);
  const CollectedObject& first = objects.all()[1];
  const CollectedObject& second = objects.all()[2];
  CHECK(first.kind == "AdaptiveLimit");
  CHECK(first.name(first.object.lock().get()) == "orders");
  CHECK(second.kind == "Bulkhead");
  CHECK(second.name(second.object.lock().get()) == "db");
  Collected collected;
  second.collect(second.object.lock().get(), collected);
  CHECK(collected.at("holdfast.bulkhead.limit") == 7);
}

// What a limiter did in a script, with many looks at it in the midst if `looks`.
std::vector<std::int64_t> LimiterTrace(bool looks) {
  FakeClock clock;
  std::int64_t classified = 0;
  AdaptiveLimiter limiter({.classify =
                               [&classified](const absl::Status& status) {
                                 ++classified;
                                 return status.ok() ? Outcome::kSuccess : Outcome::kFailure;
                               },
                           .clock = &clock});
  std::vector<std::int64_t> trace;
  Collected collected;
  for (int round = 0; round < 40; ++round) {
    std::vector<Ticket> tickets;
    for (auto ticket = limiter.Admit(); ticket.ok(); ticket = limiter.Admit()) {
      tickets.push_back(*std::move(ticket));
    }
    for (int i = 0; looks && i < (round == 20 ? 1000 : 1); ++i) limiter.Collect(collected);
    clock.Advance(round % 3 == 0 ? 40ms : 15ms);
    const absl::Status status = round % 7 == 0 ? absl::UnavailableError("") : absl::OkStatus();
    for (Ticket& ticket : tickets) ticket.Done(limiter.Classify(status));
    trace.insert(trace.end(), {limiter.limit(), std::ssize(tickets), classified});
  }
  return trace;
}

TEST_CASE("to look at a limiter changes nothing, and runs no callback") {
  CHECK(LimiterTrace(true) == LimiterTrace(false));
}

// What a bulkhead did in a script, likewise.
std::vector<std::string> BulkheadTrace(bool looks) {
  FakeClock clock;
  const auto permits = Permits(1);
  std::vector<std::string> trace;
  Collected collected;
  const auto look = [&] {
    for (int i = 0; looks && i < 170; ++i) permits->Collect(collected);
  };
  std::optional<Permit> held = permits->TryAcquire();
  std::tuple policies{Bulkhead(permits, {.max_wait = 1s, .max_queue = 2})};
  Caller low(policies, clock, {.priority = Priority::kLow});
  Caller normal(policies, clock);
  look();
  Caller critical(policies, clock, {.priority = Priority::kCritical});
  look();
  clock.Advance(500ms);
  held->Release();
  look();
  for (Caller<Bulkhead>* caller : {&low, &critical, &normal}) {
    caller->Look();
    look();
    trace.push_back(caller->waits() ? "waits" : caller->result().ToString());
  }
  clock.Advance(1s);
  normal.Look();
  trace.push_back(normal.result().ToString());
  trace.push_back(std::to_string(permits->in_use()));
  for (const auto& [what, count] : Refusals(*permits)) trace.push_back(what);
  return trace;
}

TEST_CASE("to look at a semaphore changes nothing") {
  CHECK(BulkheadTrace(true) == BulkheadTrace(false));
}

TEST_CASE("among threads each call is admitted or counted as refused, and counts never shrink") {
  constexpr int kThreads = 6;
  constexpr int kCalls = 3000;
  const auto permits = Permits(2);
  const auto at_once =
      Stack(Bulkhead(permits, {.max_queue = 0})).Around([] { return absl::OkStatus(); });
  const auto queued = Stack(Bulkhead(permits, {.max_wait = 50us, .max_queue = 1})).Around([] {
    return absl::OkStatus();
  });
  std::atomic<std::int64_t> admitted{0};
  std::atomic<int> finished{0};
  std::atomic<bool> shrank{false};
  test::InThreads(kThreads + 1, [&](int thread) {
    if (thread == kThreads) {
      for (double before = 0; finished.load(std::memory_order_relaxed) < kThreads;) {
        const double now = AllRefusals(*permits);
        if (now < before) shrank.store(true, std::memory_order_relaxed);
        before = now;
      }
      return;
    }
    for (int i = 0; i < kCalls; ++i) {
      bool ok = false;
      switch ((i + thread) % 4) {
        case 0:
          ok = permits->TryAcquire(1 + i % 3).has_value();
          break;
        case 1:
          ok = permits->Acquire(1 + i % 2, {.deadline = SteadyClock()->Now() + 20us}).ok();
          break;
        case 2:
          ok = at_once.With({.priority = Priority::kLow}).ok();
          break;
        default:
          ok = queued.With({.priority = i % 2 == 0 ? Priority::kNormal : Priority::kCritical}).ok();
      }
      if (ok) admitted.fetch_add(1, std::memory_order_relaxed);
    }
    finished.fetch_add(1, std::memory_order_relaxed);
  });
  CHECK_FALSE(shrank.load());
  CHECK(static_cast<double>(admitted.load()) + AllRefusals(*permits) == kThreads * kCalls);
  CHECK(permits->in_use() == 0);
}

}  // namespace
}  // namespace holdfast::concurrency_metrics_test
