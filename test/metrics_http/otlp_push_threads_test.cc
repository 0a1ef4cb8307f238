// The thread of an OtlpPush: when it pushes, and how it ends. The time of its intervals is fake.
#include <absl/status/status.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <latch>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/call/call.h"
#include "holdfast/http/transport.h"
#include "holdfast/metrics/metrics.h"
#include "holdfast/metrics_http/otlp_push.h"
#include "holdfast/testing/fake_clock.h"
#include "test/http/fault_server.h"
#include "test/metrics_http/receiver.h"
#include "test/support/catch.h"
#include "test/support/fork.h"
#include "test/support/threads.h"

namespace holdfast::otlp_push_threads_test {
namespace {

using namespace std::chrono_literals;
using Code = absl::StatusCode;
using test::Always;
using test::FaultServer;
using test::Peer;
using test::Receiver;
using test::Says;
using test::SomeMetrics;
using test::Told;
using testing::FakeClock;

constexpr std::string_view kAccepted =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";

TEST_CASE("a push comes with each interval, and none before") {
  FakeClock clock;
  clock.set_auto_advance(false);
  Told told;
  const Receiver receiver = Always(Says(200));
  const OtlpPush push(SomeMetrics(), receiver, {.on_push = told.Hook(), .clock = &clock});
  clock.AwaitWaiters(1);
  clock.Advance(60s - 1ns);
  clock.AwaitWaiters(1);
  CHECK(receiver.count() == 0);
  clock.Advance(1ns);
  for (std::size_t n = 1; n <= 3; ++n) {
    CHECK(told.Await(n).size() == n);
    clock.AwaitWaiters(1);
    clock.Advance(60s);
  }
  CHECK(told.Await(4).back().status.ok());
}

TEST_CASE("pushes that were due while one ran are left out") {
  FakeClock clock;
  clock.set_auto_advance(false);
  Told told;
  std::latch started(1);
  std::latch may_end(1);
  const Receiver receiver([&](std::size_t n) {
    if (n == 1) {
      started.count_down();
      may_end.wait();
    }
    return Says(200);
  });
  const OtlpPush push(SomeMetrics(), receiver,
                      {.timeout = 1h, .on_push = told.Hook(), .clock = &clock});
  clock.AwaitWaiters(1);
  clock.Advance(60s);
  started.wait();
  clock.Advance(5 * 60s + 30s);
  may_end.count_down();
  told.Await(1);
  clock.AwaitWaiters(1);
  CHECK(receiver.count() == 1);
  clock.Advance(30s);  // when the seventh is due
  told.Await(2);
  clock.AwaitWaiters(1);
  CHECK(receiver.count() == 2);
}

// Requests go to a server. The clock of the network goes on, that of the push does not: they are
// the same when the scene begins.
struct Scene {
  explicit Scene(const std::string& host, OtlpPushOptions more = {})
      : transport("http://" + host,
                  {.connect_timeout = 1h, .read_timeout = 1h, .write_timeout = 1h}) {
    clock.set_auto_advance(false);
    more.interval = 100ms;
    more.timeout = 10h;
    more.on_push = told.Hook();
    more.clock = &clock;
    push.emplace(
        SomeMetrics(),
        [this](const http::Request& request, Call& call) {
          ++attempts;
          attempts.notify_all();
          return transport(request, call);
        },
        more);
  }

  // Has the thread begin a push.
  void Begin() {
    clock.AwaitWaiters(1);
    clock.Advance(100ms);
    attempts.wait(0);
  }

  FakeClock clock{SteadyClock()->Now()};
  http::Transport transport;
  Told told;
  std::atomic<int> attempts{0};
  std::optional<OtlpPush> push;
};

// Without a stop each of these would last for hours.
TEST_CASE("a push is cut off while it connects") {
  const test::BlackHole nobody;
  Scene scene(nobody.Host());
  scene.Begin();
  scene.push.reset();
  CHECK(scene.told.results().at(0).status.code() == Code::kCancelled);
}

TEST_CASE("a push is cut off while it waits for an answer") {
  std::latch asked(1);
  FaultServer silent([&](const Peer& peer) {
    if (peer.ReadMessage().empty()) return;
    asked.count_down();
    peer.ReadAll();
  });
  Scene scene(silent.Host());
  scene.Begin();
  asked.wait();
  scene.push.reset();
  silent.WaitForClosed(1);
  CHECK(scene.told.results().at(0).status.code() == Code::kCancelled);
}

TEST_CASE("a push is cut off while an answer drips") {
  std::latch dripping(1);
  FaultServer slow([&](const Peer& peer) {
    if (peer.ReadMessage().empty()) return;
    if (!peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")) return;
    dripping.count_down();
    (void)peer.Drip(std::string(1'000'000, 'x'));
  });
  Scene scene(slow.Host());
  scene.Begin();
  dripping.wait();
  scene.push.reset();
  CHECK(scene.told.results().at(0).status.code() == Code::kCancelled);
}

TEST_CASE("a push is cut off while it waits before a retry") {
  FaultServer busy([](const Peer& peer) {
    while (!peer.ReadMessage().empty() && peer.Write(test::kBusy)) {
    }
  });
  Scene scene(busy.Host());
  scene.Begin();
  scene.clock.AwaitWaiters(1);  // for the backoff
  scene.push.reset();
  CHECK(scene.told.results().at(0).status.code() != Code::kOk);
  CHECK(scene.attempts == 1);
}

TEST_CASE("a thread ends while it waits for the next interval") {
  Scene scene("127.0.0.1:1");
  scene.clock.AwaitWaiters(1);
  scene.push.reset();
  CHECK(scene.told.results().empty());
}

TEST_CASE("Stop cuts off a push that hangs, and the last one goes through") {
  std::latch hangs(1);
  FaultServer first_hangs([&](const Peer& peer) {
    if (peer.ReadMessage().empty()) return;
    if (peer.number() > 1) {
      peer.Write(kAccepted);
      return;
    }
    hangs.count_down();
    peer.ReadAll();
  });
  Scene scene(first_hangs.Host());
  scene.Begin();
  hangs.wait();
  CHECK(scene.push->Stop().ok());
  CHECK(scene.told.results().size() == 2);
}

TEST_CASE("Stop ends at its deadline where nobody answers") {
  FaultServer silent([](const Peer& peer) { peer.ReadAll(); });
  Scene scene(silent.Host());
  scene.Begin();
  CHECK(scene.push->Stop(scene.clock.Now() + 50ms).code() == Code::kDeadlineExceeded);
}

TEST_CASE("what is no HTTP is not asked for again, and a lost connection is") {
  FaultServer server([](const Peer& peer) {
    if (peer.ReadMessage().empty()) return;
    if (peer.number() == 1) peer.Write("garbage\r\n\r\n");
    if (peer.number() >= 3) peer.Write(kAccepted);
  });
  FakeClock clock(SteadyClock()->Now());
  OtlpPush push(SomeMetrics(), http::Transport("http://" + server.Host()),
                {.interval = Duration::max(), .timeout = 10h, .clock = &clock});
  CHECK(push.ForceFlush().code() == Code::kDataLoss);
  CHECK(server.accepted() == 1);
  CHECK(push.ForceFlush().ok());
  CHECK(server.accepted() == 3);
}

TEST_CASE("a push goes to a real server") {
  test::Recorder recorder;
  FaultServer server([&recorder](const Peer& peer) {
    for (std::string message = peer.ReadMessage(); !message.empty(); message = peer.ReadMessage()) {
      recorder.Add(message);
      if (!peer.Write(kAccepted)) return;
    }
  });
  OtlpPush push(SomeMetrics(), {.endpoint = "http://" + server.Host() + "/v1/metrics"});
  CHECK(push.ForceFlush().ok());
  CHECK(push.Stop().ok());
  const std::vector<std::string> messages = recorder.messages();
  REQUIRE(messages.size() == 2);
  CHECK(messages[0].starts_with("POST /v1/metrics HTTP/1.1\r\n"));
  CHECK(messages[0].find("Content-Type: application/json\r\n") != std::string::npos);
  CHECK(server.accepted() == 1);
}

TEST_CASE("pushes never overlap, whoever asks for them") {
  std::atomic<int> running{0};
  std::atomic<bool> overlapped{false};
  std::atomic<int> pushes{0};
  FakeClock clock;
  clock.set_auto_advance(false);
  const auto metrics = SomeMetrics();
  OtlpPush push(metrics,
                [&](const http::Request&) {
                  if (running.fetch_add(1) != 0) overlapped = true;
                  ++pushes;
                  std::this_thread::yield();
                  running.fetch_sub(1);
                  return Says(200);
                },
                {.interval = 100ms, .clock = &clock});
  REQUIRE(metrics->Add("otlp", push).ok());
  std::atomic<int> failures{0};
  test::InThreads(4, [&](int i) {
    for (int n = 0; n < 50; ++n) {
      if (i == 0) clock.Advance(100ms);
      if (i == 1) (void)metrics->Text();
      if (!push.ForceFlush().ok()) ++failures;
    }
  });
  CHECK(push.Stop().ok());
  CHECK_FALSE(overlapped);
  CHECK(failures == 0);
  CHECK(pushes >= 201);
}

TEST_CASE("a flush that waits for its turn ends at its stop") {
  FakeClock clock;
  clock.set_auto_advance(false);
  std::latch started(1);
  std::latch may_end(1);
  OtlpPush push(SomeMetrics(),
                [&](const http::Request&) {
                  started.count_down();
                  may_end.wait();
                  return Says(200);
                },
                {.interval = Duration::max(), .clock = &clock});
  std::jthread first([&push] { (void)push.ForceFlush(); });
  started.wait();
  std::stop_source stop;
  std::jthread stops([&] {
    clock.AwaitWaiters(1);
    stop.request_stop();
  });
  CHECK(push.ForceFlush({.stop = stop.get_token()}).code() == Code::kCancelled);
  may_end.count_down();
}

TEST_CASE("a child of fork() has no thread, and its end is not held up") {
  if (!test::kCanFork) return;
  FakeClock clock;
  clock.set_auto_advance(false);
  auto push = std::make_unique<OtlpPush>(SomeMetrics(), Always(Says(200)),
                                         OtlpPushOptions{.clock = &clock});
  clock.AwaitWaiters(1);
  test::Child child([&push] {
    const bool refused = push->ForceFlush().code() == Code::kFailedPrecondition &&
                         push->Stop().code() == Code::kFailedPrecondition;
    push.reset();
    return std::string(refused ? "ended" : "pushed");
  });
  CHECK(child.Says() == "ended");
  CHECK(push->Stop().ok());
}

}  // namespace
}  // namespace holdfast::otlp_push_threads_test
