// What a mover makes of a stream that holds more than its descriptor tells, as one of TLS does.
#include "src/http/net/mover.h"

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "test/support/catch.h"

namespace holdfast::http::internal::mover_test {
namespace {

// Has read several records at once, of which each Read gives one; nothing can be written.
class Records final : public Stream {
 public:
  explicit Records(int left) : left_(left) {}

  IoResult Read(std::span<char> room) override {
    if (left_ == 0) return {.state = IoState::kWaitRead};
    --left_;
    room.front() = 'r';
    return {.bytes = 1};
  }
  IoResult Write(std::span<const std::string_view>) override {
    return {.state = IoState::kWaitWrite};
  }
  bool Quiet() override { return false; }
  bool HasBuffered() const override { return left_ > 0; }
  void Finish() noexcept override {}
  int descriptor() const override { return -1; }

 private:
  int left_;
};

// Sends and receives for as long as it is let.
struct Endless {
  bool done() const { return false; }
  bool wants_write() const { return true; }
  std::span<const std::string_view> ToWrite() { return parts; }
  void Wrote(std::size_t) {}
  void WriteFailed(std::string_view) {}
  void Received(std::string_view bytes) { received += bytes; }
  void PeerEnded() {}
  void PeerCut(std::string_view) {}

  std::array<std::string_view, 1> parts = {"w"};
  std::string received = {};
};

TEST_CASE("records that are read already are not forgotten when a wait to write ends") {
  Records records(3);
  Endless protocol;
  DuplexOf<Endless> duplex(protocol);
  Mover mover(records, duplex, {});
  std::array<char, 16> room = {};
  CHECK(mover.Turn(TimePoint{}, false, room) == Mover::Next::kAgain);
  CHECK(protocol.received == "r");
  // A driver that let others have their turn is told of a wait that it began before.
  mover.Ready({.write = true});
  CHECK(mover.Turn(TimePoint{}, false, room) == Mover::Next::kAgain);
  CHECK(protocol.received == "rr");
  CHECK(mover.Turn(TimePoint{}, false, room) == Mover::Next::kAgain);
  CHECK(protocol.received == "rrr");
  CHECK(mover.Turn(TimePoint{}, false, room) == Mover::Next::kWait);
  CHECK(mover.interest().read);
  CHECK(mover.interest().write);
}

// Is done with the first that it receives.
struct Short : Endless {
  bool done() const { return !received.empty(); }
};

TEST_CASE("what a read has ended is over without another look at the time") {
  Records records(1);
  Short protocol;
  DuplexOf<Short> duplex(protocol);
  Mover mover(records, duplex, {});
  std::array<char, 16> room = {};
  CHECK(mover.Turn(TimePoint{}, false, room) == Mover::Next::kOver);
  CHECK(mover.result().end == DriveEnd::kDone);
}

// Has more to take in than a step takes.
struct Slow : Endless {
  bool has_more() const { return more > 0; }
  bool TakeMore() {
    --more;
    return true;
  }
  int more = 2;
};

TEST_CASE("what came is taken in step by step before more is read, and a stop is seen in between") {
  Records records(1);
  Slow protocol;
  DuplexOf<Slow> duplex(protocol);
  Mover mover(records, duplex, {});
  std::array<char, 16> room = {};
  CHECK(mover.Turn(TimePoint{}, false, room) == Mover::Next::kAgain);
  CHECK(protocol.more == 1);
  SECTION("a stop") {
    CHECK(mover.Turn(TimePoint{}, true, room) == Mover::Next::kOver);
    CHECK(mover.result().end == DriveEnd::kStopped);
    CHECK(protocol.more == 1);
  }
  SECTION("a read after that") {
    CHECK(mover.Turn(TimePoint{}, false, room) == Mover::Next::kAgain);
    CHECK(protocol.received.empty());
    CHECK(mover.Turn(TimePoint{}, false, room) == Mover::Next::kAgain);
    CHECK(protocol.received == "r");
  }
}

}  // namespace
}  // namespace holdfast::http::internal::mover_test
