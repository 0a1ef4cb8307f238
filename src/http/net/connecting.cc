#include "src/http/net/connecting.h"

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "holdfast/base/internal/string_view.h"
#include "src/http/net/connect_error.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ToAbsl;

std::string Others(std::size_t n) {
  if (n == 0) return "";
  return absl::StrCat(" and ", n, n == 1 ? " other" : " others");
}

// What this side lacks, whatever the address is.
bool IsShortage(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

absl::Status BindErrorStatus(int error, const Address& local, const std::string& name) {
  std::string text = absl::StrCat(name, ": can't connect from ", local.ToString(), ": ",
                                  std::generic_category().message(error));
  const bool taken = error == EADDRINUSE || IsShortage(error);  // in use: of port 0, all ports
  return taken ? absl::ResourceExhaustedError(text) : absl::UnavailableError(text);
}

// The bad ones go behind after the families take turns: where the first address is bad, one of the
// other family is next, since it is often a whole family that has no route.
std::vector<Address> Ordered(std::vector<Address> addresses, const ConnectOptions& options,
                             const BadAddresses& bad, TimePoint now) {
  if (!options.unix_path.empty()) return {};
  if (const auto& local = options.socket.local_address) {
    std::erase_if(addresses, [&](const Address& a) { return a.family() != local->family(); });
  }
  std::vector<Address> ordered = Interleaved(std::move(addresses));
  bad.MoveBehind(ordered, now);
  return ordered;
}

}  // namespace

absl::Status Validate(const ConnectOptions& options) {
  const auto& local = options.socket.local_address;
  if (options.socket.keep_alive) {
    if (absl::Status status = Validate(*options.socket.keep_alive); !status.ok()) return status;
  }
  if (local && local->family() != AF_INET && local->family() != AF_INET6) {
    return absl::InvalidArgumentError(
        absl::StrCat("the local address must be IPv4 or IPv6, not ", local->ToString()));
  }
  if (options.unix_path.empty()) return absl::OkStatus();
  if (local) return absl::InvalidArgumentError("a unix socket has no local address");
  return Address::Unix(options.unix_path).status();
}

std::string ConnectName(std::string_view host, int port) {
  const bool ipv6 = host.find(':') != std::string_view::npos;
  return absl::StrCat(ipv6 ? "[" : "", ToAbsl(host), ipv6 ? "]:" : ":", port);
}

Connecting::Connecting(std::string name, std::vector<Address> addresses,
                       const ConnectOptions& options, TimePoint now, TimePoint deadline)
    : name_(std::move(name)),
      options_(options),
      deadline_(deadline),
      bad_addresses_(options.bad_addresses != nullptr ? *options.bad_addresses
                                                      : BadAddresses::OfProcess()),
      race_(Ordered(std::move(addresses), options, bad_addresses_, now), deadline, options.race) {}

std::optional<TimePoint> Connecting::Advance(TimePoint now) {
  if (winner_ || !failure_.ok()) return std::nullopt;
  if (!options_.unix_path.empty()) return AdvanceUnix(now);
  for (;;) {
    const ConnectRace::Step step = race_.Next(now);
    switch (step.action) {
      case ConnectRace::Action::kStart:
        Start(step.attempt, now);
        break;
      case ConnectRace::Action::kWait:
        return step.until;
      case ConnectRace::Action::kWon:
        RememberOverdue(now);
        winner_ = step.attempt;
        bad_addresses_.Succeeded(race_.addresses()[step.attempt]);
        return std::nullopt;
      case ConnectRace::Action::kLost:
        failure_ = Lost();
        return std::nullopt;
      case ConnectRace::Action::kTimedOut:
        RememberOverdue(now);
        failure_ = TimedOut();
        return std::nullopt;
    }
  }
}

// A unix socket connects at once or not at all, but where the backlog of its server is full. Since
// nobody says when there is room, it is tried again after a pause.
std::optional<TimePoint> Connecting::AdvanceUnix(TimePoint now) {
  constexpr Duration kLongestPause = std::chrono::milliseconds(50);
  const auto path = Address::Unix(options_.unix_path);
  if (!path.ok()) {
    failure_ = path.status();
    return std::nullopt;
  }
  if (now >= deadline_) {
    failure_ = TimedOut();
    return std::nullopt;
  }
  OpenedSocket opened = OpenSocket(*path, options_.socket);
  int error = opened.error;
  if (opened.socket) error = StartConnect(opened.socket.get(), *path);
  if (error == EAGAIN) {
    const TimePoint again = SaturatingAdd(now, pause_);
    pause_ = std::min(2 * pause_, kLongestPause);
    return std::min(again, deadline_);
  }
  if (error == 0) {
    Keep(0, *path, std::move(opened.socket));
    winner_ = 0;
  } else {
    failure_ = ConnectErrorStatus(error, name_);
  }
  return std::nullopt;
}

std::vector<Connecting::Waiting> Connecting::waiting() const {
  std::vector<Waiting> all;
  all.reserve(in_flight_.size());
  for (const auto& [attempt, started] : in_flight_) {
    all.push_back({.attempt = attempt, .descriptor = started.socket.get()});
  }
  return all;
}

void Connecting::Ready(std::size_t attempt, TimePoint now) {
  const int error = FinishConnect(in_flight_[attempt].socket.get());
  if (error == 0) {
    race_.Connected(attempt);
  } else {
    in_flight_.erase(attempt);
    Failed(attempt, error, now);
  }
}

absl::StatusOr<Connected> Connecting::TakeResult() {
  if (!winner_) return failure_;
  return std::move(in_flight_[*winner_]);
}

void Connecting::Start(std::size_t attempt, TimePoint now) {
  const Address& address = race_.addresses()[attempt];
  OpenedSocket opened = OpenSocket(address, options_.socket);
  binding_ = opened.binding;
  int error = opened.error;
  if (opened.socket) error = StartConnect(opened.socket.get(), address);
  if (error == 0 || error == EINPROGRESS) {
    Keep(attempt, address, std::move(opened.socket));
    if (error == 0) race_.Connected(attempt);
  } else if (opened.binding || IsShortage(error)) {
    race_.NotStarted(attempt, error);
  } else {
    Failed(attempt, error, now);
  }
}

void Connecting::Failed(std::size_t attempt, int error, TimePoint now) {
  race_.Failed(attempt, error);
  if (error == EADDRNOTAVAIL) return;  // a lack of this side
  bad_addresses_.Failed(race_.addresses()[attempt], now);
}

void Connecting::Keep(std::size_t attempt, const Address& address, Descriptor socket) {
  Connected& kept = in_flight_[attempt];
  kept.socket = std::move(socket);
  kept.address = address;
  if (options_.sockets != nullptr) kept.listed.emplace(*options_.sockets).Set(kept.socket.get());
}

void Connecting::RememberOverdue(TimePoint now) {
  for (const Address& address : race_.Overdue(now)) bad_addresses_.Failed(address, now);
}

absl::Status Connecting::Lost() const {
  const auto& local = options_.socket.local_address;
  const auto failure = race_.failure();
  if (!failure && local) {
    return absl::UnavailableError(absl::StrCat(
        name_, ": no address of the host is of the family of the local one, ", local->ToString()));
  }
  if (!failure) return absl::UnavailableError(absl::StrCat(name_, ": the host has no address"));
  if (binding_ && local) return BindErrorStatus(failure->error, *local, name_);
  const std::string address = race_.addresses()[failure->attempt].ToString();
  const std::string others = Others(race_.addresses().size() - 1);
  const bool told = others.empty() && absl::StrContains(name_, address);
  return ConnectErrorStatus(failure->error,
                            told ? name_ : absl::StrCat(name_, " (", address, others, ")"));
}

absl::Status Connecting::TimedOut() const {
  std::string text = absl::StrCat(name_, ": not connected in time");
  if (!in_flight_.empty()) {
    absl::StrAppend(&text, ": no answer from ", in_flight_.begin()->second.address.ToString(),
                    Others(in_flight_.size() - 1));
  }
  return absl::UnavailableError(text);
}

}  // namespace holdfast::http::internal
