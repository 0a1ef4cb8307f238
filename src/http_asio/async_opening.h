// Opens a connection of a pool in steps that do not block.
#ifndef HOLDFAST_SRC_HTTP_ASIO_ASYNC_OPENING_H_
#define HOLDFAST_SRC_HTTP_ASIO_ASYNC_OPENING_H_

#include <absl/status/statusor.h>

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/base/waker.h"
#include "src/http/net/address.h"
#include "src/http/net/connecting.h"
#include "src/http/net/mover.h"
#include "src/http/net/resolver.h"
#include "src/http/net/steps.h"
#include "src/http/net/tls_handshake.h"
#include "src/http/opener.h"
#include "src/http/opening.h"
#include "src/http_asio/watches.h"

namespace holdfast::http::internal {

// As Opener::Open, without waiting and without Asio:
//
//   while (!opening.Advance(stopped, room)) {
//     // Wait for some of awaited(), for until(), for the waker or for a stop. Then, with nobody
//     // waiting for a descriptor any more, tell it those that are ready.
//   }
//   return opening.TakeResult();
//
// To be destroyed at any time, when nobody waits for a descriptor. One thread at a time.
class AsyncOpening {
 public:
  using Result = absl::StatusOr<std::unique_ptr<Stream>>;

  // Both must outlive it.
  AsyncOpening(Opener& opener, TimePoint deadline, Waker& waker);
  AsyncOpening(const AsyncOpening&) = delete;
  AsyncOpening& operator=(const AsyncOpening&) = delete;

  // Goes as far as it can. True: it is over. `room` is for what is read.
  bool Advance(bool stopped, std::span<char> room);

  const std::vector<Awaited>& awaited() const { return awaited_; }
  TimePoint until() const { return until_; }

  void Ready(int descriptor, Interest ready);
  // The system can't wait for a descriptor; `error` is an errno.
  void CantWait(int error);

  // Once, when it is over.
  // NOLINTNEXTLINE(bugprone-unchecked-optional-access): so there is one.
  Result TakeResult() { return *std::move(result_); }

 private:
  // What a thread of the resolver leaves.
  struct Found {
    std::mutex mutex;
    std::optional<LookupResult> result;
    Waker* waker = nullptr;  // null: nobody waits yet
  };
  struct Lookup {
    std::shared_ptr<Found> found = std::make_shared<Found>();
    Resolver::Handle handle;
  };
  struct Dial {
    std::optional<Connecting> connecting;
  };
  struct Through {
    Through(const Route& route, Connected connected, TimePoint until)
        : tunnel(route, std::move(connected)),
          duplex(tunnel.exchange()),
          mover(tunnel.stream(), duplex, {.deadline = until}) {}
    Tunnel tunnel;
    DuplexOf<Exchange> duplex;
    Mover mover;
  };
  struct Secure {
    std::unique_ptr<TlsHandshake> handshake;
  };

  void BeginLookup();
  void BeginDial(std::vector<Address> addresses);  // none for a unix socket
  void Begin(Connected connected);
  void BeginSecure(Connected connected);

  // False: it waits.
  bool Go(Lookup& lookup, bool stopped);
  bool Go(Dial& dial, bool stopped);
  bool Go(Through& through, bool stopped, std::span<char> room);
  bool Go(Secure& secure, bool stopped);
  bool End(Result result);
  void Await(int descriptor, Interest interest, TimePoint until);

  Opener& opener_;
  const Route& route_;
  const TimePoint deadline_;
  Waker& waker_;
  StepLimits step_;
  std::variant<std::monostate, Lookup, Dial, Through, Secure> phase_;
  std::vector<Awaited> awaited_;
  TimePoint until_ = TimePoint::max();
  std::optional<Result> result_;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_ASIO_ASYNC_OPENING_H_
