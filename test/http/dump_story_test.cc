// A dump of 2,000 calls that nobody waits for, to a server that answers one in ten late or never.
// At most 100 may be outstanding, each is to be connected within 500 ms and done within 100 ms.
//
// Read as: a call is done, or given up, within 100 ms of the moment when it may go out, connecting
// included; and where nothing else bounds it, connecting takes no more than 500 ms. Its wait for
// its turn is no part of that.
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/base/thread_pool.h"
#include "holdfast/call/call.h"
#include "holdfast/concurrency/bulkhead.h"
#include "holdfast/concurrency/semaphore.h"
#include "holdfast/http.h"
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"
#include "test/http/descriptors.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::http::dump_story_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using std::chrono::steady_clock;
using test::BlackHole;
using test::Eventually;
using test::InThreads;
using test::kHello;
using test::Listener;
using test::MakeRequest;
using test::OpenDescriptors;
using Code = absl::StatusCode;

constexpr int kCalls = 2'000;
constexpr int kOutstanding = 100;
constexpr Duration kConnectTimeout = 500ms;
constexpr Duration kDone = 100ms;
constexpr Duration kLate = 300ms;
// More than a loaded machine needs; alone it is 2 ms.
constexpr Duration kSlack = 5s;

bool IsSlow(int number) { return number % 10 == 3; }

Duration AnswerAfter(int number) {
  if (!IsSlow(number)) return 0ms;
  return number % 40 == 3 ? kLate : 1h;
}

// Serves all of its connections in one thread, so that there is one order of what happened. A
// request is outstanding from when it was read until it is answered or its client is gone.
class DumpServer {
 public:
  std::string Host() const { return listener_.Host(); }
  int most_outstanding() const { return most_outstanding_; }
  int open() const { return open_; }  // connections

 private:
  struct Client {
    std::string request = {};
    steady_clock::time_point answer_at = steady_clock::time_point::max();
  };

  void Run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      Await(1ms, POLLIN);
      Accept();
      Read();
      DropGone(0ms);
      Measure();
      Answer();
    }
    for (const auto& [fd, client] : clients_) ::close(fd);
  }

  // What has happened is in polled_, the listener last.
  void Await(std::chrono::milliseconds patience, short events) {
    polled_.clear();
    for (const auto& [fd, client] : clients_) {
      polled_.push_back({.fd = fd, .events = events, .revents = 0});
    }
    polled_.push_back({.fd = listener_.fd(), .events = events, .revents = 0});
    ::poll(polled_.data(), polled_.size(), static_cast<int>(patience.count()));
  }

  void Accept() {
    if (polled_.back().revents == 0) return;
    clients_[::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC)];
    ++open_;
  }

  void Read() {
    polled_.pop_back();
    for (const pollfd& polled : polled_) {
      if ((polled.revents & POLLIN) == 0) continue;
      std::array<char, 4096> buffer;
      const ssize_t n = ::recv(polled.fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n <= 0) continue;
      Client& client = clients_[polled.fd];
      client.request.append(buffer.data(), static_cast<std::size_t>(n));
      if (!client.request.ends_with("\r\n\r\n")) continue;
      const int number = std::stoi(client.request.substr(client.request.find('/') + 1));
      client.answer_at = steady_clock::now() + AnswerAfter(number);
    }
  }

  void DropGone(std::chrono::milliseconds patience) {
    Await(patience, POLLRDHUP);
    polled_.pop_back();
    for (const pollfd& polled : polled_) {
      if (polled.revents == 0) continue;
      clients_.erase(polled.fd);
      ::close(polled.fd);
      --open_;
    }
  }

  int Outstanding() const {
    return static_cast<int>(std::count_if(clients_.begin(), clients_.end(), [](const auto& entry) {
      return entry.second.answer_at != steady_clock::time_point::max();
    }));
  }

  // A client that gives up says so before another may send its request. But the network does not
  // promise to bring the one before the other: what is on its way is waited for.
  void Measure() {
    for (int i = 0; i < 50 && most_outstanding_ <= kOutstanding && Outstanding() > kOutstanding;
         ++i) {
      DropGone(1ms);
    }
    most_outstanding_ = std::max(most_outstanding_.load(), Outstanding());
  }

  void Answer() {
    for (auto& [fd, client] : clients_) {
      if (client.answer_at > steady_clock::now()) continue;
      client = {};
      ::send(fd, kHello.data(), kHello.size(), MSG_NOSIGNAL);
    }
  }

  Listener listener_{1024};
  std::map<int, Client> clients_;
  std::vector<pollfd> polled_;
  std::atomic<int> most_outstanding_ = 0;
  std::atomic<int> open_ = 0;
  std::jthread thread_{[this](const std::stop_token& stop) { Run(stop); }};
};

httplib::Request Numbered(int number) { return MakeRequest("GET", "/" + std::to_string(number)); }

TEST_CASE("a thread and a client for each call of a dump have no bound") {
  std::vector<std::jthread> threads;  // which the program detached; the server's end is theirs
  DumpServer server;
  threads.reserve(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    threads.emplace_back([origin = "http://" + server.Host(), i] {
      httplib::Client client(origin);
      (void)client.send(Numbered(i));
    });
  }
  CHECK(Eventually([&] { return server.most_outstanding() > kOutstanding; }));
}

struct Outcome {
  Code code = Code::kUnknown;
  Duration took = {};  // since it was let out
};

struct Dumped {
  std::vector<Outcome> outcomes;
  std::int64_t most_let_out = 0;  // calls at once
};

// Each call of a dump through `transport` and the policies that bound it.
Dumped Dump(const Transport& transport) {
  std::vector<Outcome> outcomes(kCalls);
  const auto permits = std::make_shared<Semaphore>(Semaphore::Options{.limit = kOutstanding});
  std::atomic<std::int64_t> most_let_out = 0;
  const auto send =
      Stack(Bulkhead(permits, {.max_wait = Duration::max()}), Timeout(kDone))
          .Around([&](const httplib::Request& request, int number, Call& call) {
            const std::int64_t out = permits->in_use();
            for (std::int64_t most = most_let_out;
                 out > most && !most_let_out.compare_exchange_weak(most, out);) {
            }
            const auto start = steady_clock::now();
            auto response = transport(request, call);
            outcomes[static_cast<std::size_t>(number)] = {.code = response.status().code(),
                                                          .took = steady_clock::now() - start};
            return response;
          });
  {
    // More threads than may be busy, so that it is not for want of them that few calls are out.
    ThreadPool pool({.max_threads = kOutstanding + 28, .max_queue = kCalls});
    for (int i = 0; i < kCalls; ++i) {
      if (!pool.TryRun([&send, i] { (void)send(Numbered(i), i); })) break;
    }
  }
  return {.outcomes = std::move(outcomes), .most_let_out = most_let_out};
}

TEST_CASE("a dump has no more calls outstanding than it may, and each ends in time") {
  const int before = OpenDescriptors();
  std::vector<Outcome> outcomes;
  {
    DumpServer server;
    const int without = OpenDescriptors();
    const Transport transport("http://" + server.Host(),
                              {.max_idle = kOutstanding, .connect_timeout = kConnectTimeout});
    Dumped dumped = Dump(transport);
    outcomes = std::move(dumped.outcomes);
    CHECK(server.most_outstanding() <= kOutstanding);
    CHECK(dumped.most_let_out == kOutstanding);  // it was not for want of calls
    CHECK(transport.stats().in_use == 0);
    CHECK(Eventually([&] {
      const auto idle = static_cast<int>(transport.stats().idle);
      return OpenDescriptors() == without + server.open() + idle && server.open() == idle;
    }));
  }
  CHECK(OpenDescriptors() == before);

  int answered = 0;
  int late = 0;
  int slow_not_late = 0;
  Duration longest = {};
  for (int i = 0; i < kCalls; ++i) {
    const Outcome& outcome = outcomes[static_cast<std::size_t>(i)];
    answered += outcome.code == Code::kOk ? 1 : 0;
    late += outcome.code == Code::kDeadlineExceeded ? 1 : 0;
    slow_not_late += IsSlow(i) && outcome.code != Code::kDeadlineExceeded ? 1 : 0;
    longest = std::max(longest, outcome.took);
  }
  CHECK(answered + late == kCalls);
  CHECK(late >= kCalls / 10);
  CHECK(slow_not_late == 0);
  // As many as the machine is fast enough for; alone those are all the others.
  CHECK(answered >= kCalls / 4);
  CHECK(longest < kDone + kSlack);
}

TEST_CASE("a dump to a server that takes no connection gives up connecting in time") {
  const BlackHole hole;
  const int before = OpenDescriptors();
  const Transport transport("http://" + hole.Host(), {.connect_timeout = kConnectTimeout});
  std::vector<Outcome> outcomes(kOutstanding);
  InThreads(kOutstanding, [&](int i) {
    const auto start = steady_clock::now();
    const absl::Status status = transport(Numbered(i)).status();
    outcomes[static_cast<std::size_t>(i)] = {.code = status.code(),
                                             .took = steady_clock::now() - start};
  });
  for (const Outcome& outcome : outcomes) {
    CHECK(outcome.code == Code::kUnavailable);
    CHECK(outcome.took >= kConnectTimeout);
    CHECK(outcome.took < kConnectTimeout + kSlack);
  }
  CHECK(OpenDescriptors() == before);
}

}  // namespace
}  // namespace holdfast::http::dump_story_test
