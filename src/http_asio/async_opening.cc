#include "src/http_asio/async_opening.h"

#include <poll.h>

#include <utility>

#include "holdfast/http/transport_error.h"
#include "src/http/exchange_error.h"
#include "src/http/net/connect_error.h"
#include "src/http/net/tcp_stream.h"
#include "src/http/net/tls_error.h"

namespace holdfast::http::internal {

using holdfast::internal::ReadClock;

namespace {

// Asio may wake for nothing, and an attempt that is under way has no error yet and no peer.
bool IsReady(int connecting) {
  pollfd one = {.fd = connecting, .events = POLLOUT, .revents = 0};
  return ::poll(&one, 1, 0) != 0;
}

}  // namespace

AsyncOpening::AsyncOpening(Opener& opener, TimePoint deadline, Waker& waker)
    : opener_(opener),
      route_(opener.route()),
      deadline_(deadline),
      waker_(waker),
      step_(opener.StepOf(deadline)) {
  if (opener.connect_options().unix_path.empty()) {
    BeginLookup();
  } else {
    BeginDial({});
  }
}

bool AsyncOpening::Advance(bool stopped, std::span<char> room) {
  awaited_.clear();
  until_ = step_.step;
  for (bool goes_on = true; goes_on && !result_;) {
    if (auto* const lookup = std::get_if<Lookup>(&phase_)) {
      goes_on = Go(*lookup, stopped);
    } else if (auto* const dial = std::get_if<Dial>(&phase_)) {
      goes_on = Go(*dial, stopped);
    } else if (auto* const through = std::get_if<Through>(&phase_)) {
      goes_on = Go(*through, stopped, room);
    } else if (auto* const secure = std::get_if<Secure>(&phase_)) {
      goes_on = Go(*secure, stopped);
    }
  }
  return result_.has_value();
}

bool AsyncOpening::End(Result result) {
  result_ = std::move(result);
  phase_.emplace<std::monostate>();
  return true;
}

void AsyncOpening::Await(int descriptor, Interest interest, TimePoint until) {
  awaited_.push_back({.descriptor = descriptor, .interest = interest});
  until_ = until;
}

void AsyncOpening::BeginLookup() {
  const Origin& peer = route_.peer();
  auto& lookup = phase_.emplace<Lookup>();
  const std::shared_ptr<Found>& found = lookup.found;
  const Resolver* const given = opener_.connect_options().resolver;
  const Resolver& resolver = given != nullptr ? *given : Resolver::OfProcess();
  lookup.handle = resolver.Start(peer.host, peer.port, [found](LookupResult result) {
    Waker* waker = nullptr;
    {
      const std::lock_guard lock(found->mutex);
      found->result = std::move(result);
      waker = found->waker;
    }
    // It lives: the end of the handle waits for this to return.
    if (waker != nullptr) waker->Wake();
  });
  const std::lock_guard lock(found->mutex);
  found->waker = &waker_;
}

bool AsyncOpening::Go(Lookup& lookup, bool stopped) {
  if (stopped) return End(Cancelled(route_, TransportError::kConnect));
  std::optional<LookupResult> result;
  {
    const std::lock_guard lock(lookup.found->mutex);
    result = std::move(lookup.found->result);
  }
  if (!result) {
    if (ReadClock(nullptr) < step_.step) return false;
    result = NotResolvedInTime(route_.peer().host);
  }
  if (!result->ok()) {
    return End(DialError(route_, AtPeer(route_.Describe(), result->status()), step_));
  }
  BeginDial(**std::move(result));
  return true;
}

void AsyncOpening::BeginDial(std::vector<Address> addresses) {
  auto& dial = phase_.emplace<Dial>();
  const ConnectOptions& options = opener_.connect_options();
  dial.connecting.emplace(options.name, std::move(addresses), options, ReadClock(nullptr),
                          step_.step);
}

// NOLINTBEGIN(bugprone-unchecked-optional-access): that phase begins with one.
bool AsyncOpening::Go(Dial& dial, bool stopped) {
  if (stopped) return End(Cancelled(route_, TransportError::kConnect));
  if (const auto until = dial.connecting->Advance(ReadClock(nullptr))) {
    for (const Connecting::Waiting& each : dial.connecting->waiting()) {
      Await(each.descriptor, {.write = true}, *until);
    }
    until_ = *until;
    return false;
  }
  auto connected = dial.connecting->TakeResult();
  if (!connected.ok()) return End(DialError(route_, connected.status(), step_));
  Begin(*std::move(connected));
  return true;
}
// NOLINTEND(bugprone-unchecked-optional-access)

// The other sockets of the race are closed with it.
void AsyncOpening::Begin(Connected connected) {
  if (opener_.tls() == nullptr) {
    End(std::make_unique<TcpStream>(std::move(connected.socket), std::move(connected.listed)));
  } else if (route_.tunnels()) {
    step_ = opener_.StepOf(deadline_);
    phase_.emplace<Through>(route_, std::move(connected), step_.step);
  } else {
    BeginSecure(std::move(connected));
  }
}

bool AsyncOpening::Go(Through& through, bool stopped, std::span<char> room) {
  switch (through.mover.Turn(ReadClock(nullptr), stopped, room)) {
    case Mover::Next::kAgain:
      return true;
    case Mover::Next::kWait:
      Await(through.tunnel.stream().descriptor(), through.mover.interest(), through.mover.until());
      return false;
    case Mover::Next::kOver:
      break;
  }
  auto connected = through.tunnel.Take(through.mover.result(), step_);
  if (!connected.ok()) return End(connected.status());
  BeginSecure(*std::move(connected));
  return true;
}

void AsyncOpening::BeginSecure(Connected connected) {
  step_ = opener_.StepOf(deadline_);
  auto context = opener_.tls()->Get(ReadClock(nullptr), step_.step);
  if (!context.ok()) {
    End(TlsContextError(route_, context.status(), step_));
    return;
  }
  auto handshake = BeginTls(route_, *std::move(context), std::move(connected));
  phase_.emplace<Secure>(Secure{std::move(handshake)});
}

bool AsyncOpening::Go(Secure& secure, bool stopped) {
  if (stopped) return End(Cancelled(route_, TransportError::kTls));
  TlsHandshake& handshake = *secure.handshake;
  const IoResult step = handshake.Step();
  if (step.state == IoState::kDone) return End(handshake.Take());
  const Interest interest = Interest::Of(step.state);
  if (!interest.any()) return End(AtPeer(route_.Describe(), handshake.status()));
  if (ReadClock(nullptr) >= step_.step) return End(TlsTimeUp(route_, step_));
  Await(handshake.descriptor(), interest, step_.step);
  return false;
}

// NOLINTBEGIN(bugprone-unchecked-optional-access): as above.
void AsyncOpening::Ready(int descriptor, Interest ready) {
  if (auto* const through = std::get_if<Through>(&phase_)) {
    through->mover.Ready(ready);
  } else if (auto* const dial = std::get_if<Dial>(&phase_)) {
    for (const Connecting::Waiting& each : dial->connecting->waiting()) {
      if (each.descriptor != descriptor || !IsReady(descriptor)) continue;
      dial->connecting->Ready(each.attempt, ReadClock(nullptr));
      return;
    }
  }
}
// NOLINTEND(bugprone-unchecked-optional-access)

void AsyncOpening::CantWait(int error) {
  const bool dials = std::holds_alternative<Dial>(phase_);
  const bool secures = std::holds_alternative<Secure>(phase_);
  const std::string where = route_.Describe();
  if (dials) {
    End(DialError(route_, ConnectErrorStatus(error, where), step_));
  } else {
    End(CannotWait(route_, error, secures ? TransportError::kTls : TransportError::kConnect));
  }
}

}  // namespace holdfast::http::internal
