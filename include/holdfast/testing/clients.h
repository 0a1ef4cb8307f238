// How the clients of a Population come, and where their attempts go.
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

// Calls come in whether or not those before have ended, as from people who do not know of each
// other: each by a client that is picked at random, or in turn where arrivals are periodic.
struct OpenClients {
  std::string name = {};
  std::int64_t count = 1;  // 1 to 1e8
  double rate = 1;         // calls per second of all clients together, > 0
  bool periodic = false;   // false: as a Poisson process
  TimeSpan start = {};
  TimeSpan end = Duration::max();             // of the arrivals
  TimeSpan bucket = std::chrono::seconds(1);  // of the results' timeline
};

// Each client calls, waits for the result, thinks, and calls again.
struct ClosedClients {
  std::string name = {};
  std::int64_t count = 1;  // 1 to 1e8
  Distribution think = Distribution::Exponential(std::chrono::seconds(10));
  TimeSpan start = {};
  // First calls are at random within it from the start; nullopt: as if they had thought for ever,
  // so that the load is the same from the start.
  std::optional<TimeSpan> ramp = std::nullopt;
  TimeSpan end = Duration::max();             // no call begins later
  TimeSpan bucket = std::chrono::seconds(1);  // of the results' timeline
};

absl::Status Validate(const OpenClients& options);
absl::Status Validate(const ClosedClients& options);

// Which server an attempt goes to.
enum class ServerChoice : std::uint8_t {
  kAnyEachTime,  // one at random for each attempt
  kByClient,     // client i always to server i mod n
};

// Where a population's attempts go: servers, or a function for each attempt, as an executor of
// Simulate's with the client's number before.
class Backend {
 public:
  using Function = std::function<void(std::int64_t client, Call&, Reply<absl::Status>)>;

  Backend(Server& server) : servers_{&server} {}  // NOLINT(google-explicit-constructor)
  // Throws std::invalid_argument if there is no server.
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
