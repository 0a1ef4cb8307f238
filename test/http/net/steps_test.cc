// What a driver does next, in fake time.
#include "src/http/net/steps.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "test/support/catch.h"

namespace holdfast::http::internal::steps_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

constexpr IoResult kWaits = {.state = IoState::kWaitWrite, .bytes = 0, .error = 0};
constexpr IoResult kEnded = {.state = IoState::kEnd, .bytes = 0, .error = 0};

IoResult Moved(std::size_t bytes) { return {.state = IoState::kDone, .bytes = bytes, .error = 0}; }
IoResult Lost(int error) { return {.state = IoState::kLost, .bytes = 0, .error = error}; }

TimePoint At(Duration time) { return TimePoint{} + time; }

constexpr DriveLimits kLimits = {.deadline = TimePoint{} + 100s,
                                 .read_timeout = 10s,
                                 .write_timeout = 3s,
                                 .continue_timeout = 2s};

TEST_CASE("a pace has the limit of what is done, from the latest step on") {
  Pace pace(kLimits);
  CHECK(pace.until() == At(100s));
  pace.Begin(At(1s), true);
  CHECK(pace.until() == At(4s));
  CHECK_FALSE(pace.Over(At(4s) - 1ns));
  CHECK(pace.Over(At(4s)) == DriveEnd::kWriteTimeout);
  pace.Begin(At(3s), true);
  CHECK_FALSE(pace.Over(At(4s)));
  pace.Begin(At(5s), false);
  CHECK(pace.until() == At(15s));
  CHECK(pace.Over(At(15s)) == DriveEnd::kReadTimeout);
}

TEST_CASE("of two limits that have passed the earlier counts, and the deadline of equal ones") {
  Pace pace(kLimits);
  pace.Begin(At(50s), false);
  CHECK(pace.Over(At(200s)) == DriveEnd::kReadTimeout);
  pace.Begin(At(95s), false);
  CHECK(pace.Over(At(200s)) == DriveEnd::kDeadline);
  pace.Begin(At(90s), false);
  CHECK(pace.Over(At(100s)) == DriveEnd::kDeadline);
}

TEST_CASE("without limits nothing is over, as late as it may be") {
  Pace pace(DriveLimits{});
  pace.Begin(At(1s), false);
  CHECK(pace.until() == TimePoint::max());
  CHECK_FALSE(pace.Over(TimePoint::max() - 1ns));
}

// Says what is told to it, and has what a test gives it.
struct Protocol {
  bool done() const { return is_done; }
  bool wants_write() const { return !is_done && !output.empty(); }
  std::span<const std::string_view> ToWrite() {
    told += "asked;";
    part = {output};
    return part;
  }
  void Wrote(std::size_t bytes) {
    output.erase(0, bytes);
    told += "wrote;";
  }
  void WriteFailed(std::string_view why) { told += "write failed: " + std::string(why) + ";"; }
  void Received(std::string_view bytes) { told += "received " + std::string(bytes) + ";"; }
  void PeerEnded() { told += "ended;"; }
  void PeerCut(std::string_view why) { told += "cut: " + std::string(why) + ";"; }
  bool holds_body() const { return !body.empty(); }
  void SendBody() {
    told += "body;";
    output = std::exchange(body, "");
  }

  std::string output;
  std::string body;
  std::array<std::string_view, 1> part;
  std::string told;
  bool is_done = false;
};

struct Scene {
  explicit Scene(std::string output, std::string body = "") {
    protocol.output = std::move(output);
    protocol.body = std::move(body);
  }

  Protocol protocol;
  DuplexOf<Protocol> duplex{protocol};
  Steps steps{duplex, kLimits};
};

// What begins to be written.
std::string Begin(Steps& steps) {
  const auto parts = steps.BeginWrite();
  return parts.empty() ? "" : std::string(parts[0]);
}

TEST_CASE("while something is to be written a byte in either direction is a step") {
  Scene scene("request");
  Steps& steps = scene.steps;
  CHECK_FALSE(steps.Look(At(1s)));
  CHECK(steps.until() == At(4s));
  CHECK(Begin(steps) == "request");
  steps.Wrote(Moved(3));
  CHECK_FALSE(steps.Look(At(2s)));
  CHECK(steps.until() == At(5s));
  CHECK(Begin(steps) == "uest");
  steps.Wrote(kWaits);
  CHECK_FALSE(steps.Look(At(3s)));
  steps.Read(Moved(1), "x");
  CHECK_FALSE(steps.Look(At(4s)));
  CHECK(steps.until() == At(7s));
  CHECK(Begin(steps) == "uest");  // tried again, which is no step
  steps.Wrote(kWaits);
  steps.Read({.state = IoState::kWaitRead, .bytes = 0, .error = 0}, "");
  CHECK(steps.Look(At(7s)) == DriveEnd::kWriteTimeout);
  CHECK(scene.protocol.told == "asked;wrote;asked;received x;asked;");
}

TEST_CASE("once all is written the read timeout runs, from the last byte that was moved") {
  Scene scene("request");
  Steps& steps = scene.steps;
  CHECK_FALSE(steps.Look(At(0s)));
  (void)steps.BeginWrite();
  steps.Wrote(Moved(7));
  CHECK_FALSE(steps.Look(At(2s)));
  CHECK_FALSE(steps.wants_write());
  CHECK(steps.until() == At(12s));
  steps.Read(Moved(1), "x");
  CHECK_FALSE(steps.Look(At(11s)));
  CHECK(steps.Look(At(21s)) == DriveEnd::kReadTimeout);
}

TEST_CASE("a connection that drips is bound by the deadline") {
  Scene scene("");
  Steps& steps = scene.steps;
  for (int second = 0; second < 100; ++second) {
    REQUIRE_FALSE(steps.Look(At(std::chrono::seconds(second))));
    steps.Read(Moved(1), "x");
  }
  CHECK(steps.until() == At(100s));
  CHECK(steps.Look(At(100s)) == DriveEnd::kDeadline);
}

TEST_CASE("time that the protocol takes is not its peer's") {
  Scene scene("");
  Steps& steps = scene.steps;
  CHECK_FALSE(steps.Look(At(0s)));
  steps.Read(Moved(1), "x");  // it returns at 30s
  CHECK_FALSE(steps.Look(At(30s)));
  CHECK(steps.until() == At(40s));
}

TEST_CASE("time that the source of a body takes is not its peer's") {
  Scene scene("request");
  Steps& steps = scene.steps;
  CHECK_FALSE(steps.Look(At(0s)));
  (void)steps.BeginWrite();  // it returns at 30s
  steps.Wrote(kWaits);
  CHECK_FALSE(steps.Look(At(30s)));
  CHECK(steps.until() == At(33s));
}

TEST_CASE("what is done is done, though its deadline has passed") {
  Scene scene("request");
  Steps& steps = scene.steps;
  CHECK_FALSE(steps.done());
  scene.protocol.is_done = true;
  steps.Read(Moved(1), "x");
  CHECK(steps.done());
  CHECK(steps.Look(At(1000s)) == DriveEnd::kDone);
}

TEST_CASE("with a deadline that has passed a protocol is not asked for what to write") {
  Scene scene("request");
  CHECK(scene.steps.Look(At(100s)) == DriveEnd::kDeadline);
  CHECK(scene.protocol.told.empty());
}

TEST_CASE("after a write that failed it is read, for as long as a read may take") {
  Scene scene("request");
  Steps& steps = scene.steps;
  CHECK_FALSE(steps.Look(At(0s)));
  (void)steps.BeginWrite();
  steps.Wrote(Lost(EPIPE));
  CHECK_FALSE(steps.Look(At(1s)));
  CHECK(steps.reads());
  CHECK_FALSE(steps.wants_write());  // though the protocol does
  CHECK(steps.until() == At(11s));
  CHECK(steps.error() == EPIPE);
  steps.Read(Moved(3), "413");
  steps.Read(Lost(0), "");
  CHECK_FALSE(steps.reads());
  CHECK(steps.Look(At(2s)) == DriveEnd::kClosed);
  CHECK(steps.error() == EPIPE);
  CHECK(scene.protocol.told == "asked;write failed: Broken pipe;received 413;cut: ;");
}

TEST_CASE("after the peer's farewell the rest is written") {
  Scene scene("request");
  Steps& steps = scene.steps;
  steps.Read(kEnded, "");
  CHECK_FALSE(steps.Look(At(0s)));
  CHECK_FALSE(steps.reads());
  CHECK(Begin(steps) == "request");
  steps.Wrote(Moved(7));
  CHECK(steps.Look(At(1s)) == DriveEnd::kClosed);
  CHECK(scene.protocol.told == "ended;asked;wrote;");
}

TEST_CASE("a connection that is cut is written no more") {
  Scene scene("request");
  Steps& steps = scene.steps;
  steps.Read(Lost(ECONNRESET), "");
  CHECK_FALSE(steps.wants_write());
  CHECK(steps.Look(At(0s)) == DriveEnd::kClosed);
  CHECK(scene.protocol.told == "cut: Connection reset by peer;");
}

// An asynchronous driver's; the bytes must stay where they are.
TEST_CASE("while a write is under way the protocol is not asked for another") {
  Scene scene("request");
  Steps& steps = scene.steps;
  CHECK_FALSE(steps.Look(At(0s)));
  CHECK(Begin(steps) == "request");
  steps.Read(Moved(1), "x");
  CHECK_FALSE(steps.wants_write());
  CHECK_FALSE(steps.Look(At(1s)));
  CHECK(steps.until() == At(4s));  // it is still being written
  scene.protocol.is_done = true;
  CHECK(steps.Look(At(2s)) == DriveEnd::kDone);
  steps.Wrote(Lost(ECANCELED));
  CHECK(scene.protocol.told == "asked;received x;");
}

TEST_CASE("a body that is held back is sent at its time, which is no step of its peer") {
  Scene scene("", "body");
  Steps& steps = scene.steps;
  CHECK_FALSE(steps.Look(At(1s)));
  CHECK(steps.until() == At(3s));
  CHECK_FALSE(steps.Look(At(2s)));
  CHECK_FALSE(steps.body_due(At(3s) - 1ns));
  CHECK(steps.body_due(At(3s)));
  steps.SendBody();
  CHECK_FALSE(steps.body_due(At(3s)));
  CHECK_FALSE(steps.Look(At(5s)));
  CHECK(steps.until() == At(8s));
  CHECK(Begin(steps) == "body");
  CHECK(scene.protocol.told == "body;asked;");
}

TEST_CASE("a body that the peer asks for is not waited for any more") {
  Scene scene("", "body");
  Steps& steps = scene.steps;
  CHECK_FALSE(steps.Look(At(1s)));
  scene.protocol.output = std::exchange(scene.protocol.body, "");
  steps.Read(Moved(1), "x");
  CHECK_FALSE(steps.Look(At(2s)));
  CHECK_FALSE(steps.body_due(At(90s)));
  CHECK(steps.until() == At(5s));
}

TEST_CASE("a protocol that holds a body back is not closed") {
  Scene scene("", "body");
  Steps& steps = scene.steps;
  steps.Read(kEnded, "");
  CHECK_FALSE(steps.Look(At(0s)));
}

TEST_CASE("parts without a byte are nothing to write, nor are those of what is done") {
  Scene scene("");
  CHECK(scene.steps.BeginWrite().empty());
  scene.protocol.output = "request";
  scene.protocol.is_done = true;
  CHECK(scene.steps.BeginWrite().empty());
}

TEST_CASE("the time that it takes to take in what came is not the peer's") {
  struct Decoder : Protocol {
    bool has_more() const { return more > 0; }
    bool TakeMore() {
      told += "more;";
      --more;
      return true;
    }
    int more = 0;
  };
  Decoder protocol;
  DuplexOf<Decoder> duplex(protocol);
  Steps steps(duplex, kLimits);
  CHECK_FALSE(steps.Look(At(0s)));
  steps.Read(Moved(1), "x");
  protocol.more = 3;
  for (const Duration time : {0s, 9s, 50s}) {
    CHECK_FALSE(steps.Look(At(time)));
    CHECK(steps.takes_more());
    steps.TakeMore();
  }
  CHECK_FALSE(steps.takes_more());
  CHECK_FALSE(steps.Look(At(50s)));
  CHECK(steps.until() == At(60s));
  CHECK(protocol.told == "received x;more;more;more;");
  protocol.more = 2;
  CHECK(steps.Look(At(100s)) == DriveEnd::kReadTimeout);
  CHECK(protocol.more == 2);
}

// As a response whose receiver takes nothing now.
struct HoldingProtocol : Protocol {
  bool has_more() const { return left > 0; }
  bool TakeMore() {
    told += "more;";
    if (holds) return false;
    --left;
    return true;
  }
  bool held() const { return holds && has_more(); }
  int left = 1;
  bool holds = true;
};

TEST_CASE("what is not taken is offered again after a pause, in which nothing is read") {
  HoldingProtocol protocol;
  DuplexOf<HoldingProtocol> duplex(protocol);
  Steps steps(duplex, kLimits);
  CHECK_FALSE(steps.Look(At(1s)));
  for (const Duration time : {2s, 3s}) {
    CHECK_FALSE(steps.Look(At(time)));
    REQUIRE(steps.takes_more());
    steps.TakeMore();
    CHECK_FALSE(steps.Look(At(time)));
    CHECK_FALSE(steps.takes_more());
    CHECK_FALSE(steps.reads());
    CHECK(steps.until() == At(time + kAskAgainAfter));
  }
  SECTION("until it is taken, which is a step") {
    protocol.holds = false;
    CHECK_FALSE(steps.Look(At(4s)));
    steps.TakeMore();
    CHECK_FALSE(steps.Look(At(4s)));
    CHECK(steps.reads());
    CHECK(steps.until() == At(14s));
  }
  SECTION("or for as long as the read timeout") {
    CHECK_FALSE(steps.Look(At(11s - 1ns)));
    CHECK(steps.Look(At(11s)) == DriveEnd::kReadTimeout);
  }
  SECTION("and the bytes of the other direction move meanwhile, in the time of the read") {
    protocol.output = "part";
    CHECK(Begin(steps) == "part");
    steps.Wrote(Moved(2));
    CHECK(Begin(steps) == "rt");
    steps.Wrote(kWaits);
    CHECK_FALSE(steps.Look(At(4s)));
    CHECK_FALSE(steps.Look(At(14s) - 1ns));
    CHECK(steps.Look(At(14s)) == DriveEnd::kReadTimeout);
  }
  CHECK(protocol.told.starts_with("more;more;"));
}

TEST_CASE("what is not taken when it comes is not offered again at once") {
  HoldingProtocol protocol;
  protocol.left = 0;
  DuplexOf<HoldingProtocol> duplex(protocol);
  Steps steps(duplex, kLimits);
  CHECK_FALSE(steps.Look(At(1s)));
  protocol.left = 1;
  steps.Read(Moved(1), "x");
  CHECK_FALSE(steps.Look(At(1s)));
  CHECK_FALSE(steps.takes_more());
  CHECK_FALSE(steps.Look(At(1s + kAskAgainAfter)));
  CHECK(steps.takes_more());
}

// As a request whose sender has nothing now.
struct StallingProtocol : Protocol {
  bool wants_write() const { return !is_done; }
  std::span<const std::string_view> ToWrite() {
    if (!output.empty()) return Protocol::ToWrite();
    told += "had nothing;";
    return {};
  }
};

struct StallingScene {
  StallingProtocol protocol;
  DuplexOf<StallingProtocol> duplex{protocol};
  Steps steps{duplex, kLimits};
};

TEST_CASE(
    "a protocol that has nothing now is asked again after a pause, in which the peer may speak") {
  StallingScene scene;
  Steps& steps = scene.steps;
  CHECK_FALSE(steps.Look(At(1s)));
  CHECK(Begin(steps).empty());
  CHECK_FALSE(steps.wants_write());
  CHECK_FALSE(steps.Look(At(1s)));
  CHECK(steps.until() == At(1s + kAskAgainAfter));
  CHECK(steps.reads());
  CHECK_FALSE(steps.wants_write());
  CHECK_FALSE(steps.Look(At(1s + kAskAgainAfter)));
  CHECK(steps.wants_write());
  scene.protocol.output = "part";
  CHECK(Begin(steps) == "part");
  steps.Wrote(Moved(4));
  CHECK(scene.protocol.told == "had nothing;asked;wrote;");
}

TEST_CASE("to have nothing for as long as the write timeout is to make no progress") {
  StallingScene scene;
  Steps& steps = scene.steps;
  CHECK_FALSE(steps.Look(At(1s)));
  CHECK(Begin(steps).empty());
  CHECK_FALSE(steps.Look(At(2s)));  // getting nothing took a second, and is over now
  for (const Duration time : {3s, 4s}) {
    CHECK_FALSE(steps.Look(At(time)));
    CHECK(steps.wants_write());
    CHECK(Begin(steps).empty());
    CHECK_FALSE(steps.Look(At(time)));
  }
  SECTION("which ends it") { CHECK(steps.Look(At(5s)) == DriveEnd::kWriteTimeout); }
  SECTION("but a part that comes late has its own time to be written in") {
    CHECK_FALSE(steps.Look(At(4900ms)));
    scene.protocol.output = "part";
    CHECK(Begin(steps) == "part");
    steps.Wrote(kWaits);
    CHECK_FALSE(steps.Look(At(4950ms)));
    CHECK(steps.until() == At(7950ms));
  }
  SECTION("and so has one after the peer has said something") {
    steps.Read(Moved(1), "x");
    CHECK_FALSE(steps.Look(At(4900ms)));
    CHECK(steps.Look(At(7900ms)) == DriveEnd::kWriteTimeout);
  }
}

TEST_CASE("a protocol that stalls is not closed when its peer has nothing more to say") {
  StallingScene scene;
  CHECK_FALSE(scene.steps.Look(At(1s)));
  CHECK(Begin(scene.steps).empty());
  scene.steps.Read(kEnded, "");
  CHECK_FALSE(scene.steps.Look(At(1s)));
}

}  // namespace
}  // namespace holdfast::http::internal::steps_test
