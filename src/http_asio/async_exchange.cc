#include "src/http_asio/async_exchange.h"

#include <algorithm>
#include <array>
#include <utility>

#include "holdfast/http/request.h"
#include "src/http/exchange_error.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ReadClock;
using holdfast::internal::TimerService;

// So often it moves bytes before others of its thread have their turn.
constexpr int kTurns = 32;

}  // namespace

// A wake-up that was posted.
class AsyncExchange::WakeHandler {
 public:
  explicit WakeHandler(AsyncExchange& call) : call_(call) {}
  void operator()() const {
    call_->wake_posted_.store(false, std::memory_order_release);
    call_->Resume(nullptr);
  }

 private:
  Ref call_;
};

AsyncExchange::AsyncExchange(std::shared_ptr<Pool> pool, const net::any_io_executor& executor,
                             Request request, const AsyncLimits& limits,
                             std::shared_ptr<AsyncCanceller::Link> link, AsyncDone done)
    : pool_(std::move(pool)),
      limits_(limits),
      request_(std::move(request)),
      started_(ReadClock(nullptr)),
      strand_(net::make_strand(executor)),
      work_(executor),
      timers_(TimerService::Of(executor)),
      link_(std::move(link)),
      done_(std::move(done)),
      watches_(strand_, *this) {
  const TimePoint total = SaturatingAdd(started_, pool_->options().total_timeout);
  deadline_ = std::min(limits_.deadline.value_or(TimePoint::min()), total);
}

void AsyncExchange::Start(std::shared_ptr<Pool> pool, const net::any_io_executor& executor,
                          Request request, const AsyncLimits& limits,
                          std::shared_ptr<AsyncCanceller::Link> link, AsyncDone done) {
  const Ref self = Ref::Adopt(*new AsyncExchange(std::move(pool), executor, std::move(request),
                                                 limits, std::move(link), std::move(done)));
  if (self->link_ != nullptr) {
    const std::lock_guard lock(self->link_->mutex);
    self->link_->call = &*self;
    self->terminal_.store(self->link_->terminal, std::memory_order_relaxed);
    self->total_.store(self->link_->total, std::memory_order_relaxed);
  }
  // So the context owns it before it can be woken.
  self->timers_.Set(*self, TimePoint::max());
  self->Wake();
}

void AsyncExchange::PostWake() noexcept {
  if (wake_posted_.exchange(true, std::memory_order_acq_rel)) return;
  net::post(strand_, WakeHandler(*this));
}

void AsyncExchange::OnReady(int descriptor, Interest ready) {
  const Awaited what = {.descriptor = descriptor, .interest = ready};
  Resume(&what);
}

void AsyncExchange::Resume(const Awaited* ready) {
  if (stage_ == Stage::kOver) return;
  const Ref self(*this);
  try {
    Go(ready);
  } catch (...) {
    EndWith(std::current_exception());
  }
}

// What was ready is news for the first step only.
void AsyncExchange::Go(const Awaited* ready) {
  for (bool goes_on = true; goes_on; ready = nullptr) {
    switch (stage_) {
      case Stage::kBegin:
        goes_on = Begin();
        break;
      case Stage::kAdmission:
        goes_on = Admit();
        break;
      case Stage::kOpening:
        goes_on = Open(ready);
        break;
      case Stage::kSending:
        goes_on = Send(ready);
        break;
      case Stage::kOver:
        return;
    }
  }
}

bool AsyncExchange::stopped() const {
  if (terminal_.load(std::memory_order_acquire)) return true;
  if (!total_.load(std::memory_order_acquire)) return false;
  return (!first_ || first_->sending.unsent()) && (!second_ || second_->sending.unsent());
}

// NOLINTBEGIN(bugprone-unchecked-optional-access): each stage has what it uses.
bool AsyncExchange::Begin() {
  if (!pool_->route().ok()) return End(pool_->route().status());
  const Route& route = *pool_->route();
  if (absl::Status wrong = CheckRequest(route, request_); !wrong.ok()) return End(wrong);
  if (limits_.stopped) return End(Cancelled(route, TransportError::kConnect));
  if (!limits_.deadline) return End(DeadlineExceeded(route, TransportError::kConnect));
  timer_.emplace(pool_->meter(), request_.method, started_, ExchangeError::kCancelled);
  first_.emplace(*pool_, request_, of_call(), *timer_);
  if (absl::Status refusal = first_->sending.refusal(); !refusal.ok()) {
    timer_->Drop();
    return End(refusal);
  }
  stage_ = Stage::kAdmission;
  permit_ = pool_->permits().TryAcquire();
  if (permit_) return Choose();
  waiter_.emplace();
  (void)waiter_->TryEnter(pool_->permits(), *this, {.now = ReadClock(nullptr)});
  return true;
}

// The queue has no bound but the calls' deadlines, so each gets in; and the limit stays.
bool AsyncExchange::Admit() {
  if (auto permit = waiter_->Take(); permit && permit->ok()) {
    permit_ = **std::move(permit);
    waiter_.reset();
    return Choose();
  }
  const Route& route = *pool_->route();
  if (stopped()) return End(Cancelled(route, TransportError::kConnect));
  if (ReadClock(nullptr) >= deadline_) {
    return End(DeadlineExceeded(route, TransportError::kConnect));
  }
  return Wait(deadline_);
}

bool AsyncExchange::Choose() {
  running_.emplace(*pool_);
  if (auto idle = pool_->TakeIdle(ReadClock(nullptr))) {
    reused_ = true;
    return SendOver(*std::move(idle));
  }
  stage_ = Stage::kOpening;
  opening_.emplace(*pool_->opener(), deadline_, *this);
  return true;
}

// Nobody waits for a descriptor while the opening may close it.
bool AsyncExchange::Open(const Awaited* ready) {
  watches_.Clear();
  if (ready != nullptr) opening_->Ready(ready->descriptor, ready->interest);
  std::array<char, Mover::kRoom> room;
  while (!opening_->Advance(stopped(), room)) {
    const int error = watches_.Await(opening_->awaited());
    if (error == 0) return Wait(opening_->until());
    watches_.Clear();
    opening_->CantWait(error);
  }
  auto stream = opening_->TakeResult();
  opening_.reset();
  if (!stream.ok()) return OnResponse(stream.status());
  return SendOver(pool_->Begin(*std::move(stream)));
}

bool AsyncExchange::SendOver(Connection connection) {
  Way& way = second_ ? *second_ : *first_;
  began_ = ReadClock(nullptr);
  way.connection.emplace(std::move(connection));
  way.mover.emplace(way.connection->stream(), way.duplex, way.sending.bounds(deadline_));
  stage_ = Stage::kSending;
  return true;
}

bool AsyncExchange::Send(const Awaited* ready) {
  Way& way = second_ ? *second_ : *first_;
  if (ready != nullptr) way.mover->Ready(ready->interest);
  std::array<char, Mover::kRoom> room;  // the kernel fills what is used of it
  for (int turn = 0; turn < kTurns; ++turn) {
    DriveResult driven;
    switch (way.mover->Turn(ReadClock(nullptr), stopped(), room)) {
      case Mover::Next::kAgain:
        continue;
      case Mover::Next::kWait: {
        const Awaited what = {.descriptor = way.connection->stream().descriptor(),
                              .interest = way.mover->interest()};
        const int error = watches_.Await({&what, 1});
        if (error == 0) return Wait(way.mover->until());
        driven = Mover::CantWait(error);
        break;
      }
      case Mover::Next::kOver:
        driven = way.mover->result();
        break;
    }
    if (way.sending.Settle(driven.end)) {
      watches_.Clear();
      way.mover.reset();
      // By itself, so that a connection that is closed is closed before the permit goes back.
      auto response =
          way.sending.Finish(*std::exchange(way.connection, std::nullopt), driven, began_);
      return OnResponse(std::move(response));
    }
    way.mover.emplace(way.connection->stream(), way.duplex, way.sending.bounds(deadline_));
  }
  Wait(TimePoint::max());
  Wake();
  return false;
}

// Over a fresh connection, if the idle one was found to be given up by the server and the request
// may be sent twice.
bool AsyncExchange::OnResponse(absl::StatusOr<Response> response) {
  if (second_) return End(AfterResend(first_->sending, std::move(response)));
  if (!reused_ || !first_->sending.lost()) return End(std::move(response));
  pool_->DropIdle(began_);
  if (!MayGoAgain(first_->sending, RequestTraits<Request>::RepeatabilityOf(request_))) {
    return End(std::move(response));
  }
  second_.emplace(*pool_, request_, of_call(), *timer_);
  stage_ = Stage::kOpening;
  opening_.emplace(*pool_->opener(), deadline_, *this);
  return true;
}
// NOLINTEND(bugprone-unchecked-optional-access)

// The timer is always set, since it is what makes the context own this.
bool AsyncExchange::Wait(TimePoint until) {
  timers_.Set(*this, until);
  return false;
}

bool AsyncExchange::End(absl::StatusOr<Response> result) {
  if (timer_) {
    timer_->End(result);
    // A stack cancels an attempt that is late, and may notice that before this does.
    const bool cancelled = absl::IsCancelled(result.status());
    if (cancelled && ReadClock(nullptr) >= deadline_) timer_->TimedOut();
  }
  LetGo();
  Complete(nullptr, std::move(result));
  return false;
}

void AsyncExchange::EndWith(std::exception_ptr error) {
  // A handler that throws is no call that failed.
  if (stage_ == Stage::kOver) std::rethrow_exception(std::move(error));
  if (timer_) timer_->Threw();
  LetGo();
  Complete(std::move(error), absl::UnknownError("a callback of the request threw"));
}

void AsyncExchange::Unlink() noexcept {
  if (link_ == nullptr) return;
  const std::lock_guard lock(link_->mutex);
  link_->call = nullptr;
}

// From here on nobody wakes it. The permit goes back after the connection.
void AsyncExchange::LetGo() {
  stage_ = Stage::kOver;
  Unlink();
  watches_.Clear();
  opening_.reset();
  second_.reset();
  first_.reset();
  timer_.reset();
  request_ = Request();  // what its callbacks hold ends before the handler is called
  running_.reset();
  waiter_.reset();
  permit_.reset();
  timers_.Cancel(*this);
}

void AsyncExchange::Complete(std::exception_ptr error, absl::StatusOr<Response> result) {
  AsyncDone done = std::move(done_);
  const auto work = std::move(work_);
  // Not before the handler was called: it may start the next call.
  struct SettleAtEnd {
    TimerService& timers;
    ~SettleAtEnd() { timers.Settle(); }
  } const settle{timers_};
  done(std::move(error), std::move(result));
}

}  // namespace holdfast::http::internal
