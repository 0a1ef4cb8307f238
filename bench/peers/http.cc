// What http.sh runs: http <row> <side> <requests> <port> [<PEM file>], of a http_server, with its
// certificate where the requests go over TLS.
//
//   request  one thread, over one connection
//   threads  64 threads: Holdfast's over 8 connections in all, the others over one each
//   idle     the memory of 500 connections that are open and idle, after a request each
//   waves    AsyncTransport on one thread: a request over each of 1,000 connections at once, then
//            the next wave
//
// Prints lines of <measure> <value>: times in microseconds, memory in bytes for a connection. CPU
// is that of the whole process. A request that fails ends the program with 1.
#include <malloc.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <fstream>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "bench/peers/http_clients.h"
#include "holdfast/http_asio.h"

namespace holdfast::peers {
namespace {

using std::chrono::steady_clock;

constexpr std::size_t kThreads = 64;
constexpr std::size_t kShared = 8;  // connections of all threads
constexpr std::size_t kIdle = 500;
constexpr std::size_t kWave = 1000;
constexpr std::size_t kWarmUp = 200;

struct Task {
  std::string_view side;
  Origin origin;
  std::size_t requests = 0;
};

void Print(std::string_view measure, double value) {
  std::printf("%.*s %.3f\n", static_cast<int>(measure.size()), measure.data(), value);
}

void Require(bool right, const char* what) {
  if (!right) throw std::runtime_error(what);
}

void MustGet(Client& client) { Require(client.Get(), "a request failed"); }

double Microseconds(steady_clock::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

double CpuMicroseconds() {
  timespec time = {};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) * 1e-3;
}

// What requests take since it was made.
class Stopwatch {
 public:
  void Report(std::size_t requests) const {
    const double cpu = CpuMicroseconds() - cpu_;
    const double time = Microseconds(steady_clock::now() - began_);
    const auto count = static_cast<double>(requests);
    Print("rate", count / time * 1e6);
    Print("cpu", cpu / count);
  }

 private:
  steady_clock::time_point began_ = steady_clock::now();
  double cpu_ = CpuMicroseconds();
};

void MeasureRequests(const Task& task) {
  const auto clients = MakeClients(task.side, task.origin, 1, 1);
  Client& client = *clients.front();
  for (std::size_t i = 0; i < kWarmUp; ++i) MustGet(client);
  std::vector<double> took(task.requests);
  const Stopwatch stopwatch;
  for (double& time : took) {
    const auto start = steady_clock::now();
    MustGet(client);
    time = Microseconds(steady_clock::now() - start);
  }
  stopwatch.Report(task.requests);
  std::ranges::sort(took);
  Print("p50", took[took.size() / 2]);
  Print("p99", took[took.size() * 99 / 100]);
}

void MeasureThreads(const Task& task) {
  const auto clients = MakeClients(task.side, task.origin, kThreads, kShared);
  const std::size_t each = (task.requests + kThreads - 1) / kThreads;
  std::latch ready(kThreads + 1);
  std::vector<std::jthread> threads;
  threads.reserve(clients.size());
  for (const auto& client : clients) {
    threads.emplace_back([&ready, &client, each] {
      try {
        MustGet(*client);
        ready.arrive_and_wait();
        for (std::size_t i = 0; i < each; ++i) MustGet(*client);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        std::_Exit(1);
      }
    });
  }
  ready.arrive_and_wait();
  const Stopwatch stopwatch;
  threads.clear();
  stopwatch.Report(each * kThreads);
}

// Sends `waves` waves of a request over each of `connections`, on this thread.
class Waves {
 public:
  Waves(const Origin& origin, std::size_t connections)
      : connections_(connections),
        transport_(io_, origin.url(),
                   {.max_connections = static_cast<std::int64_t>(connections),
                    .max_idle = static_cast<std::int64_t>(connections),
                    .ca_file = origin.ca}) {}

  void Run(std::size_t waves) {
    for (; waves > 0; --waves) {
      std::size_t right = 0;
      for (std::size_t i = 0; i < connections_; ++i) {
        transport_(request_, [&right](const absl::StatusOr<http::Response>& response) {
          right += response.ok() && response->status == kStatus && response->body == kBody ? 1 : 0;
        });
      }
      io_.restart();
      io_.run();
      Require(right == connections_, "a request failed");
      Require(transport_.stats().idle == static_cast<std::int64_t>(connections_),
              "not each connection was used");
    }
  }

 private:
  const std::size_t connections_;
  const http::Request request_ = {.method = "GET", .target = "/"};
  net::io_context io_{1};
  http::AsyncTransport transport_;
};

void MeasureWaves(const Task& task) {
  Require(task.side == "AsyncTransport", "only AsyncTransport sends waves");
  Waves waves(task.origin, kWave);
  waves.Run(2);
  const std::size_t count = (task.requests + kWave - 1) / kWave;
  const Stopwatch stopwatch;
  waves.Run(count);
  stopwatch.Report(count * kWave);
}

struct Memory {
  double heap;      // bytes that are allocated
  double resident;  // of this process alone

  static Memory Now() {
    ::malloc_trim(0);
    std::ifstream rollup("/proc/self/smaps_rollup");
    for (std::string word; rollup >> word;) {
      double kilobytes = 0;
      if (word == "Private_Dirty:" && rollup >> kilobytes) {
        const struct mallinfo2 info = ::mallinfo2();
        return {.heap = static_cast<double>(info.uordblks + info.hblkhd),
                .resident = kilobytes * 1024};
      }
    }
    throw std::runtime_error("/proc/self/smaps_rollup does not say Private_Dirty");
  }
};

// What `open` leaves for each of kIdle connections.
template <class F>
void ReportMemory(F open) {
  const Memory before = Memory::Now();
  open();
  const Memory after = Memory::Now();
  Print("heap", (after.heap - before.heap) / kIdle);
  Print("resident", (after.resident - before.resident) / kIdle);
}

// Transport and AsyncTransport have the same pool, and the latter needs no thread for each of the
// requests that have to be under way at once. The first one is not counted, with what a process
// has once.
void MeasureIdle(const Task& task) {
  if (task.side == "Transport") {
    Waves first(task.origin, 1);
    first.Run(1);
    Waves all(task.origin, kIdle);
    ReportMemory([&all] { all.Run(1); });
    return;
  }
  const auto first = MakeClients(task.side, task.origin, 1, 1);
  MustGet(*first.front());
  std::vector<std::unique_ptr<Client>> all;
  ReportMemory([&all, &task] {
    all = MakeClients(task.side, task.origin, kIdle, kIdle);
    for (const auto& client : all) MustGet(*client);
  });
}

void Measure(std::string_view row, const Task& task) {
  if (row == "request") return MeasureRequests(task);
  if (row == "threads") return MeasureThreads(task);
  if (row == "idle") return MeasureIdle(task);
  if (row == "waves") return MeasureWaves(task);
  throw std::runtime_error("no such row");
}

template <class T>
T Number(std::string_view text) {
  T number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  Require(error == std::errc() && end == text.data() + text.size() && number > 0, "no number");
  return number;
}

}  // namespace
}  // namespace holdfast::peers

int main(int count, char** arguments) {
  const std::vector<std::string_view> words(arguments + 1, arguments + count);
  if (words.size() < 4 || words.size() > 5) {
    std::fputs("usage: http <row> <side> <requests> <port> [<PEM file>]\n", stderr);
    return 2;
  }
  using holdfast::peers::Number;
  try {
    holdfast::peers::Measure(words[0],
                             {.side = words[1],
                              .origin = {.port = Number<int>(words[3]),
                                         .ca = std::string(words.size() > 4 ? words[4] : "")},
                              .requests = Number<std::size_t>(words[2])});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "http: %.*s of %.*s: %s\n", static_cast<int>(words[0].size()),
                 words[0].data(), static_cast<int>(words[1].size()), words[1].data(), error.what());
    return 1;
  }
}
