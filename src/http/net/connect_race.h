// Decides which of a host's addresses are tried, and when: Happy Eyeballs (RFC 8305, section 5).
#ifndef HOLDFAST_SRC_HTTP_NET_CONNECT_RACE_H_
#define HOLDFAST_SRC_HTTP_NET_CONNECT_RACE_H_

#include <chrono>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "holdfast/base/time.h"
#include "src/http/net/address.h"

namespace holdfast::http::internal {

// The order in which addresses are tried (RFC 8305, section 4, with a First Address Family Count
// of 1): the first one, then one of the other family, and so on in turns; within a family the order
// stays. Equal ones are left out.
std::vector<Address> Interleaved(std::vector<Address> addresses);

// The attempts to connect to one host, of which the first that succeeds wins. It does no I/O and
// reads no clock:
//
//   for (ConnectRace::Step step = race.Next(now); ; step = race.Next(now)) {
//     kStart: start `attempt`, and tell Connected, Failed or NotStarted where it ends at once
//     kWait: wait until `until` or until an attempt ends, and tell Connected or Failed
//     kWon, kLost, kTimedOut: the end; no other step follows
//   }
//
// An attempt starts `delay` after the one before, or at once when any attempt failed. An attempt is
// named by the place of its address. One thread at a time.
class ConnectRace {
 public:
  struct Options {
    TimeSpan delay = std::chrono::milliseconds(250);  // RFC 8305: Connection Attempt Delay
    // 1 or more. Attempts that get no answer hold a descriptor each until the kernel gives them up,
    // which takes two minutes.
    std::size_t max_in_flight = 8;
  };

  enum class Action : signed char {
    kStart,
    kWait,
    kWon,
    kLost,      // every address failed, or this side could not open a socket; see failure()
    kTimedOut,  // the deadline has passed
  };
  struct Step {
    Action action = Action::kWait;
    std::size_t attempt = 0;             // of kStart and kWon
    TimePoint until = TimePoint::max();  // of kWait
  };

  struct Failure {
    std::size_t attempt = 0;
    int error = 0;  // errno
  };

  // Tries `addresses` in their order. Without any the race is lost.
  ConnectRace(std::vector<Address> addresses, TimePoint deadline, Options options);
  ConnectRace(std::vector<Address> addresses, TimePoint deadline)
      : ConnectRace(std::move(addresses), deadline, Options()) {}

  Step Next(TimePoint now);

  void Connected(std::size_t attempt);
  void Failed(std::size_t attempt, int error);
  // Of the attempt that was to be started last: this side lacks what a socket takes (EMFILE,
  // ENOBUFS), which says nothing about the address. It is tried again after `delay`, or at once
  // when another one fails and so gives back its socket. If none is in flight, the race is lost.
  void NotStarted(std::size_t attempt, int error);

  const std::vector<Address>& addresses() const { return addresses_; }
  std::size_t in_flight() const { return in_flight_; }

  // Of all failures the one that says most about why there is no connection: an answer of the host
  // says more than a silence, and that more than a lack of this side, but for one that ended the
  // race. Nullopt: none failed.
  std::optional<Failure> failure() const;

  // Those that have had no answer for `delay`, though it was tried to connect to them.
  std::vector<Address> Overdue(TimePoint now) const;

 private:
  enum class State : signed char { kIdle, kInFlight, kFailed };
  struct Attempt {
    State state = State::kIdle;
    TimePoint started = {};
    int error = 0;
  };

  bool ended() const { return end_.has_value(); }
  bool hopeless() const {
    return in_flight_ == 0 && (next_ == addresses_.size() || refusal_.has_value());
  }

  const std::vector<Address> addresses_;
  const TimePoint deadline_;
  const Options options_;
  std::vector<Attempt> attempts_;  // one for each address
  std::size_t next_ = 0;           // the first that was not started
  std::size_t in_flight_ = 0;
  TimePoint may_start_ = TimePoint::min();  // not before this time
  std::optional<Failure> refusal_;          // of NotStarted, until the attempt is started again
  std::optional<Step> end_;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_CONNECT_RACE_H_
