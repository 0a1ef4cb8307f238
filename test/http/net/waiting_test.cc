// The wait for descriptors, a time and a stop.
#include "src/http/net/waiting.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/base/internal/thread.h"
#include "test/http/descriptors.h"
#include "test/http/net/stream_pair.h"
#include "test/support/catch.h"
#include "test/support/fork.h"

namespace holdfast::http::internal::waiting_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using holdfast::internal::ReadClock;
using test::CloseWithRst;
using test::OpenDescriptors;
using test::SendAll;
using test::SocketPair;
using test::TcpPair;
using test::UnixPair;

constexpr Interest kRead = {.read = true, .write = false};
constexpr Interest kWrite = {.read = false, .write = true};
constexpr Interest kBoth = {.read = true, .write = true};

// What must never be waited for; far more than any of the limits, and than a loaded machine adds.
constexpr Duration kNever = 20s;

TimePoint In(Duration duration) { return ReadClock(nullptr) + duration; }

// So that no room is left.
void Fill(const Descriptor& socket) {
  const std::string bytes(1 << 16, 'x');
  while (::send(socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
  }
}

TEST_CASE("a wait says for what its descriptor is ready") {
  const SocketPair pair = GENERATE(false, true) ? UnixPair() : TcpPair();
  const StopSignal never;
  const int ours = pair.ours.get();

  WaitOutcome outcome = Wait(ours, kBoth, In(kNever), never);
  CHECK(outcome.end == WaitEnd::kReady);
  CHECK(outcome.ready.write);
  CHECK_FALSE(outcome.ready.read);

  SendAll(pair.peers, "x");
  outcome = Wait(ours, kRead, TimePoint::max(), never);
  CHECK(outcome.end == WaitEnd::kReady);
  CHECK(outcome.ready.read);
  CHECK_FALSE(outcome.ready.write);
  outcome = Wait(ours, kBoth, In(kNever), never);
  CHECK((outcome.ready.read && outcome.ready.write));

  Fill(pair.ours);
  outcome = Wait(ours, kBoth, In(kNever), never);
  CHECK(outcome.ready.read);
  CHECK_FALSE(outcome.ready.write);
  CHECK(Wait(ours, kWrite, In(1ms), never).end == WaitEnd::kTimeUp);
}

TEST_CASE("a connection that failed is ready for what it was waited for") {
  SocketPair pair = TcpPair();
  Fill(pair.ours);
  CloseWithRst(pair.peers);
  const StopSignal never;
  for (const Interest interest : {kRead, kWrite, kBoth}) {
    const WaitOutcome outcome = Wait(pair.ours.get(), interest, In(kNever), never);
    CHECK(outcome.end == WaitEnd::kReady);
    CHECK(outcome.ready.read == interest.read);
    CHECK(outcome.ready.write == interest.write);
  }
}

TEST_CASE("a wait ends at its time and not before") {
  const SocketPair pair = UnixPair();
  const StopSignal never;
  for (const Duration time : {Duration(1), Duration(1us), Duration(3ms)}) {
    for (const int descriptor : {pair.ours.get(), -1}) {
      const TimePoint until = In(time);
      CHECK(Wait(descriptor, kRead, until, never).end == WaitEnd::kTimeUp);
      CHECK(ReadClock(nullptr) >= until);
      CHECK(ReadClock(nullptr) < until + kNever);
    }
  }
}

TEST_CASE("when the time has passed, what is ready is found") {
  const SocketPair pair = UnixPair();
  const StopSignal never;
  for (const TimePoint past : {In(-1s), TimePoint{}, TimePoint::min()}) {
    CHECK(Wait(pair.ours.get(), kRead, past, never).end == WaitEnd::kTimeUp);
    CHECK(Wait(pair.ours.get(), kWrite, past, never).end == WaitEnd::kReady);
    CHECK(Wait(-1, kBoth, past, never).end == WaitEnd::kTimeUp);
  }
}

TEST_CASE("a time that is centuries away is waited for") {
  const SocketPair pair = UnixPair();
  const StopSignal never;
  CHECK(Wait(pair.ours.get(), kWrite, TimePoint::max() - 1ns, never).end == WaitEnd::kReady);
}

TEST_CASE("a wait for nothing leaves its descriptor alone") {
  SocketPair pair = TcpPair();
  CloseWithRst(pair.peers);
  const StopSignal never;
  CHECK(Wait(pair.ours.get(), {}, In(1ms), never).end == WaitEnd::kTimeUp);
}

TEST_CASE("a descriptor that is none is an error, not a wait for ever") {
  const int none = ::dup(0);
  ::close(none);
  const StopSignal never;
  const WaitOutcome outcome = Wait(none, kRead, In(kNever), never);
  CHECK(outcome.end == WaitEnd::kFailed);
  CHECK(outcome.error == EBADF);
}

TEST_CASE("a storm of signals puts off neither the time nor what comes") {
  const SocketPair pair = TcpPair();
  const StopSignal never;
  const test::Storm storm;
  while (test::Storm::count() < 50) {
    const TimePoint until = In(20ms);
    REQUIRE(Wait(pair.ours.get(), kRead, until, never).end == WaitEnd::kTimeUp);
    REQUIRE(ReadClock(nullptr) >= until);
    REQUIRE(ReadClock(nullptr) < until + kNever);
  }
  std::thread peer = holdfast::internal::StartThread([&pair] { SendAll(pair.peers, "x"); });
  CHECK(Wait(pair.ours.get(), kRead, TimePoint::max(), never).ready.read);
  peer.join();
}

TEST_CASE("of several descriptors the wait says which are ready") {
  std::vector<SocketPair> pairs;
  std::vector<pollfd> polled;
  for (int i = 0; i < 40; ++i) {
    pairs.push_back(TcpPair());
    polled.push_back({.fd = pairs.back().ours.get(), .events = POLLIN, .revents = POLLOUT});
  }
  polled.push_back({.fd = -1, .events = POLLIN, .revents = POLLOUT});
  const StopSignal never;
  CHECK(WaitAny(polled, In(1ms), never).end == WaitEnd::kTimeUp);
  for (const pollfd& each : polled) CHECK(each.revents == 0);
  SendAll(pairs[7].peers, "x");
  SendAll(pairs[39].peers, "x");
  CHECK(WaitAny(polled, In(kNever), never).end == WaitEnd::kReady);
  std::vector<std::size_t> ready;
  for (std::size_t i = 0; i < polled.size(); ++i) {
    if (polled[i].revents != 0) ready.push_back(i);
  }
  CHECK(ready == std::vector<std::size_t>{7, 39});
  CHECK(WaitAny({}, In(1ms), never).end == WaitEnd::kTimeUp);
}

TEST_CASE("a token that can't be stopped costs no descriptor, and another costs one") {
  const int before = OpenDescriptors();
  {
    const StopSignal never;
    const StopSignal impossible{std::stop_token()};
    CHECK(OpenDescriptors() == before);
    CHECK(impossible.descriptor() == -1);
    CHECK(impossible.status().ok());
    std::stop_source source;
    const StopSignal signal(source.get_token());
    CHECK(signal.status().ok());
    CHECK(OpenDescriptors() == before + 1);
  }
  CHECK(OpenDescriptors() == before);
}

TEST_CASE("a stop comes before what is ready, and stays") {
  const SocketPair pair = UnixPair();
  std::stop_source source;
  const bool before = GENERATE(false, true);
  if (before) source.request_stop();
  const StopSignal signal(source.get_token());
  source.request_stop();
  CHECK(signal.stopped());
  for (int i = 0; i < 3; ++i) {
    CHECK(Wait(pair.ours.get(), kBoth, In(kNever), signal).end == WaitEnd::kStopped);
    CHECK(Wait(-1, {}, TimePoint::max(), signal).end == WaitEnd::kStopped);
  }
  std::array<pollfd, 1> polled = {{{.fd = pair.ours.get(), .events = POLLOUT, .revents = 0}}};
  CHECK(WaitAny(polled, TimePoint::max(), signal).end == WaitEnd::kStopped);
  // What polls it itself, as an event loop does, sees it too.
  CHECK(Wait(signal.descriptor(), kRead, TimePoint{}, {}).end == WaitEnd::kReady);
}

TEST_CASE("a stop ends a wait whenever it comes") {
  const SocketPair pair = UnixPair();
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::stop_source source;
    const int delay = std::uniform_int_distribution(0, 30)(random);
    std::thread stopper([&source, delay] {
      for (int i = 0; i < delay; ++i) std::this_thread::yield();
      source.request_stop();
    });
    WaitOutcome outcome;
    {
      const StopSignal signal(source.get_token());
      const int descriptor = round % 2 == 0 ? pair.ours.get() : -1;
      outcome = Wait(descriptor, kRead, TimePoint::max(), signal);
    }
    stopper.join();
    REQUIRE(outcome.end == WaitEnd::kStopped);
  }
}

TEST_CASE("a stop that comes while its signal ends is neither lost nor late") {
  for (int round = 0; round < 300; ++round) {
    std::stop_source source;
    std::optional<StopSignal> signal(std::in_place, source.get_token());
    std::thread stopper([&source] { source.request_stop(); });
    signal.reset();
    // What gets the number of its descriptor next must have nothing written to it.
    const SocketPair pair = UnixPair();
    stopper.join();
    REQUIRE(Wait(pair.ours.get(), kRead, TimePoint{}, {}).end == WaitEnd::kTimeUp);
    REQUIRE(Wait(pair.peers.get(), kRead, TimePoint{}, {}).end == WaitEnd::kTimeUp);
  }
}

// As many descriptors as there are now, and no more.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int next = ::dup(0);
    ::close(next);
    const rlimit limit = {.rlim_cur = static_cast<rlim_t>(next), .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  NoMoreDescriptors(const NoMoreDescriptors&) = delete;
  NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;
  ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_ = {};
};

TEST_CASE("with no descriptor left a stop signal says so and leaks nothing") {
  const SocketPair pair = UnixPair();
  std::stop_source source;
  const int before = OpenDescriptors();
  {
    std::optional<StopSignal> signal;
    {
      const NoMoreDescriptors none;
      signal.emplace(source.get_token());
    }
    const absl::Status status = signal->status();
    CHECK(status.code() == absl::StatusCode::kResourceExhausted);
    CHECK_THAT(std::string(status.message()), test::ContainsSubstring("Too many open files"));
    CHECK(Wait(pair.ours.get(), kWrite, In(kNever), *signal).end == WaitEnd::kReady);
    source.request_stop();
    CHECK(Wait(pair.ours.get(), kWrite, In(kNever), *signal).end == WaitEnd::kStopped);
  }
  CHECK(OpenDescriptors() == before);
}

TEST_CASE("a stop that a child of fork() requests is none in its parent") {
  if (!test::kCanFork) return;
  const SocketPair pair = UnixPair();
  std::stop_source source;
  const StopSignal signal(source.get_token());
  test::Child child([&source] { return source.request_stop() ? "requested" : "not possible"; });
  CHECK(child.Says() == "requested");
  CHECK(Wait(pair.ours.get(), kRead, In(1ms), signal).end == WaitEnd::kTimeUp);
  source.request_stop();
  CHECK(Wait(pair.ours.get(), kRead, In(1ms), signal).end == WaitEnd::kStopped);
}

}  // namespace
}  // namespace holdfast::http::internal::waiting_test
