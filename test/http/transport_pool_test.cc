// How many connections a Transport opens, and who gets them.
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>
#include <linux/filter.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "holdfast/http.h"
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"
#include "src/http/net/stream.h"
#include "src/http/origin.h"
#include "src/http/pool.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

namespace holdfast::http::transport_pool_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::FaultServer;
using test::kHello;
using test::MakeRequest;
using test::Peer;
using test::TestServer;
using Code = absl::StatusCode;

// Answers requests until the client is gone; counts the connections that are open.
class CountingServer {
 public:
  std::string Url() const { return "http://" + server_.Host(); }
  int most_open() const { return most_open_; }
  int accepted() const { return server_.accepted(); }
  int requests() const { return requests_; }

 private:
  void Serve(const Peer& peer) {
    const int open = ++open_;
    for (int most = most_open_; open > most && !most_open_.compare_exchange_weak(most, open);) {
    }
    while (peer.ReadRequest()) {
      ++requests_;
      if (!peer.Write(kHello)) break;
    }
    --open_;
  }

  std::atomic<int> open_ = 0;
  std::atomic<int> most_open_ = 0;
  std::atomic<int> requests_ = 0;
  FaultServer server_{[this](const Peer& peer) { Serve(peer); }};
};

// Answers each request when it is told to.
class SlowServer {
 public:
  SlowServer() = default;
  ~SlowServer() { Release(1'000'000); }

  std::string Url() const { return "http://" + server_.Host(); }
  void Release(int requests) {
    const std::lock_guard lock(mutex_);
    released_ += requests;
    changed_.notify_all();
  }
  std::vector<std::string> paths() {
    const std::lock_guard lock(mutex_);
    return paths_;
  }
  // From now on the connections that there are get and acknowledge nothing, as if the host were
  // gone.
  void Vanish() {
    sock_filter drop = {.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};
    const sock_fprog program = {.len = 1, .filter = &drop};
    const std::lock_guard lock(mutex_);
    for (const int fd : descriptors_) {
      REQUIRE(::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
    }
  }
  void AwaitRequests(std::size_t n) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return paths_.size() >= n; });
  }

 private:
  void Serve(const Peer& peer) {
    {
      const std::lock_guard lock(mutex_);
      descriptors_.push_back(peer.fd());
    }
    for (std::string message = peer.ReadMessage(); !message.empty(); message = peer.ReadMessage()) {
      {
        std::unique_lock lock(mutex_);
        paths_.push_back(message.substr(0, message.find(" HTTP")));
        changed_.notify_all();
        changed_.wait(lock, [&] { return released_ > 0; });
        --released_;
      }
      if (!peer.Write(kHello)) return;
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int released_ = 0;
  std::vector<int> descriptors_;
  std::vector<std::string> paths_;
  FaultServer server_{[this](const Peer& peer) { Serve(peer); }};
};

// So many idle connections.
void Fill(const Transport& transport, SlowServer& server, std::size_t n) {
  const std::size_t before = server.paths().size();
  std::vector<std::jthread> calls;
  for (std::size_t i = 0; i < n; ++i) {
    calls.emplace_back([&] { CHECK(transport(MakeRequest("GET", "/")).ok()); });
  }
  server.AwaitRequests(before + n);
  server.Release(static_cast<int>(n));
}

void AwaitQueued(const Transport& transport, int n) {
  while (transport.stats().queued != n) std::this_thread::yield();
}

// Of this process's network namespace, to one port.
int SocketsInTimeWait(int port) {
  std::FILE* const table = std::fopen("/proc/net/tcp", "r");
  if (table == nullptr) return -1;
  char line[512];
  int found = 0;
  while (std::fgets(line, sizeof line, table) != nullptr) {
    unsigned local = 0;
    unsigned remote = 0;
    unsigned state = 0;
    if (std::sscanf(line, " %*d: %*x:%x %*x:%x %x", &local, &remote, &state) == 3) {
      const auto is = [port](unsigned p) { return static_cast<int>(p) == port; };
      found += state == 6 && (is(local) || is(remote)) ? 1 : 0;  // TCP_TIME_WAIT
    }
  }
  std::fclose(table);
  return found;
}

TEST_CASE("ten thousand requests one after the other take one connection") {
  CountingServer server;
  const Transport transport(server.Url());
  const httplib::Request request = MakeRequest("GET", "/");
  for (int i = 0; i < 10'000; ++i) REQUIRE(transport(request).ok());
  CHECK(server.accepted() == 1);
  CHECK(server.requests() == 10'000);
  CHECK(transport.stats().opened == 1);
  CHECK(transport.stats().reused == 9'999);
  CHECK(transport.stats().idle == 1);
  CHECK(transport.stats().in_use == 0);
  const int port = std::stoi(server.Url().substr(server.Url().rfind(':') + 1));
  CHECK(SocketsInTimeWait(port) <= 5);
}

TEST_CASE("never more connections than max_connections are open, and no request is lost") {
  constexpr int kThreads = 64;
  constexpr int kEach = 200;
  CountingServer server;
  const Transport transport(server.Url(), {.max_connections = 8});
  std::vector<int> answered(kThreads);
  {
    std::vector<std::jthread> threads;
    threads.reserve(kThreads);
    for (int& count : answered) {
      threads.emplace_back([&transport, &count] {
        const httplib::Request request = MakeRequest("GET", "/");
        for (int i = 0; i < kEach; ++i) count += transport(request).ok() ? 1 : 0;
      });
    }
  }
  CHECK(std::reduce(answered.begin(), answered.end()) == kThreads * kEach);
  CHECK(server.requests() == kThreads * kEach);
  CHECK(server.most_open() <= 8);
  CHECK(server.accepted() <= 8);
}

TEST_CASE("who waits for a connection gets it in the order of asking") {
  SlowServer server;
  const Transport transport(server.Url(), {.max_connections = 1});
  std::vector<std::jthread> threads;
  std::vector<std::string> asked;
  for (int i = 0; i < 20; ++i) {
    asked.push_back("GET /" + std::to_string(i));
    threads.emplace_back(
        [&transport, i] { (void)transport(MakeRequest("GET", "/" + std::to_string(i))); });
    if (i == 0) {
      server.AwaitRequests(1);
    } else {
      AwaitQueued(transport, i);
    }
  }
  server.Release(20);
  threads.clear();
  CHECK(server.paths() == asked);
}

TEST_CASE("the wait for a connection ends with the call") {
  SlowServer server;
  const Transport transport(server.Url(), {.max_connections = 1});
  const std::jthread first([&] { (void)transport(MakeRequest("GET", "/")); });
  server.AwaitRequests(1);
  std::stop_source stop;
  absl::Status status;
  SECTION("at its deadline") {
    const auto start = std::chrono::steady_clock::now();
    status = Stack(Timeout(30ms)).Around(transport)(MakeRequest("POST", "/")).status();
    CHECK(status.code() == Code::kDeadlineExceeded);
    CHECK(std::chrono::steady_clock::now() - start < 5s);
  }
  SECTION("where it is stopped") {
    std::jthread stopper([&] {
      AwaitQueued(transport, 1);
      stop.request_stop();
    });
    status = Stack()
                 .Around(transport)
                 .With({.stop = stop.get_token()}, MakeRequest("POST", "/"))
                 .status();
    CHECK(status.code() == Code::kCancelled);
  }
  CHECK(TransportErrorOf(status) == TransportError::kConnect);
  CHECK(transport.stats().queued == 0);
  server.Release(1);
}

TEST_CASE("total_timeout bounds an exchange without a deadline") {
  SlowServer server;
  const Transport transport(server.Url(), {.max_connections = 1, .total_timeout = 30ms});
  const absl::Status status = transport(MakeRequest("GET", "/")).status();
  CHECK(status.code() == Code::kDeadlineExceeded);
  CHECK(TransportErrorOf(status) == TransportError::kOutcomeUnknown);
  CHECK(transport.stats().in_use == 0);
  server.Release(1);
}

TEST_CASE("a host that is gone without a word takes its idle connections with it") {
  SlowServer server;
  const Transport transport(server.Url(), {.read_timeout = 1s});
  Fill(transport, server, 3);
  REQUIRE(transport.stats().idle == 3);
  server.Vanish();
  const httplib::Request request = MakeRequest("POST", "/", "x");
  SECTION("where nothing is read in time") {
    CHECK(transport(request).status().code() == Code::kUnavailable);
  }
  SECTION("where the deadline comes first") {
    const auto fetch = Stack(Timeout(600ms)).Around(transport);
    CHECK(fetch(request).status().code() == Code::kDeadlineExceeded);
  }
  CHECK(transport.stats().idle == 0);
  server.Release(1);
  CHECK(transport(request).ok());
  CHECK(transport.stats().opened == 4);
}

TEST_CASE("a host that is only slow keeps its idle connections") {
  SlowServer server;
  const Transport transport(server.Url(), {.read_timeout = 1s});
  Fill(transport, server, 3);
  REQUIRE(transport.stats().idle == 3);
  CHECK(transport(MakeRequest("POST", "/", "x")).status().code() == Code::kUnavailable);
  CHECK(transport.stats().idle == 2);
}

// An idle connection that takes its time to end.
struct Ending {
  std::atomic<bool> begun = false;
  std::atomic<bool> over = false;
};
class SlowlyEnding final : public internal::Stream {
 public:
  explicit SlowlyEnding(Ending& ending) : ending_(ending) {}
  ~SlowlyEnding() override { ending_.over = true; }
  internal::IoResult Read(std::span<char>) override { return {}; }
  internal::IoResult Write(std::span<const std::string_view>) override { return {}; }
  bool Quiet() override { return true; }
  void Finish() noexcept override {
    ending_.begun = true;
    ending_.begun.notify_all();
    std::this_thread::sleep_for(50ms);  // only lets a defect show
  }
  int descriptor() const override { return -1; }

 private:
  Ending& ending_;
};

TEST_CASE("a connection that is closed while it is idle counts until it is closed") {
  Ending ending;
  const auto pool =
      std::make_shared<internal::Pool>(internal::ParseRoute("http://127.0.0.1:1", {}),
                                       TransportOptions{.max_connections = 1, .idle_timeout = 1h});
  pool->Keep(pool->Begin(std::make_unique<SlowlyEnding>(ending)), {});
  const TimePoint now = holdfast::internal::ReadClock(nullptr);
  const bool at_its_time = GENERATE(false, true);
  const std::jthread closes([&] {
    if (at_its_time) {
      pool->TidyUp(now + 2h);
    } else {
      pool->DropIdle(now);
    }
  });
  ending.begun.wait(false);
  const auto permit = pool->Admit(TimePoint::max(), {});
  CHECK_FALSE(pool->TakeIdle(now).has_value());
  CHECK(ending.over);
}

}  // namespace
}  // namespace holdfast::http::transport_pool_test
