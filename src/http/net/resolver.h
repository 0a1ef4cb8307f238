// Resolves names in threads of its own, since getaddrinfo knows no deadline.
#ifndef HOLDFAST_SRC_HTTP_NET_RESOLVER_H_
#define HOLDFAST_SRC_HTTP_NET_RESOLVER_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "holdfast/base/internal/process.h"
#include "holdfast/base/time.h"
#include "src/http/net/lookup_table.h"
#include "src/http/net/system_lookup.h"
#include "src/http/net/waiting.h"

namespace holdfast::http::internal {

// A call waits for its lookup until its deadline and goes on without it then; the lookup stays in
// its thread until the system ends it. Those who ask for one host at once share a lookup, and
// nothing is kept afterwards: caching is the system's. A thread is started when a lookup has none,
// up to Limits::max_running, and ends when it had no lookup for `idle`.
//
// A lookup fails at once, as kUnavailable, where it would wait behind others for nothing: with
// Limits::max_queued in front of it, or with all threads stuck.
//
// Thread-safe. In a child of fork() there are no threads and nobody waits. The destructor waits for
// no thread; those who wait get kCancelled.
class Resolver {
 public:
  // Called in several threads at once. Returns at least one address, or why there is none.
  using LookupFunction = std::function<absl::StatusOr<std::vector<Address>>(const std::string&)>;

  struct Options {
    LookupFunction lookup = &SystemLookup;
    LookupTable::Limits limits = {};
    TimeSpan idle = std::chrono::seconds(10);
  };

  Resolver() : Resolver(Options()) {}
  explicit Resolver(Options options);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  ~Resolver();

  // The one for the transports of this process, whose threads they share. Never destroyed.
  static Resolver& OfProcess();

 private:
  struct State;

 public:
  // Who asked; its destructor abandons the lookup. When that returns, the callback does not run in
  // another thread, and will not run. It may outlive the Resolver, and the callback may destroy it.
  class Handle {
   public:
    Handle() = default;
    Handle(Handle&&) = default;
    Handle& operator=(Handle&& other) noexcept;
    ~Handle() { Abandon(); }

   private:
    friend class Resolver;
    Handle(std::shared_ptr<State> state, std::shared_ptr<LookupRequest> request);
    void Abandon() noexcept;

    std::shared_ptr<State> state_;
    std::shared_ptr<LookupRequest> request_;
  };

  // Calls back once: in a thread of the resolver, where the callback is to be short, or before it
  // returns where there is nothing to wait for (a literal, a refusal). A host is a name, or a
  // literal as Address::Parse knows it. Results are kInvalidArgument for what can be neither, and
  // what the lookup says. Nothing is called back in a child of fork() of what its parent asked.
  [[nodiscard]] Handle Start(std::string_view host, int port, LookupCallback callback) const;

  // Blocks. kUnavailable at the deadline, kCancelled after a stop.
  LookupResult Lookup(std::string_view host, int port, TimePoint deadline,
                      const StopSignal& stop) const;

  std::size_t threads() const;

 private:
  // Its threads hold it too: one that is stuck outlives the resolver.
  const std::unique_ptr<holdfast::internal::PerProcess<State>> state_;
};

// What Lookup says at its deadline.
absl::Status NotResolvedInTime(std::string_view host);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_RESOLVER_H_
