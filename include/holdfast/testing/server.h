// A Server is a backend in a simulated world: workers, a queue, and faults.
//
//   holdfast::testing::Server server(
//       world, {.service = holdfast::testing::Distribution::Exponential(10ms),
//               .workers = 8,
//               .failures = {{.from = 20s, .to = 40s, .share = 0.5}}});
//   auto ask = holdfast::testing::Simulate(
//       world, holdfast::Stack(holdfast::Timeout(1s)),
//       [&](holdfast::Call&, holdfast::testing::Reply<absl::Status> reply) {
//         server.Serve(reply);
//       });
#ifndef HOLDFAST_TESTING_SERVER_H_
#define HOLDFAST_TESTING_SERVER_H_

#include <absl/status/status.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/testing/distribution.h"
#include "holdfast/testing/random.h"
#include "holdfast/testing/reply.h"
#include "holdfast/testing/world.h"

namespace holdfast::testing {

// Which waiting request a worker takes next.
enum class QueueDiscipline : std::uint8_t {
  kFifo,    // the oldest
  kLifo,    // the newest
  kRandom,  // any
  kCoDel,   // the oldest; rejects requests that waited too long in a queue that does not empty
};

// How a request fails: at once with kUnavailable (kError), or never answered (kHang), so that only
// the client's own timeout ends it. Neither uses a worker.
enum class FailureKind : std::uint8_t { kError, kHang };

// From `from` until `to`, `share` (0 to 1) of the arriving requests fail.
struct FailureWindow {
  TimeSpan from = {};
  TimeSpan to = {};
  double share = 1;
  FailureKind kind = FailureKind::kError;
};

// Work that begins from `from` until `to` takes `factor` (> 0) times as long.
struct BrownOut {
  TimeSpan from = {};
  TimeSpan to = {};
  double factor = 2;
};

// All workers stop for `length` at the end of every `period`. period = 0: no pauses.
struct Pauses {
  TimeSpan period = {};
  TimeSpan length = {};
};

struct ServerOptions {
  std::string name = {};
  Distribution service = Distribution::Exponential(std::chrono::milliseconds(10));
  std::int64_t workers = 1;       // concurrent requests in service, 1 to 1e6
  std::int64_t max_queue = 1000;  // waiting requests; one more gets kResourceExhausted
  QueueDiscipline discipline = QueueDiscipline::kFifo;
  // Whether a worker skips a request whose client has given up. Few servers do. A server that does
  // not skip such requests works in vain, which keeps it down after a retry storm.
  bool drops_cancelled = false;
  std::vector<FailureWindow> failures = {};
  std::vector<BrownOut> brown_outs = {};
  Pauses pauses = {};
  // For kCoDel. If the queue was not empty for a whole interval, requests that waited for longer
  // than the target are rejected; otherwise those that waited for longer than the interval.
  TimeSpan codel_target = std::chrono::milliseconds(5);
  TimeSpan codel_interval = std::chrono::milliseconds(100);
};

// kInvalidArgument if an option is out of range; the text says which.
absl::Status Validate(const ServerOptions& options);

struct ServerCounts {
  std::int64_t received = 0;
  std::int64_t served = 0;     // answered while the client waited
  std::int64_t wasted = 0;     // finished after the client had given up
  std::int64_t failed = 0;     // failed by a FailureWindow
  std::int64_t refused = 0;    // rejected because the queue was full
  std::int64_t shed = 0;       // rejected by kCoDel
  std::int64_t cancelled = 0;  // skipped because the client had given up
  std::int64_t longest_queue = 0;
  Duration waited = {};  // total wait of the requests that a worker has begun
  Duration busy = {};    // total of all workers, with pauses; work counts in full when it begins
};

// The replies are OK, kUnavailable (a failure) and kResourceExhausted (the queue was full, or CoDel
// shed the request). They are errors of a backend, not rejections by a policy.
class Server {
 public:
  // Throws std::invalid_argument with the text of Validate.
  Server(World& world, ServerOptions options);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // A request arrives now.
  void Serve(Reply<absl::Status> reply);

  const ServerCounts& counts() const { return counts_; }
  std::int64_t queued() const { return static_cast<std::int64_t>(queue_.size()); }
  std::int64_t busy_workers() const { return workers_ - static_cast<std::int64_t>(idle_.size()); }
  const ServerOptions& options() const { return options_; }

 private:
  struct Request {
    Reply<absl::Status> reply;
    TimePoint came;
  };
  class Worker final : public Event {
   public:
    void Happen() override { server->Finish(*this); }
    void Approach() const override {
      if (reply) reply->Fetch();
    }

    Server* server = nullptr;
    std::optional<Reply<absl::Status>> reply;  // of the request in service
  };

  bool Fails(const Reply<absl::Status>& reply);
  void Begin(Worker& worker, const Request& request);
  void Finish(Worker& worker);
  void TakeNext(Worker& worker);
  Request Pick();
  bool Sheds(const Request& request) const;
  TimePoint EndOfWork(TimePoint begin);
  double Slowdown(TimePoint at) const;

  World& world_;
  const ServerOptions options_;
  Random random_;
  ServerCounts counts_;
  const std::int64_t workers_;
  std::unique_ptr<Worker[]> all_workers_;
  std::vector<Worker*> idle_;
  std::deque<Request> queue_;
  TimePoint emptied_ = {};  // when the queue was last empty
  const absl::Status unavailable_;
  const absl::Status exhausted_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_SERVER_H_
