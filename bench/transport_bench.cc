// What a request over a pooled connection of a Transport costs beside the same request over a
// keep-alive connection of a bare httplib::Client, which it is to exceed by at most a twentieth,
// and what it costs with a deadline, which the watchdog then has to know.
//
// All of them go to the same server on loopback, by turns, and each time is the median of its
// round: what this machine does besides hits them alike, and a single request says nothing. Client
// and server share one processor: to wake another one takes longer than all the rest, and which
// connections have to is chance.
#include <absl/status/statusor.h>
#include <benchmark/benchmark.h>
#include <httplib.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "holdfast/http.h"

namespace {

using namespace std::chrono_literals;
using holdfast::Stack;
using holdfast::Timeout;
using holdfast::http::Transport;

enum Way : std::size_t { kBare, kPooled, kBounded, kWays };

constexpr std::size_t kTurns = 100;
// In a row: the server's thread of the request before runs on into the next one's time, and should
// have been that way's own.
constexpr std::size_t kEach = 20;
constexpr int kRounds = 9;

using Round = std::array<double, kWays>;  // seconds for a request

// This thread, and those that it starts, while it lives.
class OnOneProcessor {
 public:
  OnOneProcessor() {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    ::sched_getaffinity(0, sizeof before_, &before_);
    ::sched_setaffinity(0, sizeof one, &one);
  }
  OnOneProcessor(const OnOneProcessor&) = delete;
  OnOneProcessor& operator=(const OnOneProcessor&) = delete;
  ~OnOneProcessor() { ::sched_setaffinity(0, sizeof before_, &before_); }

 private:
  cpu_set_t before_;
};

// Answers "hello" on loopback while it lives.
class Server : public httplib::Server {
 public:
  Server() {
    set_keep_alive_max_count(1'000'000);
    set_keep_alive_timeout(1);
    set_tcp_nodelay(true);  // of the socket that is bound next, and so of those that it accepts
    port_ = bind_to_any_port("127.0.0.1");
    Get("/", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("hello", "text/plain");
    });
    thread_ = std::thread([this] { listen_after_bind(); });
    while (!is_running()) std::this_thread::yield();
  }
  ~Server() override {
    stop();
    thread_.join();
  }

  std::string origin() const { return "http://127.0.0.1:" + std::to_string(port_); }

 private:
  int port_ = 0;
  std::thread thread_;
};

// With the connection of `first` opened first.
Round Run(std::size_t first) {
  const OnOneProcessor processor;
  Server server;
  httplib::Client client(server.origin());
  client.set_keep_alive(true);
  client.set_tcp_nodelay(true);
  const Transport transport(server.origin());
  // A connection of its own, as each way has.
  const auto bounded = Stack(Timeout(10s)).Around(Transport(server.origin()));
  const holdfast::http::Request request = {.method = "GET", .target = "/"};
  const std::array<std::function<bool()>, kWays> ways = {
      [&] { return static_cast<bool>(client.Get("/")); },
      [&] { return transport(request).ok(); },
      [&] { return bounded(request).ok(); },
  };
  std::array<std::vector<double>, kWays> took;
  for (std::size_t turn = 0; turn < kTurns; ++turn) {
    for (std::size_t place = 0; place < kWays; ++place) {
      const std::size_t way = (place + first) % kWays;
      for (std::size_t i = 0; i < kEach; ++i) {
        const auto start = std::chrono::steady_clock::now();
        const bool ok = ways[way]();
        const std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
        if (ok) took[way].push_back(time.count());
      }
    }
  }
  Round medians = {};
  for (std::size_t way = 0; way < kWays; ++way) {
    // A benchmark does what its name says, or fails.
    if (took[way].size() != kTurns * kEach) return {};
    const auto middle = took[way].begin() + kTurns * kEach / 2;
    std::nth_element(took[way].begin(), middle, took[way].end());
    medians[way] = *middle;
  }
  return medians;
}

// A benchmark's repetition has the round of its number, which whoever is the first there runs.
double Time(Way way, std::size_t round) {
  static std::vector<Round> rounds;
  while (rounds.size() <= round) rounds.push_back(Run(rounds.size()));
  return rounds[round][way];
}

void Report(benchmark::State& state, Way way, std::size_t& repetition) {
  for (auto _ : state) {
    const double time = Time(way, repetition++);
    if (time == 0) state.SkipWithError("a request failed");
    state.SetIterationTime(time);
  }
}

void OncePerRound(benchmark::internal::Benchmark* benchmark) {
  benchmark->UseManualTime()->Iterations(1)->Repetitions(kRounds);
}

void BareRequest(benchmark::State& state) {
  static std::size_t repetition = 0;
  Report(state, kBare, repetition);
}
BENCHMARK(BareRequest)->Apply(OncePerRound);

void PooledRequest(benchmark::State& state) {
  static std::size_t repetition = 0;
  Report(state, kPooled, repetition);
}
BENCHMARK(PooledRequest)->Apply(OncePerRound);

void PooledRequestWithDeadline(benchmark::State& state) {
  static std::size_t repetition = 0;
  Report(state, kBounded, repetition);
}
BENCHMARK(PooledRequestWithDeadline)->Apply(OncePerRound);

}  // namespace
