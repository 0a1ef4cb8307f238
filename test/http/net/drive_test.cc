// The blocking driver, against peers that do what peers do.
#include "src/http/net/drive.h"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <limits>
#include <optional>
#include <random>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "holdfast/base/internal/thread.h"
#include "src/http/net/tcp_stream.h"
#include "test/http/net/stream_pair.h"
#include "test/support/catch.h"

namespace holdfast::http::internal::drive_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using holdfast::internal::ReadClock;
using test::CloseWithRst;
using test::Pattern;
using test::ReceiveAll;
using test::SendAll;
using test::SocketPair;
using test::TcpPair;
using test::UnixPair;

// What must never be waited for; far more than any of the limits, and than a loaded machine adds.
constexpr Duration kNever = 30s;
constexpr std::size_t kBulk = 10 << 20;

const std::string& Bulk() {
  static const std::string bulk = Pattern(kBulk);
  return bulk;
}

TimePoint In(Duration duration) { return ReadClock(nullptr) + duration; }
DriveLimits Patient() { return {.deadline = In(kNever)}; }

// Sends some bytes in two parts, and is done when that is done and an answer of some size is there.
class Exchange {
 public:
  Exchange(std::string_view sends, std::size_t answer) : left_(sends), answer_(answer) {}

  bool done() const {
    const bool answered = received_.size() >= answer_;
    return ended_ || cut_ || (answered && (early_ || failed_ || left_.empty()));
  }
  bool wants_write() const { return !left_.empty() && !failed_; }
  std::span<const std::string_view> ToWrite() {
    asked_ = true;
    parts_ = {left_.substr(0, left_.size() / 2), left_.substr(left_.size() / 2)};
    return parts_;
  }
  void Wrote(std::size_t bytes) { left_.remove_prefix(bytes); }
  void Received(std::string_view bytes) { received_ += bytes; }
  void PeerEnded() { ended_ = true; }
  void PeerCut(std::string_view) { cut_ = true; }
  void WriteFailed(std::string_view) { failed_ = true; }

  // Also done when an answer is there before all is sent.
  void set_early() { early_ = true; }

  const std::string& received() const { return received_; }
  std::size_t unsent() const { return left_.size(); }
  bool asked() const { return asked_; }
  bool ended() const { return ended_; }
  bool cut() const { return cut_; }
  bool failed() const { return failed_; }

 private:
  std::string_view left_;
  std::size_t answer_;
  std::array<std::string_view, 2> parts_;
  std::string received_;
  bool asked_ = false;
  bool early_ = false;
  bool ended_ = false;
  bool cut_ = false;
  bool failed_ = false;
};

// What the peer does meanwhile; it has ended when this has.
template <class F>
std::thread Peer(const F& does) {
  return holdfast::internal::StartThread(does);
}

TEST_CASE("a request is sent and its answer received") {
  SocketPair pair = GENERATE(false, true) ? UnixPair() : TcpPair();
  TcpStream stream(std::move(pair.ours));
  Exchange exchange("request", 6);
  std::thread peer = Peer([&pair] {
    if (ReceiveAll(pair.peers, 7) == "request") SendAll(pair.peers, "answer");
  });
  const DriveResult result = Drive(stream, exchange, Patient(), {});
  peer.join();
  CHECK(result.end == DriveEnd::kDone);
  CHECK(result.error == 0);
  CHECK(exchange.received() == "answer");
}

TEST_CASE("what is done at the start moves nothing") {
  SocketPair pair = UnixPair();
  TcpStream stream(std::move(pair.ours));
  Exchange exchange("", 0);
  CHECK(Drive(stream, exchange, {.deadline = In(-1s)}, {}).end == DriveEnd::kDone);
}

// A driver that wrote before it read would wait for ever, and so would its peer.
TEST_CASE("bulk goes both ways at once, though the peer reads nothing before it has sent all") {
  SocketPair pair = GENERATE(false, true) ? UnixPair() : TcpPair(8 * 1024);
  TcpStream stream(std::move(pair.ours));
  const std::string& bulk = Bulk();
  std::string got;
  std::thread peer = Peer([&] {
    if (SendAll(pair.peers, bulk)) got = ReceiveAll(pair.peers, kBulk);
  });
  Exchange exchange(bulk, kBulk);
  const DriveResult result = Drive(stream, exchange, Patient(), {});
  if (result.end != DriveEnd::kDone) ::shutdown(pair.peers.get(), SHUT_RDWR);
  peer.join();
  CHECK(result.end == DriveEnd::kDone);
  CHECK((exchange.received() == bulk));
  CHECK((got == bulk));
}

TEST_CASE("two drivers move bulk both ways through small buffers") {
  SocketPair pair = TcpPair(4 * 1024);
  TcpStream ours(std::move(pair.ours));
  TcpStream peers(std::move(pair.peers));
  const std::string& bulk = Bulk();
  Exchange at_peer(bulk, kBulk);
  std::thread peer = Peer([&] { Drive(peers, at_peer, Patient(), {}); });
  Exchange exchange(bulk, kBulk);
  CHECK(Drive(ours, exchange, Patient(), {}).end == DriveEnd::kDone);
  peer.join();
  CHECK((exchange.received() == bulk));
  CHECK((at_peer.received() == bulk));
}

TEST_CASE("bulk comes through a storm of signals") {
  SocketPair pair = TcpPair();
  TcpStream stream(std::move(pair.ours));
  const std::string& bulk = Bulk();
  std::thread peer = Peer([&] {
    if (ReceiveAll(pair.peers, kBulk) == bulk) SendAll(pair.peers, bulk);
  });
  Exchange exchange(bulk, kBulk);
  DriveResult result;
  {
    const test::Storm storm;
    result = Drive(stream, exchange, Patient(), {});
  }
  if (result.end != DriveEnd::kDone) ::shutdown(pair.peers.get(), SHUT_RDWR);
  peer.join();
  CHECK(result.end == DriveEnd::kDone);
  CHECK((exchange.received() == bulk));
}

TEST_CASE("an exchange runs on a stack of 64 KiB") {
  struct Scene {
    SocketPair pair = TcpPair();
    TcpStream stream{std::move(pair.ours)};
    Exchange exchange{Bulk(), kBulk};
    DriveResult result = {.end = DriveEnd::kFailed};
  };
  Scene scene;
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, 64 * 1024) == 0);
  pthread_t thread;
  const auto run = [](void* data) -> void* {
    auto& own = *static_cast<Scene*>(data);
    std::stop_source source;
    const StopSignal stop(source.get_token());
    own.result = Drive(own.stream, own.exchange, Patient(), stop);
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, run, &scene) == 0);
  const std::string got = ReceiveAll(scene.pair.peers, kBulk);
  SendAll(scene.pair.peers, Bulk());
  REQUIRE(pthread_join(thread, nullptr) == 0);
  pthread_attr_destroy(&attributes);
  CHECK(scene.result.end == DriveEnd::kDone);
  CHECK((got == Bulk()));
}

TEST_CASE("an early answer is seen while a body is sent, though the peer has stopped reading") {
  SocketPair pair = TcpPair(8 * 1024);
  TcpStream stream(std::move(pair.ours));
  const std::string& bulk = Bulk();
  std::thread peer = Peer([&pair] {
    ReceiveAll(pair.peers, 100'000);
    SendAll(pair.peers, "413");
  });
  Exchange exchange(bulk, 3);
  exchange.set_early();
  const DriveResult result = Drive(stream, exchange, Patient(), {});
  peer.join();
  CHECK(result.end == DriveEnd::kDone);
  CHECK(exchange.received() == "413");
  CHECK(exchange.unsent() > 0);
}

// Nothing would be read if reading had to wait until no more can be written.
TEST_CASE("an early answer is seen while a body is sent that the peer reads as fast as it comes") {
  SocketPair pair = UnixPair();
  TcpStream stream(std::move(pair.ours));
  // Ends only with an answer.
  class Endless {
   public:
    bool done() const { return done_; }
    bool wants_write() const { return true; }
    std::span<const std::string_view> ToWrite() { return parts_; }
    void Wrote(std::size_t) {}
    void WriteFailed(std::string_view) {}
    void Received(std::string_view) { done_ = true; }
    void PeerEnded() {}
    void PeerCut(std::string_view) { done_ = true; }

   private:
    std::array<std::string_view, 1> parts_ = {"0123456789"};
    bool done_ = false;
  };
  // There is always room.
  class Roomy final : public Stream {
   public:
    explicit Roomy(TcpStream& stream) : stream_(stream) {}
    IoResult Read(std::span<char> room) override { return stream_.Read(room); }
    IoResult Write(std::span<const std::string_view> parts) override {
      return {.state = IoState::kDone, .bytes = parts[0].size(), .error = 0};
    }
    bool Quiet() override { return stream_.Quiet(); }
    void Finish() noexcept override { stream_.Finish(); }
    int descriptor() const override { return stream_.descriptor(); }

   private:
    TcpStream& stream_;
  };
  Roomy roomy(stream);
  SendAll(pair.peers, "413");
  Endless exchange;
  const DriveResult result = Drive(roomy, exchange, {.deadline = In(5s)}, {});
  CHECK(result.end == DriveEnd::kDone);
}

TEST_CASE("an answer that came before RST is read, though a write fails first") {
  SocketPair pair = TcpPair();
  TcpStream stream(std::move(pair.ours));
  SendAll(pair.peers, "413");
  CloseWithRst(pair.peers);
  const std::string& bulk = Bulk();
  Exchange exchange(bulk, 3);
  const DriveResult result = Drive(stream, exchange, Patient(), {});
  CHECK(result.end == DriveEnd::kDone);
  CHECK(exchange.failed());
  CHECK(exchange.received() == "413");
  CHECK((result.error == ECONNRESET || result.error == EPIPE));
}

// A server that answers and closes, and does not read the rest of the body.
TEST_CASE("an answer is read from a peer that closes in the middle of an upload") {
  const bool is_unix = GENERATE(false, true);
  SocketPair pair = is_unix ? UnixPair() : TcpPair();
  TcpStream stream(std::move(pair.ours));
  std::thread peer = Peer([&pair] {
    ReceiveAll(pair.peers, 100'000);
    SendAll(pair.peers, "413");
    pair.peers.Reset();
  });
  const std::string& bulk = Bulk();
  Exchange exchange(bulk, 3);
  const DriveResult result = Drive(stream, exchange, Patient(), {});
  peer.join();
  CHECK(result.end == DriveEnd::kDone);
  CHECK(exchange.received() == "413");
  CHECK(exchange.unsent() > 0);
}

TEST_CASE("a protocol is told how its peer ends") {
  SocketPair pair = TcpPair();
  TcpStream stream(std::move(pair.ours));
  Exchange exchange("", 100);
  SendAll(pair.peers, "half");
  SECTION("with FIN") {
    pair.peers.Reset();
    const DriveResult result = Drive(stream, exchange, Patient(), {});
    CHECK(result.end == DriveEnd::kDone);
    CHECK(exchange.ended());
    CHECK(result.error == 0);
  }
  SECTION("with RST") {
    CloseWithRst(pair.peers);
    const DriveResult result = Drive(stream, exchange, Patient(), {});
    CHECK(result.end == DriveEnd::kDone);
    CHECK(exchange.cut());
    CHECK(result.error == ECONNRESET);
  }
  CHECK(exchange.received() == "half");
}

// Done once it may send its body.
class Waiting {
 public:
  explicit Waiting(bool holds) : holds_(holds) {}

  bool done() const { return done_; }
  bool wants_write() const { return false; }
  std::span<const std::string_view> ToWrite() { return {}; }
  void Wrote(std::size_t) {}
  void WriteFailed(std::string_view) {}
  void Received(std::string_view) {}
  void PeerEnded() {}
  void PeerCut(std::string_view) {}
  bool holds_body() const { return holds_; }
  void SendBody() {
    holds_ = false;
    done_ = true;
  }

 private:
  bool holds_;
  bool done_ = false;
};

TEST_CASE("a body that was held back is sent at its time though nothing comes") {
  SocketPair pair = UnixPair();
  TcpStream stream(std::move(pair.ours));
  SECTION("and the connection is open") {}
  SECTION("and the peer has ended") { pair.peers.Reset(); }
  const TimePoint at = In(20ms);
  Waiting protocol(/*holds=*/true);
  const DriveLimits limits = {.deadline = In(kNever), .continue_timeout = 20ms};
  CHECK(Drive(stream, protocol, limits, {}).end == DriveEnd::kDone);
  CHECK(ReadClock(nullptr) >= at);
}

TEST_CASE("a protocol that is not done when both directions are over is not waited for") {
  SocketPair pair = TcpPair();
  TcpStream stream(std::move(pair.ours));
  SECTION("FIN") { pair.peers.Reset(); }
  SECTION("RST") { CloseWithRst(pair.peers); }
  Waiting protocol(/*holds=*/false);
  CHECK(Drive(stream, protocol, {}, {}).end == DriveEnd::kClosed);
}

TEST_CASE("an exchange ends at its limits") {
  SocketPair pair = TcpPair(8 * 1024);
  TcpStream stream(std::move(pair.ours));
  const std::string& bulk = Bulk();
  Exchange reads("request", 1);
  Exchange writes(bulk, 1);
  SECTION("the deadline, in a storm of signals") {
    const TimePoint deadline = In(50ms);
    const test::Storm storm;
    const DriveLimits limits = {.deadline = deadline, .read_timeout = 1h, .write_timeout = 1h};
    CHECK(Drive(stream, reads, limits, {}).end == DriveEnd::kDeadline);
    CHECK(ReadClock(nullptr) >= deadline);
    CHECK(ReadClock(nullptr) < deadline + kNever);
  }
  SECTION("the read timeout") {
    const DriveLimits limits = {.read_timeout = 20ms, .write_timeout = 1h};
    CHECK(Drive(stream, reads, limits, {}).end == DriveEnd::kReadTimeout);
    CHECK(reads.unsent() == 0);
  }
  SECTION("the write timeout") {
    const DriveLimits limits = {.read_timeout = 1h, .write_timeout = 20ms};
    CHECK(Drive(stream, writes, limits, {}).end == DriveEnd::kWriteTimeout);
    CHECK(writes.unsent() > 0);
    CHECK(writes.unsent() < kBulk);
  }
  SECTION("the read timeout after a write has failed") {
    ::shutdown(stream.descriptor(), SHUT_WR);  // no write succeeds, and nothing comes
    const DriveLimits limits = {.read_timeout = 20ms, .write_timeout = 1h};
    CHECK(Drive(stream, writes, limits, {}).end == DriveEnd::kReadTimeout);
    CHECK(writes.failed());
  }
}

TEST_CASE("an exchange that ended at a limit can go on") {
  SocketPair pair = UnixPair();
  TcpStream stream(std::move(pair.ours));
  Exchange exchange("request", 3);
  CHECK(Drive(stream, exchange, {.read_timeout = 1ms}, {}).end == DriveEnd::kReadTimeout);
  SendAll(pair.peers, "200");
  CHECK(Drive(stream, exchange, Patient(), {}).end == DriveEnd::kDone);
  CHECK(exchange.received() == "200");
}

TEST_CASE("with a deadline that has passed, or a stop before, nothing is sent") {
  SocketPair pair = UnixPair();
  TcpStream stream(std::move(pair.ours));
  Exchange exchange("request", 1);
  SECTION("a deadline") {
    CHECK(Drive(stream, exchange, {.deadline = In(-1ns)}, {}).end == DriveEnd::kDeadline);
  }
  SECTION("a stop") {
    std::stop_source source;
    source.request_stop();
    const StopSignal stop(source.get_token());
    CHECK(Drive(stream, exchange, Patient(), stop).end == DriveEnd::kStopped);
  }
  CHECK_FALSE(exchange.asked());
  stream.Finish();
  CHECK(ReceiveAll(pair.peers, 1).empty());
}

TEST_CASE("a stop ends an exchange at each of its stages") {
  enum class Stage { kSilence, kUpload, kBothWays };
  const std::string& bulk = Bulk();
  std::mt19937 random(11);
  for (const Stage stage : {Stage::kSilence, Stage::kUpload, Stage::kBothWays}) {
    for (int round = 0; round < 40; ++round) {
      SocketPair pair = TcpPair();
      TcpStream stream(std::move(pair.ours));
      std::stop_source source;
      const int delay = std::uniform_int_distribution(0, 20)(random);
      std::thread stopper([&source, delay] {
        for (int i = 0; i < delay; ++i) std::this_thread::yield();
        source.request_stop();
      });
      // It echoes until the end.
      std::thread peer;
      if (stage == Stage::kBothWays) {
        peer = Peer([&pair] {
          std::string bytes = ReceiveAll(pair.peers, 1000);
          while (!bytes.empty() && SendAll(pair.peers, bytes)) {
            bytes = ReceiveAll(pair.peers, 1000);
          }
        });
      }
      Exchange exchange(stage == Stage::kSilence ? "request" : std::string_view(bulk), kBulk);
      const StopSignal stop(source.get_token());
      const DriveResult result = Drive(stream, exchange, Patient(), stop);
      stopper.join();
      ::shutdown(pair.peers.get(), SHUT_RDWR);  // also where it waits
      if (peer.joinable()) peer.join();
      REQUIRE((result.end == DriveEnd::kStopped ||
               (stage == Stage::kBothWays && result.end == DriveEnd::kDone)));
    }
  }
}

// Has nothing to write yet.
class Stalling : public Exchange {
 public:
  explicit Stalling(std::size_t answer) : Exchange("request", answer) {}
  std::span<const std::string_view> ToWrite() {
    ++asked_times;
    if (asked_times <= nothings) return {};
    return Exchange::ToWrite();
  }
  int nothings = std::numeric_limits<int>::max();
  int asked_times = 0;
};

TEST_CASE("a protocol that has nothing now is asked again, and time, stop and peer are seen") {
  SocketPair pair = UnixPair();
  TcpStream stream(std::move(pair.ours));
  Stalling exchange(6);
  SECTION("until it has something") {
    exchange.nothings = 3;
    std::thread peer = Peer([&pair] {
      if (ReceiveAll(pair.peers, 7) == "request") SendAll(pair.peers, "answer");
    });
    const DriveResult result = Drive(stream, exchange, Patient(), {});
    peer.join();
    CHECK(result.end == DriveEnd::kDone);
    CHECK(exchange.received() == "answer");
    CHECK(exchange.asked_times >= 4);
  }
  SECTION("an answer that comes before") {
    exchange.set_early();
    SendAll(pair.peers, "answer");
    CHECK(Drive(stream, exchange, Patient(), {}).end == DriveEnd::kDone);
    CHECK(exchange.unsent() == 7);
  }
  SECTION("the deadline") {
    CHECK(Drive(stream, exchange, {.deadline = In(20ms)}, {}).end == DriveEnd::kDeadline);
  }
  SECTION("the write timeout") {
    const DriveLimits limits = {.deadline = In(kNever), .write_timeout = 20ms};
    CHECK(Drive(stream, exchange, limits, {}).end == DriveEnd::kWriteTimeout);
  }
  SECTION("a stop") {
    std::stop_source source;
    const StopSignal signal(source.get_token());
    std::thread stopper = Peer([&source] { source.request_stop(); });
    CHECK(Drive(stream, exchange, Patient(), signal).end == DriveEnd::kStopped);
    stopper.join();
  }
}

TEST_CASE("what a protocol throws comes through") {
  struct Throws : Waiting {
    Throws() : Waiting(/*holds=*/false) {}
    void Received(std::string_view) { throw std::runtime_error("the receiver's"); }
  };
  SocketPair pair = UnixPair();
  TcpStream stream(std::move(pair.ours));
  SendAll(pair.peers, "x");
  Throws protocol;
  CHECK_THROWS_WITH(Drive(stream, protocol, Patient(), {}), "the receiver's");
}

// What TLS does: it waits for the other direction, and has bytes that the descriptor has not.
class Contrary final : public Stream {
 public:
  explicit Contrary(TcpStream& stream) : stream_(stream) {}

  IoResult Read(std::span<char> room) override {
    if (!buffered_.empty()) {
      room[0] = buffered_.back();
      buffered_.pop_back();
      return {.state = IoState::kDone, .bytes = 1, .error = 0};
    }
    if (std::exchange(reads_by_write_, false)) return {.state = IoState::kWaitWrite};
    const IoResult result = stream_.Read(room);
    if (result.state == IoState::kDone) may_write_ = true;
    if (result.state == IoState::kDone && result.bytes > 1) {
      buffered_.assign(room.data() + 1, result.bytes - 1);
      return {.state = IoState::kDone, .bytes = 1, .error = 0};
    }
    return result;
  }
  IoResult Write(std::span<const std::string_view> parts) override {
    if (!may_write_) return {.state = IoState::kWaitRead};
    return stream_.Write(parts);
  }
  bool Quiet() override { return buffered_.empty() && stream_.Quiet(); }
  bool HasBuffered() const override { return !buffered_.empty(); }
  void Finish() noexcept override { stream_.Finish(); }
  int descriptor() const override { return stream_.descriptor(); }

 private:
  TcpStream& stream_;
  std::string buffered_;
  bool reads_by_write_ = true;
  bool may_write_ = false;  // only after something was read
};

TEST_CASE("a read that waits to write, a write that waits to read and bytes in hand get on") {
  SocketPair pair = UnixPair();
  TcpStream socket(std::move(pair.ours));
  Contrary stream(socket);
  Exchange exchange("request", 9);
  std::string got;
  std::thread peer = Peer([&] {
    SendAll(pair.peers, "hello");
    got = ReceiveAll(pair.peers, 7);
    SendAll(pair.peers, "more");
  });
  const DriveResult result = Drive(stream, exchange, Patient(), {});
  if (result.end != DriveEnd::kDone) socket.Finish();
  peer.join();
  CHECK(result.end == DriveEnd::kDone);
  CHECK(got == "request");
  CHECK(exchange.received().size() == 9);
}

TEST_CASE("a descriptor that can't be waited for ends the exchange") {
  class Closed final : public Stream {
    IoResult Read(std::span<char>) override { return {.state = IoState::kWaitRead}; }
    IoResult Write(std::span<const std::string_view>) override {
      return {.state = IoState::kWaitWrite};
    }
    bool Quiet() override { return false; }
    void Finish() noexcept override {}
    int descriptor() const override { return 1 << 20; }
  };
  Closed stream;
  Exchange exchange("request", 1);
  const DriveResult result = Drive(stream, exchange, Patient(), {});
  CHECK(result.end == DriveEnd::kFailed);
  CHECK(result.error == EBADF);
}

// Takes in a byte in so many steps.
class Slow {
 public:
  Slow(int steps, std::stop_source& stop) : steps_(steps), stop_(stop) {}

  bool done() const { return received_ == 2 && left_ == 0; }
  bool wants_write() const { return false; }
  std::span<const std::string_view> ToWrite() { return {}; }
  void Wrote(std::size_t) {}
  void Received(std::string_view bytes) {
    received_ += bytes.size();
    left_ = steps_;
  }
  bool has_more() const { return left_ > 0; }
  bool TakeMore() {
    --left_;
    if (left_ == steps_ / 2) stop_.request_stop();
    return true;
  }
  void PeerEnded() {}
  void PeerCut(std::string_view) {}
  void WriteFailed(std::string_view) {}

  int left() const { return left_; }

 private:
  const int steps_;
  std::stop_source& stop_;
  std::size_t received_ = 0;
  int left_ = 0;
};

TEST_CASE("a driver looks at the stop and the time between two steps of taking in what came") {
  SocketPair pair = UnixPair();
  TcpStream stream(std::move(pair.ours));
  std::stop_source stop;
  Slow slow(100, stop);
  SendAll(pair.peers, "x");
  SECTION("and ends at a stop") {
    const StopSignal signal(stop.get_token());
    CHECK(Drive(stream, slow, Patient(), signal).end == DriveEnd::kStopped);
    CHECK(slow.left() == 50);
  }
  SECTION("and reads on once all is taken in") {
    std::thread peer = Peer([&pair] { SendAll(pair.peers, "y"); });
    CHECK(Drive(stream, slow, Patient(), {}).end == DriveEnd::kDone);
    peer.join();
  }
}

}  // namespace
}  // namespace holdfast::http::internal::drive_test
