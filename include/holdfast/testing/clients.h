// How the clients of a Population arrive, and where their attempts go.
//
//   holdfast::testing::OpenClients crowd{.count = 1000, .rate = 70};
//   holdfast::testing::ClosedClients staff{
//       .count = 50, .think = holdfast::testing::Distribution::Exponential(5s)};
//   holdfast::testing::Backend nobody(
//       [](std::int64_t, holdfast::Call&, holdfast::testing::Reply<absl::Status>) {});
#ifndef HOLDFAST_TESTING_CLIENTS_H_
#define HOLDFAST_TESTING_CLIENTS_H_

#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/call/call.h"
#include "holdfast/testing/distribution.h"
#include "holdfast/testing/random.h"
#include "holdfast/testing/reply.h"
#include "holdfast/testing/server.h"

namespace holdfast::testing {

// An open population: calls arrive at a given rate, whether or not earlier calls have ended. A
// client picked at random makes each call; with periodic arrivals the clients take turns.
struct OpenClients {
  std::string name = {};
  std::int64_t count = 1;          // 1 to 1e8
  double rate = 1;                 // calls per second of all clients together, in (0, 1e9]
  bool periodic = false;           // true: at equal distances; false: a Poisson process
  TimeSpan start = {};             // of the arrivals; >= 0
  TimeSpan end = Duration::max();  // of the arrivals
  TimeSpan bucket = std::chrono::seconds(1);  // of the results' timeline; >= 1 ms
};

// A closed population: each client makes a call, waits for the result, thinks, and makes the next
// call.
struct ClosedClients {
  std::string name = {};
  std::int64_t count = 1;  // 1 to 1e8
  Distribution think = Distribution::Exponential(std::chrono::seconds(10));
  TimeSpan start = {};
  // The first call of each client is at a random time within `ramp` from `start`; >= 0. nullopt: as
  // if the clients had been thinking for ever, so that the load is steady from the start.
  std::optional<TimeSpan> ramp = std::nullopt;
  TimeSpan end = Duration::max();             // no call begins later
  TimeSpan bucket = std::chrono::seconds(1);  // of the results' timeline; >= 1 ms
};

// kInvalidArgument if an option is out of range; the text says which.
absl::Status Validate(const OpenClients& options);
absl::Status Validate(const ClosedClients& options);

// Which server an attempt goes to.
enum class ServerChoice : std::uint8_t {
  kAnyEachTime,  // a random server for each attempt
  kByClient,     // server i mod n for client i
};

// Where the attempts of a population go: to simulated servers, or to a function that is called for
// each attempt, like an executor of Simulate with the client's number as an additional first
// argument.
class Backend {
 public:
  using Function = std::function<void(std::int64_t client, Call&, Reply<absl::Status>)>;

  Backend(Server& server) : servers_{&server} {}  // NOLINT(google-explicit-constructor)
  // Throws std::invalid_argument if there is no server, or one is null.
  explicit Backend(std::vector<Server*> servers, ServerChoice choice = ServerChoice::kAnyEachTime);
  Backend(Function function)  // NOLINT(google-explicit-constructor)
      : function_(std::move(function)) {}

  void Serve(std::int64_t client, Call& call, Reply<absl::Status> reply, Random& random) const;
  const std::vector<Server*>& servers() const { return servers_; }

 private:
  std::vector<Server*> servers_;
  ServerChoice choice_ = ServerChoice::kAnyEachTime;
  Function function_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_CLIENTS_H_
