// A server of metrics for the test of the page. Time is virtual, and what happens is what standard
// input says, a command a line; each is answered by a line.
//
//   add                  registers the stacks
//   calls <n> ok|fail    makes calls of 10 ms through the first stack
//   advance <ms>         lets time go on
//   probe                the breaker admits a probe, which goes on until
//   settle ok|fail       it ends so
//   stop, start          the server, on the same port
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include "holdfast/holdfast.h"
#include "holdfast/metrics.h"
#include "holdfast/metrics_http.h"
#include "holdfast/testing.h"

namespace {

using namespace std::chrono_literals;

auto Orders(const std::shared_ptr<holdfast::CircuitBreaker>& breaker) {
  return holdfast::Stack(
      holdfast::Timeout(10s),
      holdfast::Retry({.max_attempts = 2, .backoff = holdfast::Backoff::Constant(100ms)}), breaker,
      holdfast::KeyedRateLimit({.limits = {.rate = 5, .burst = 50}, .name = "customers"},
                               {.max_wait = 0s}),
      holdfast::Bulkhead({.limit = 8, .name = "orders"}), holdfast::Timeout(1s));
}

class Scene {
 public:
  Scene() { Start(0); }

  std::string Do(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    if (command == "add") return Add();
    if (command == "calls") return Calls(words);
    if (command == "advance") return Advance(words);
    if (command == "probe") return Probe();
    if (command == "settle") return Settle(words);
    if (command == "stop") server_->Stop();
    if (command == "start") Start(server_->port());
    return "ok";
  }

  const std::string& url() const { return server_->url(); }

 private:
  void Start(int port) {
    server_ = holdfast::MetricsServer::Start(
                  metrics_, {.port = port, .refresh = 200ms, .history = 30s, .events = events_})
                  .value();
  }

  std::string Add() {
    absl::Status status = metrics_.Add("orders", stack_);
    status.Update(metrics_.Add("<script>alert(1)</script>", other_));
    status.Update(metrics_.Add(lone_));
    return status.ok() ? "ok" : std::string(status.message());
  }

  std::string Calls(std::istringstream& words) {
    int count = 0;
    std::string outcome;
    words >> count >> outcome;
    for (int i = 0; i < count; ++i) {
      fetch_.With({.key = i % 3 == 0 ? "alice" : "bob"}, outcome == "ok").IgnoreError();
    }
    return "ok";
  }

  std::string Advance(std::istringstream& words) {
    int milliseconds = 0;
    words >> milliseconds;
    clock_.Advance(std::chrono::milliseconds(milliseconds));
    return "ok";
  }

  std::string Probe() {
    absl::StatusOr<holdfast::Ticket> ticket = breaker_->AdmitAt(clock_.Now());
    if (!ticket.ok()) return std::string(ticket.status().message());
    probe_.emplace(*std::move(ticket));
    return "ok";
  }

  std::string Settle(std::istringstream& words) {
    std::string outcome;
    words >> outcome;
    if (!probe_) return "there is no probe";
    probe_->DoneAt(clock_.Now(),
                   outcome == "ok" ? holdfast::Outcome::kSuccess : holdfast::Outcome::kFailure);
    probe_.reset();
    return "ok";
  }

  std::function<std::chrono::system_clock::time_point()> Wall() {
    return [this] {
      return std::chrono::system_clock::time_point(1'800'000'000s) +
             std::chrono::duration_cast<std::chrono::system_clock::duration>(
                 clock_.Now().time_since_epoch());
    };
  }

  absl::Status Serve(bool good) {
    clock_.Advance(10ms);
    return good ? absl::OkStatus() : absl::UnavailableError("down");
  }

  holdfast::testing::FakeClock clock_;
  std::shared_ptr<holdfast::RecentEvents> events_ = std::make_shared<holdfast::RecentEvents>(
      holdfast::RecentEventsOptions{.keys = true, .now = Wall()});
  holdfast::Metrics metrics_{{.service_name = "shop", .observer = events_, .now = Wall()}};
  std::shared_ptr<holdfast::CircuitBreaker> breaker_ = std::make_shared<holdfast::CircuitBreaker>(
      holdfast::CircuitBreaker::Options{.name = "q\"uo\\te",
                                        .timeout = 5s,
                                        .rules = {holdfast::ConsecutiveFailures(5)},
                                        .clock = &clock_});
  std::shared_ptr<holdfast::Semaphore> lone_ = std::make_shared<holdfast::Semaphore>(
      holdfast::Semaphore::Options{.limit = 3, .name = "lone", .clock = &clock_});
  decltype(Orders(nullptr)) stack_ = Orders(breaker_);
  holdfast::Stack<holdfast::Timeout<>> other_{holdfast::Timeout(1s)};
  holdfast::AnyExecutor<absl::Status(bool)> fetch_ =
      stack_.Around([this](bool good) { return Serve(good); }, &clock_);
  std::optional<holdfast::Ticket> probe_;
  std::unique_ptr<holdfast::MetricsServer> server_;
};

}  // namespace

int main() {
  Scene scene;
  std::cout << scene.url() << std::endl;
  for (std::string line; std::getline(std::cin, line);) std::cout << scene.Do(line) << std::endl;
  return 0;
}
