// The decisions of a Resolver: which lookup runs next, who waits for it, and what is refused.
#ifndef HOLDFAST_SRC_HTTP_NET_LOOKUP_TABLE_H_
#define HOLDFAST_SRC_HTTP_NET_LOOKUP_TABLE_H_

#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/base/time.h"
#include "src/http/net/address.h"

namespace holdfast::http::internal {

using LookupResult = absl::StatusOr<std::vector<Address>>;
using LookupCallback = absl::AnyInvocable<void(LookupResult)>;

// One who waits for a lookup. Thread-safe.
class LookupRequest {
 public:
  LookupRequest(std::string host, int port, LookupCallback callback)
      : host_(std::move(host)), port_(port), callback_(std::move(callback)) {}

  const std::string& host() const { return host_; }

  // Calls back, with the port put into the addresses. Only the first call does, and none after
  // Abandon. What the callback throws is dropped.
  void Answer(const LookupResult& result) noexcept;

  // When it returns, the callback does not run in another thread, and will not run.
  void Abandon();

 private:
  friend class LookupTable;

  const std::string host_;
  const int port_;
  std::uint64_t number_ = 0;  // the table's
  // Held while the callback runs, which may abandon the request itself.
  std::recursive_mutex mutex_;
  LookupCallback callback_;
};

// Those who wait for a lookup, in the order of asking.
using LookupRequests = std::map<std::uint64_t, std::shared_ptr<LookupRequest>>;

// Who asks for a host that is being looked up, or waits to be, shares that lookup. It reads no
// clock and takes no lock: its owner holds one.
class LookupTable {
 public:
  struct Limits {
    std::size_t max_running = 4;
    // Lookups that wait while max_running run. More than these would wait for rounds of lookups,
    // and each one of a name that has servers takes milliseconds: a queue of this length means that
    // they do not answer, and who waits in it has a better use for the time.
    std::size_t max_queued = 64;
    // A lookup that takes as long is stuck. More than the 5 s after which the resolver of the
    // system asks the second of its servers, since the first may be the only one that is down.
    TimeSpan stuck_after = std::chrono::seconds(6);
  };

  enum class Admission : signed char {
    kAdmitted,
    kFull,   // max_running run and max_queued wait
    kStuck,  // max_running run, and each is stuck
  };

  explicit LookupTable(const Limits& limits) : limits_(limits) {}

  const Limits& limits() const { return limits_; }
  std::size_t queued() const { return queue_.size(); }
  std::size_t running() const { return running_; }

  // Changes nothing if it throws.
  Admission Ask(const std::shared_ptr<LookupRequest>& request, TimePoint now);

  // A lookup that nobody waits for any more is not begun; one that runs goes on, for others that
  // may ask for it meanwhile.
  void Leave(const LookupRequest& request);

  // The host whose lookup begins now; nullopt: none waits, or enough run.
  std::optional<std::string> Begin(TimePoint now);

  // The lookup of that host, which had begun, is over: whom to answer. Allocates nothing, since a
  // thread could not go on without memory.
  LookupRequests End(const std::string& host);

  // All who wait; nothing is queued afterwards, and what runs has nobody who waits for it.
  LookupRequests TakeAll();

 private:
  struct Lookup {
    bool running = false;
    TimePoint began = {};  // if it runs
    LookupRequests waiting = {};
  };

  bool stuck(TimePoint now) const;

  const Limits limits_;
  std::map<std::string, Lookup> lookups_;  // by host: those that run and those that are queued
  std::deque<std::string> queue_;
  std::size_t running_ = 0;
  std::uint64_t number_ = 0;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_LOOKUP_TABLE_H_
