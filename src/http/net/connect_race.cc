#include "src/http/net/connect_race.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace holdfast::http::internal {
namespace {

// How much an errno says about why there is no connection.
int Weight(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
      return 5;  // the host answered
    case ETIMEDOUT:
      return 3;
    case EADDRNOTAVAIL:
      return 2;  // no port is left, or the machine has no address of that family
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
      return 1;  // what every IPv6 address says on a machine without IPv6
    case EAFNOSUPPORT:
      return 0;
    default:
      return 4;  // rare, so worth telling: EACCES and EPERM of a firewall
  }
}

}  // namespace

std::vector<Address> Interleaved(std::vector<Address> addresses) {
  std::vector<Address> first;
  std::vector<Address> other;
  for (const Address& address : addresses) {
    auto& family = address.family() == addresses.front().family() ? first : other;
    if (std::find(family.begin(), family.end(), address) == family.end()) family.push_back(address);
  }
  addresses.clear();
  for (std::size_t i = 0; i < std::max(first.size(), other.size()); ++i) {
    if (i < first.size()) addresses.push_back(first[i]);
    if (i < other.size()) addresses.push_back(other[i]);
  }
  return addresses;
}

ConnectRace::ConnectRace(std::vector<Address> addresses, TimePoint deadline, Options options)
    : addresses_(std::move(addresses)),
      deadline_(deadline),
      options_(options),
      attempts_(addresses_.size()) {}

ConnectRace::Step ConnectRace::Next(TimePoint now) {
  if (!ended() && hopeless()) end_ = Step{.action = Action::kLost};
  if (!ended() && now >= deadline_) end_ = Step{.action = Action::kTimedOut};
  if (end_) return *end_;
  const bool may_start =
      next_ < addresses_.size() && in_flight_ < std::max<std::size_t>(options_.max_in_flight, 1);
  if (!may_start) return {.action = Action::kWait, .until = deadline_};
  if (now < may_start_) return {.action = Action::kWait, .until = std::min(may_start_, deadline_)};
  attempts_[next_] = {.state = State::kInFlight, .started = now};
  may_start_ = SaturatingAdd(now, options_.delay);
  ++in_flight_;
  refusal_.reset();
  return {.action = Action::kStart, .attempt = next_++};
}

void ConnectRace::Connected(std::size_t attempt) {
  if (ended() || attempts_[attempt].state != State::kInFlight) return;
  end_ = Step{.action = Action::kWon, .attempt = attempt};
}

void ConnectRace::Failed(std::size_t attempt, int error) {
  if (attempts_[attempt].state != State::kInFlight) return;
  attempts_[attempt].state = State::kFailed;
  attempts_[attempt].error = error;
  --in_flight_;
  may_start_ = TimePoint::min();
  refusal_.reset();
}

void ConnectRace::NotStarted(std::size_t attempt, int error) {
  if (attempt + 1 != next_ || attempts_[attempt].state != State::kInFlight) return;
  attempts_[attempt] = {};
  --next_;
  --in_flight_;
  refusal_ = Failure{.attempt = attempt, .error = error};
}

std::optional<ConnectRace::Failure> ConnectRace::failure() const {
  if (refusal_ && hopeless()) return refusal_;
  std::optional<Failure> most;
  for (std::size_t i = 0; i < attempts_.size(); ++i) {
    if (attempts_[i].state != State::kFailed) continue;
    if (!most || Weight(attempts_[i].error) > Weight(most->error)) {
      most = Failure{.attempt = i, .error = attempts_[i].error};
    }
  }
  return most;
}

std::vector<Address> ConnectRace::Overdue(TimePoint now) const {
  std::vector<Address> overdue;
  for (std::size_t i = 0; i < attempts_.size(); ++i) {
    const Attempt& attempt = attempts_[i];
    if (end_ && end_->action == Action::kWon && end_->attempt == i) continue;
    if (attempt.state == State::kInFlight &&
        SaturatingAdd(attempt.started, options_.delay) <= now) {
      overdue.push_back(addresses_[i]);
    }
  }
  return overdue;
}

}  // namespace holdfast::http::internal
