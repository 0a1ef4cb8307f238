// The sockets of one attempt to reach a host, for a driver that does the waiting.
#ifndef HOLDFAST_SRC_HTTP_NET_CONNECTING_H_
#define HOLDFAST_SRC_HTTP_NET_CONNECTING_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/base/time.h"
#include "src/http/net/address.h"
#include "src/http/net/bad_addresses.h"
#include "src/http/net/connect_race.h"
#include "src/http/net/descriptor.h"
#include "src/http/net/resolver.h"
#include "src/http/net/socket.h"
#include "src/http/socket_list.h"

namespace holdfast::http::internal {

struct ConnectOptions {
  std::string name = {};  // of the host, in messages; empty: its ConnectName
  // Connects to this unix socket, a path or '@' and an abstract name, whatever host and port are.
  std::string unix_path = {};
  // The local address is of TCP, and not to be given with a path. Addresses of the host that are of
  // the other family are left out then.
  SocketOptions socket = {};
  ConnectRace::Options race = {};
  SocketList* sockets = nullptr;          // has every socket, for a child of fork(); null: none has
  const Resolver* resolver = nullptr;     // null: the one of the process
  BadAddresses* bad_addresses = nullptr;  // the same
};

// kInvalidArgument says what is wrong.
absl::Status Validate(const ConnectOptions& options);

struct Connected {
  std::optional<SocketList::Entry> listed;  // before the socket, which is closed first
  Descriptor socket;                        // non-blocking
  Address address;                          // where it leads
};

// How messages name a host that is no unix socket: "example.com:80", "[::1]:80".
std::string ConnectName(std::string_view host, int port);

// Races the addresses of a host with sockets that do not block. It waits for nothing and reads no
// clock:
//
//   while (auto until = connecting.Advance(now)) {
//     // Wait until then, or until one of waiting() is writable or has failed: Ready(...).
//   }
//   return connecting.TakeResult();
//
// What the race learns of addresses, BadAddresses remembers. To be destroyed at any time, which
// closes the sockets. One thread at a time.
class Connecting {
 public:
  // `name` is for messages. `options` are valid and outlive it. The addresses are the host's in the
  // order of preference; with a unix path they are not looked at.
  Connecting(std::string name, std::vector<Address> addresses, const ConnectOptions& options,
             TimePoint now, TimePoint deadline);

  // Starts the attempts that are due, and says until when to wait for those in flight; nullopt: it
  // is over.
  std::optional<TimePoint> Advance(TimePoint now);

  struct Waiting {
    std::size_t attempt;
    int descriptor;
  };
  std::vector<Waiting> waiting() const;

  // The socket of that attempt, which is one of waiting(), is writable or has failed. It is not
  // waited for any more.
  void Ready(std::size_t attempt, TimePoint now);

  // Once it is over. The status says which host, which address and why: kUnavailable, or
  // kResourceExhausted where no descriptor, port or memory is left here.
  absl::StatusOr<Connected> TakeResult();

 private:
  std::optional<TimePoint> AdvanceUnix(TimePoint now);
  void Start(std::size_t attempt, TimePoint now);
  void Failed(std::size_t attempt, int error, TimePoint now);
  void Keep(std::size_t attempt, const Address& address, Descriptor socket);
  void RememberOverdue(TimePoint now);
  absl::Status Lost() const;
  absl::Status TimedOut() const;

  const std::string name_;
  const ConnectOptions& options_;
  const TimePoint deadline_;
  BadAddresses& bad_addresses_;
  ConnectRace race_;
  std::map<std::size_t, Connected> in_flight_;  // by attempt
  bool binding_ = false;  // what the latest attempt lacked was the local address
  Duration pause_ = std::chrono::milliseconds(1);  // before a unix socket is tried again
  absl::Status failure_;                           // once it is over without a winner
  std::optional<std::size_t> winner_;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_CONNECTING_H_
