// One script of stack, arrivals and backend gives the same list of (time, policy, verdict) under
// the three drivers: blocking threads, Asio, and the simulator, all in virtual time.
#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/breaker/circuit_break.h"
#include "holdfast/concurrency/bulkhead.h"
#include "holdfast/hedge/hedge.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/retry/retry.h"
#include "holdfast/testing/fake_clock.h"
#include "holdfast/testing/simulate.h"
#include "holdfast/testing/world.h"
#include "holdfast/timeout/timeout.h"
#include "test/asio/support/auditor.h"
#include "test/asio/support/net.h"
#include "test/support/catch.h"
#include "test/support/collected.h"
#include "test/support/serial_clock.h"
#include "test/support/span_book.h"

namespace holdfast::testing::same_trace_test {
namespace {

using namespace std::chrono_literals;

using Trace = std::vector<std::string>;

// A policy of any type, in a stack that is made up at run time. It writes down what it answers.
class Slot {
 public:
  struct AnyState {
    virtual ~AnyState() = default;
  };
  struct Model {
    virtual ~Model() = default;
    virtual std::unique_ptr<AnyState> NewState() = 0;
    virtual Verdict Before(Call& call, AnyState& state) = 0;
    virtual Next After(Call& call, AnyState& state, absl::Status& result) = 0;
    virtual void OnAbandon(Call& call, AnyState& state) = 0;
  };

  template <class P>
  Slot(std::string name, P policy, Trace* trace)
      : name_(std::move(name)),
        model_(std::make_shared<ModelOf<P>>(std::move(policy))),
        trace_(trace) {}

  struct State {
    ~State() {
      if (at_end) at_end();
    }
    std::unique_ptr<AnyState> state;
    std::function<void()> at_end;
  };

  Verdict Before(Call& call, State& state) {
    const TimePoint now = call.now();
    if (!state.state) {
      state.state = model_->NewState();
      state.at_end = at_end_;
    }
    Verdict verdict = model_->Before(call, *state.state);
    const char* const kinds[] = {"proceed", "wait", "reject"};
    const bool proceeds = verdict.kind() == Verdict::Kind::kProceed;
    Write(call, now, kinds[static_cast<int>(verdict.kind())],
          proceeds ? TimePoint::min() : verdict.time());
    return verdict;
  }

  Next After(Call& call, State& state, absl::Status& result) {
    const TimePoint now = call.now();
    const Next next = model_->After(call, *state.state, result);
    Write(call, now,
          absl::StrCat(next.again() ? "again " : "done ", absl::StatusCodeToString(result.code())),
          next.at());
    return next;
  }

  void OnAbandon(Call& call, State& state) {
    if (state.state) model_->OnAbandon(call, *state.state);
  }

  void set_at_end(std::function<void()> at_end) { at_end_ = std::move(at_end); }

 private:
  template <class P>
  struct ModelOf final : Model {
    struct StateOf final : AnyState {
      typename P::State state;
    };
    explicit ModelOf(P p) : policy(std::move(p)) {}
    std::unique_ptr<AnyState> NewState() override { return std::make_unique<StateOf>(); }
    Verdict Before(Call& call, AnyState& state) override {
      return policy.Before(call, static_cast<StateOf&>(state).state);
    }
    Next After(Call& call, AnyState& state, absl::Status& result) override {
      return policy.After(call, static_cast<StateOf&>(state).state, result);
    }
    void OnAbandon(Call& call, AnyState& state) override {
      if constexpr (requires(typename P::State& s) { policy.OnAbandon(call, s); }) {
        policy.OnAbandon(call, static_cast<StateOf&>(state).state);
      }
    }
    P policy;
  };

  void Write(const Call& call, TimePoint now, std::string_view what, TimePoint time) const {
    trace_->push_back(absl::StrCat(
        now.time_since_epoch().count(), " call ", std::string(call.key()), " attempt ",
        call.attempt(), ": ", name_, " ", std::string(what), " ", time.time_since_epoch().count()));
  }

  std::string name_;
  std::shared_ptr<Model> model_;
  Trace* trace_;
  std::function<void()> at_end_;
};

struct NoPolicy {
  struct State {};
  Verdict Before(Call&, State&) { return Verdict::Proceed(); }
  Next After(Call&, State&, absl::Status&) { return Next::Done(); }
};

// Everything about a run that is random; made anew for each driver, from the same seed.
class Script {
 public:
  Script(std::uint64_t seed, bool hedged, Trace* trace) : gen_(seed), seed_(seed), trace_(trace) {
    const int slots = 6;
    for (int i = 0; i < slots; ++i) {
      // Where a deadline is outside of a fork, the fork and its branches are late at the same time.
      slots_.emplace_back(RandomSlot(hedged && i < slots / 2));
    }
    const auto calls = Int(1, 12);
    for (std::int64_t i = 0; i < calls; ++i) arrivals_.emplace_back(Time(0, 60));
    reports_.resize(arrivals_.size());
    hedge_delay_ = Time(1, 15);
    max_hedges_ = static_cast<int>(Int(1, 2));
  }

  const std::vector<TimePoint>& arrivals() const { return arrivals_; }
  std::vector<Report>& reports() { return reports_; }
  const std::vector<Report>& reports() const { return reports_; }
  int attempts() const { return attempts_.load(std::memory_order_relaxed); }
  Slot& slot(int i) { return slots_[static_cast<std::size_t>(i)]; }
  auto hedge(std::shared_ptr<ThreadPool> pool) const {
    return Hedge({.delay = hedge_delay_, .max_hedges = max_hedges_, .pool = std::move(pool)},
                 HedgeAll());
  }

  // How an attempt of a call goes: how long it takes, and its end.
  std::pair<Duration, absl::Status> Attempt(const Call& call) const {
    attempts_.fetch_add(1, std::memory_order_relaxed);
    std::mt19937_64 gen(seed_ * 1000 + std::hash<std::string_view>()(call.key()) * 31 +
                        static_cast<std::uint64_t>(call.attempt()));
    const Duration takes(static_cast<std::int64_t>(gen() % 25'000'000) + 1);
    const auto end = gen() % 10;
    if (end < 4) return {takes, absl::OkStatus()};
    if (end < 5) return {takes, absl::NotFoundError("no")};
    return {takes, absl::UnavailableError("down")};
  }

 private:
  std::int64_t Int(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(gen_() % static_cast<std::uint64_t>(high - low + 1));
  }
  // To the nanosecond, so that no two things happen at the same time by accident.
  Duration Time(std::int64_t low_ms, std::int64_t high_ms) {
    return Duration(Int(low_ms * 1'000'000 + 1, high_ms * 1'000'000));
  }

  Slot RandomSlot(bool above_a_fork) {
    const std::string where = absl::StrCat(slots_.size(), " ");
    switch (Int(0, 5)) {
      case 0:
        if (above_a_fork) break;
        return {where + "timeout", Timeout(Time(5, 60)), trace_};
      case 1:
        return {where + "retry",
                Retry({.max_attempts = static_cast<int>(Int(1, 4)),
                       .backoff = Backoff::Linear(Time(1, 8), 30ms),
                       .budget = std::make_shared<RetryBudget>(
                           RetryBudget::Options{.capacity = Int(0, 8), .per_success = 0.5}),
                       .max_elapsed = Time(20, 200)}),
                trace_};
      case 2:
        return {
            where + "breaker",
            CircuitBreak({.max_requests = Int(1, 2),
                          .timeout = Time(5, 30),
                          .ready_to_trip =
                              [n = static_cast<std::uint64_t>(Int(1, 4))](const BreakerCounts& c) {
                                return c.consecutive_failures >= n;
                              }}),
            trace_};
      case 3:
        return {where + "rate",
                RateLimit({.rate = static_cast<double>(Int(50, 400)), .burst = Int(1, 4)},
                          {.max_wait = Time(1, 40)}),
                trace_};
      case 4:
        // One, so that a call that goes gives way to one other at most.
        if (std::exchange(has_bulkhead_, true)) break;
        return {where + "bulkhead",
                Bulkhead({.limit = Int(1, 3)}, {.max_wait = Time(5, 50), .max_queue = Int(0, 6)}),
                trace_};
      default:
        break;
    }
    return {where + "none", NoPolicy{}, trace_};
  }

  std::mt19937_64 gen_;
  std::uint64_t seed_;
  mutable std::atomic<int> attempts_{0};  // relaxed: read when all of them have ended
  Trace* trace_;
  bool has_bulkhead_ = false;
  std::vector<Slot> slots_;
  std::vector<TimePoint> arrivals_;
  std::vector<Report> reports_;  // of each call
  Duration hedge_delay_;
  int max_hedges_;
};

// What the reports, the events and the counters of a run have in common: each tells all of it.
void Audit(const Script& script, const CollectedObject& meter, const test::Auditor& auditor) {
  for (std::size_t i = 0; i < script.reports().size(); ++i) {
    INFO("call " << i);
    REQUIRE(test::TextOf(auditor.report(absl::StrCat(i))) == test::TextOf(script.reports()[i]));
  }
  test::Collected counters;
  meter.collect(meter.object.lock().get(), counters);
  CHECK(counters.sum("holdfast.calls") == static_cast<double>(script.arrivals().size()));
  CHECK(counters.at("holdfast.active_calls") == 0);
  CHECK(counters.sum("holdfast.attempts") == script.attempts());
  CHECK(counters.sum("holdfast.call.duration") == counters.sum("holdfast.calls"));
  CHECK(counters.sum("holdfast.attempt.duration") == script.attempts());
  CHECK(counters.sum("holdfast.refusals") == auditor.count(EventKind::kRefused));
  CHECK(counters.sum("holdfast.timeouts") == auditor.count(EventKind::kCutOff));
  CHECK(counters.at("holdfast.hedges", "holdfast.outcome=won") ==
        auditor.count(EventKind::kHedgeWon));
  CHECK(counters.sum("holdfast.retries.abandoned") == auditor.count(EventKind::kGaveUp));
}

// Each span has one end, each call one trace, and each run of the executor one span in it. A hedged
// call also counts copies that were sent and did not come as far.
void AuditSpans(const Script& script, bool hedged, const std::vector<test::WrittenSpan>& spans) {
  REQUIRE(test::WhatIsWrongWith(spans) == test::kNothing);
  std::map<SpanId, int> attempts;  // of each call
  std::size_t calls = 0;
  for (const test::WrittenSpan& span : spans) {
    if (span.is_call) {
      ++calls;
    } else {
      ++attempts[span.parent->span_id()];
    }
  }
  REQUIRE(calls == script.arrivals().size());
  REQUIRE(spans.size() - calls == static_cast<std::size_t>(script.attempts()));
  for (const test::WrittenSpan& span : spans) {
    if (!span.is_call) continue;
    const Report& report = script.reports()[std::stoul(span.key)];
    REQUIRE(span.attempts == report.attempts);
    REQUIRE(span.ended_by == report.ended_by);
    REQUIRE((hedged || attempts[span.context.span_id()] == report.attempts));
  }
}

// Gives `run` the script's stack, with a hedge in its middle or without.
template <class F>
void WithStack(Script& script, bool hedged, const std::shared_ptr<ThreadPool>& pool, const F& run) {
  const auto& s = [&script](int i) { return script.slot(i); };
  const auto observed = [&](const auto& stack) {
    const auto auditor = std::make_shared<test::Auditor>();
    const auto book = std::make_shared<test::SpanBook>();
    const CollectedObjects objects = stack.Objects();
    const CollectedObject& meter = objects.all().front();
    meter.time(meter.object.lock().get());
    meter.count_active(meter.object.lock().get());
    run(stack.Observed("scripted", auditor).Traced("scripted", book));
    Audit(script, meter, *auditor);
    AuditSpans(script, hedged, book->spans());
  };
  if (hedged) {
    observed(Stack(s(0), s(1), s(2), script.hedge(pool), s(3), s(4), s(5)));
  } else {
    observed(Stack(s(0), s(1), s(2), s(3), s(4), s(5)));
  }
}

void WriteResult(Trace& trace, TimePoint now, std::size_t call, const absl::Status& result) {
  trace.push_back(absl::StrCat(now.time_since_epoch().count(), " call ", call, " ends ",
                               absl::StatusCodeToString(result.code())));
}

Trace RunBlocking(std::uint64_t seed, bool hedged) {
  Trace trace;
  Script script(seed, hedged, &trace);
  auto pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  SerialClock clock(*pool);
  script.slot(3).set_at_end([] { SerialClock::Leave(); });
  if (!hedged) script.slot(3).set_at_end(nullptr);
  WithStack(script, hedged, pool, [&](const auto& stack) {
    const auto fetch = stack.Around(
        [&](Call& call) -> absl::Status {
          const auto [takes, end] = script.Attempt(call);
          const TimePoint done = clock.Now() + takes;
          if (!internal::SleepUntil(&clock, std::min(done, call.deadline()), call.stop())) {
            return absl::CancelledError("stopped");
          }
          return done < call.deadline() ? end : absl::DeadlineExceededError("late");
        },
        &clock);
    std::vector<std::pair<TimePoint, std::function<void()>>> calls;
    for (std::size_t i = 0; i < script.arrivals().size(); ++i) {
      calls.emplace_back(script.arrivals()[i], [&, i] {
        const std::string key = absl::StrCat(i);
        const absl::Status result = fetch.With({.key = key, .report = &script.reports()[i]});
        WriteResult(trace, clock.Now(), i, result);
      });
    }
    clock.Run(calls);
    // A branch that nobody waits for is counted after it has left the clock.
    while (pool->idle() != pool->threads()) std::this_thread::yield();
  });
  return trace;
}

// An attempt over Asio: waits on the fake clock, and can be cancelled.
class VirtualAttempt final : public Waker, public std::enable_shared_from_this<VirtualAttempt> {
 public:
  using Handler = std::function<void(absl::Status)>;

  VirtualAttempt(net::io_context& io, FakeClock& clock, Handler handler)
      : io_(io), clock_(clock), handler_(std::move(handler)) {}

  void Start(Duration takes, absl::Status end) {
    end_ = std::move(end);
    self_ = shared_from_this();
    clock_.SetTimer(timer_, clock_.Now() + takes);
  }
  void Cancel() {
    if (!self_) return;
    clock_.CancelTimer(timer_);
    end_ = absl::CancelledError("cancelled");
    Wake();
  }
  void Wake() noexcept override {
    net::post(io_,
              [self = std::move(self_)] { std::exchange(self->handler_, nullptr)(self->end_); });
  }

 private:
  net::io_context& io_;
  FakeClock& clock_;
  Handler handler_;
  absl::Status end_;
  Timer timer_{*this};
  std::shared_ptr<VirtualAttempt> self_;  // while it is under way
};

Trace RunAsio(std::uint64_t seed, bool hedged) {
  Trace trace;
  Script script(seed, hedged, &trace);
  FakeClock clock;
  net::io_context io;
  // Calls begin as what they are to Asio: posted when their time comes.
  struct Arrival final : Waker {
    Arrival(net::io_context& context, std::function<void()> begin_call)
        : io(context), begin(std::move(begin_call)) {}
    void Wake() noexcept override { net::post(io, begin); }
    net::io_context& io;
    std::function<void()> begin;
    Timer timer{*this};
  };
  WithStack(script, hedged, nullptr, [&](const auto& stack) {
    const auto fetch = stack.AroundAsync(
        [&](Call& call, auto&& token) {
          return net::async_initiate<decltype(token), void(absl::Status)>(
              [&io, &clock](auto handler, std::pair<Duration, absl::Status> how) {
                auto slot = net::get_associated_cancellation_slot(handler);
                auto shared = std::make_shared<decltype(handler)>(std::move(handler));
                auto attempt = std::make_shared<VirtualAttempt>(
                    io, clock, [shared](absl::Status end) { std::move (*shared)(std::move(end)); });
                if (slot.is_connected()) {
                  slot.assign([attempt](net::cancellation_type) { attempt->Cancel(); });
                }
                attempt->Start(how.first, std::move(how.second));
              },
              token, script.Attempt(call));
        },
        io.get_executor(), &clock);
    std::vector<std::string> keys;
    std::vector<std::unique_ptr<Arrival>> arrivals;
    for (std::size_t i = 0; i < script.arrivals().size(); ++i) keys.push_back(absl::StrCat(i));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      arrivals.push_back(std::make_unique<Arrival>(io, [&, i] {
        fetch.With({.key = keys[i], .report = &script.reports()[i]},
                   [&trace, &clock, i](const absl::Status& result) {
                     WriteResult(trace, clock.Now(), i, result);
                   });
      }));
      clock.SetTimer(arrivals.back()->timer, script.arrivals()[i]);
    }
    do {
      io.restart();
      io.poll();
    } while (clock.AdvanceToNext());
  });
  return trace;
}

Trace RunSimulated(std::uint64_t seed, bool hedged) {
  Trace trace;
  Script script(seed, hedged, &trace);
  World world;
  WithStack(script, hedged, nullptr, [&](const auto& stack) {
    const auto fetch = Simulate(world, stack, [&](Call& call, Reply<absl::Status> reply) {
      const auto how = script.Attempt(call);
      world.After(how.first, [reply, end = how.second] { reply.Done(end); });
    });
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < script.arrivals().size(); ++i) keys.push_back(absl::StrCat(i));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      world.At(script.arrivals()[i].time_since_epoch(), [&, i] {
        fetch.With({.key = keys[i], .report = &script.reports()[i]},
                   [&trace, &world, i](const absl::Status& result) {
                     WriteResult(trace, world.Now(), i, result);
                   });
      });
    }
    world.Run();
  });
  return trace;
}

// The first difference, for the message.
std::string Difference(const Trace& a, const Trace& b) {
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string_view x = i < a.size() ? std::string_view(a[i]) : "(the end)";
    const std::string_view y = i < b.size() ? std::string_view(b[i]) : "(the end)";
    if (x != y) return absl::StrCat("line ", i, ": ", std::string(x), "\n  but: ", std::string(y));
  }
  return "";
}

// Along the way each run is audited.
TEST_CASE("the three drivers decide alike", "[same_trace]") {
  const bool hedged = GENERATE(false, true);
  std::size_t entries = 0;
  for (std::uint64_t seed = 1; seed <= 250; ++seed) {
    const Trace simulated = RunSimulated(seed, hedged);
    entries += simulated.size();
    const std::string asio = Difference(simulated, RunAsio(seed, hedged));
    const std::string blocking = Difference(simulated, RunBlocking(seed, hedged));
    INFO("seed " << seed << (hedged ? ", hedged" : "") << "\nAsio, " << asio << "\nblocking, "
                 << blocking);
    REQUIRE((asio.empty() && blocking.empty()));
  }
  CHECK(entries > 5000);  // there was something to decide
}

}  // namespace
}  // namespace holdfast::testing::same_trace_test
