// One call of an AsyncTransport.
#ifndef HOLDFAST_SRC_HTTP_ASIO_ASYNC_EXCHANGE_H_
#define HOLDFAST_SRC_HTTP_ASIO_ASYNC_EXCHANGE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>

#include "holdfast/asio/internal/reference.h"
#include "holdfast/asio/internal/timer_service.h"
#include "holdfast/base/time.h"
#include "holdfast/concurrency/semaphore.h"
#include "holdfast/http/message.h"
#include "holdfast/http/transport_error.h"
#include "holdfast/http_asio/internal/async_call.h"
#include "src/http/connection.h"
#include "src/http/exchange_meter.h"
#include "src/http/net/mover.h"
#include "src/http/net/steps.h"
#include "src/http/pool.h"
#include "src/http/sending.h"
#include "src/http_asio/async_opening.h"
#include "src/http_asio/net.h"
#include "src/http_asio/watches.h"

namespace holdfast::http::internal {

class AsyncExchange;

// From a cancellation slot to its call. Thread-safe: the slot is used where the handler runs, and
// the call runs in its strand.
struct AsyncCanceller::Link {
  std::mutex mutex;
  AsyncExchange* call = nullptr;  // null: not yet, or no more
  bool terminal = false;          // what was requested before there was a call
  bool total = false;
};

// It waits for a permit, takes an idle connection or opens one, moves the request and its answer
// over that, and does so again over a fresh one where the idle one was stale. All of that runs in
// its strand.
//
// It lives while somebody refers to it: the waits of Asio that are under way, a wake-up that was
// posted, the TimerService of its context, whose timer it has set as long as it waits. If the
// context goes away, so do they, and with it all that it holds.
class AsyncExchange final : public holdfast::internal::Sleeper, private Watcher {
 public:
  static void Start(std::shared_ptr<Pool> pool, const net::any_io_executor& executor,
                    Request request, const AsyncLimits& limits,
                    std::shared_ptr<AsyncCanceller::Link> link, AsyncDone done);

  void AddReference() noexcept override { references_.fetch_add(1, std::memory_order_relaxed); }
  void DropReference() noexcept override {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  // From any thread, while it can't end.
  void Wake() noexcept override { timers_.Wake(*this); }
  void Cancel(bool terminal) noexcept {
    (terminal ? terminal_ : total_).store(true, std::memory_order_release);
    Wake();
  }

 private:
  using Ref = holdfast::internal::Reference<AsyncExchange>;
  class WakeHandler;

  // The way of the request over one connection.
  struct Way {
    Way(Pool& pool, const Request& request, const OfCall& of_call, ExchangeTimer& timer)
        : sending(pool, request, of_call, timer), duplex(sending.exchange()) {}

    Sending sending;
    DuplexOf<Exchange> duplex;
    std::optional<Connection> connection;
    std::optional<Mover> mover;
  };

  AsyncExchange(std::shared_ptr<Pool> pool, const net::any_io_executor& executor, Request request,
                const AsyncLimits& limits, std::shared_ptr<AsyncCanceller::Link> link,
                AsyncDone done);
  ~AsyncExchange() override { Unlink(); }

  void PostWake() noexcept override;
  void OnReady(int descriptor, Interest ready) override;

  // In the strand. Goes on as far as it can, and then waits or ends.
  void Resume(const Awaited* ready);
  void Go(const Awaited* ready);
  // False: it waits, or has ended.
  bool Begin();
  bool Admit();
  bool Choose();
  bool Open(const Awaited* ready);
  bool Send(const Awaited* ready);
  bool SendOver(Connection connection);
  bool OnResponse(absl::StatusOr<Response> response);

  OfCall of_call() const {
    return {.attempt = limits_.attempt,
            .trace = limits_.trace ? &*limits_.trace : nullptr,
            .traced = limits_.traced};
  }
  bool stopped() const;
  bool Wait(TimePoint until);
  bool End(absl::StatusOr<Response> result);
  void EndWith(std::exception_ptr error);
  void Unlink() noexcept;
  void LetGo();
  void Complete(std::exception_ptr error, absl::StatusOr<Response> result);

  const std::shared_ptr<Pool> pool_;
  const AsyncLimits limits_;
  Request request_;
  const TimePoint started_;
  TimePoint deadline_ = TimePoint::min();
  TimePoint began_ = TimePoint::min();  // the present connection's use
  AsyncStrand strand_;
  net::executor_work_guard<net::any_io_executor> work_;
  holdfast::internal::TimerService& timers_;
  const std::shared_ptr<AsyncCanceller::Link> link_;  // null: nobody cancels it
  AsyncDone done_;

  std::atomic<std::uint32_t> references_{1};
  std::atomic<bool> wake_posted_{false};
  std::atomic<bool> terminal_{false};  // requested: cancellation
  std::atomic<bool> total_{false};     // as long as nothing was written

  // Used in the strand. What holds a connection comes after the permit for it.
  enum class Stage : signed char { kBegin, kAdmission, kOpening, kSending, kOver };
  Stage stage_ = Stage::kBegin;
  std::optional<Semaphore::Waiter> waiter_;
  std::optional<Permit> permit_;
  std::optional<Pool::Running> running_;
  bool reused_ = false;                 // the first connection was idle
  std::optional<ExchangeTimer> timer_;  // ends after what tells it what came
  std::optional<Way> first_;
  std::optional<Way> second_;  // after the first one was lost
  std::optional<AsyncOpening> opening_;
  Watches watches_;  // ends before what they watch
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_ASIO_ASYNC_EXCHANGE_H_
