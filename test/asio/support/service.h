// An asynchronous service on a fake clock: its requests take as long, and end as, a script says,
// and can be cancelled, as any operation of Asio.
#ifndef HOLDFAST_TEST_ASIO_SUPPORT_SERVICE_H_
#define HOLDFAST_TEST_ASIO_SUPPORT_SERVICE_H_

#include <absl/status/status.h>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/base/timer.h"
#include "holdfast/testing/fake_clock.h"
#include "test/asio/support/net.h"

namespace holdfast::testing {

// Runs what there is to run in `io` without letting time pass.
inline void Poll(net::io_context& io) {
  io.restart();
  io.poll();
}

// Runs `io` in virtual time until nothing is left to do.
inline void RunVirtual(net::io_context& io, FakeClock& clock) {
  do Poll(io);
  while (clock.AdvanceToNext());
}

// The same, but no further than `until`.
inline void RunVirtual(net::io_context& io, FakeClock& clock, TimePoint until) {
  const auto step = [&] { return std::min(until - clock.Now(), Duration(1'000'000)); };
  for (Poll(io); clock.Now() < until; Poll(io)) clock.Advance(step());
}

// For one thread. Its requests are the context's, and go away with it; it must outlive them.
class Service {
 public:
  struct Scripted {
    Duration takes;
    absl::Status ends;
    bool ignores_cancellation = false;
  };

  Service(net::io_context& io, FakeClock& clock) : io_(io), clock_(clock) {}
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  // How the next requests go, in the order in which they come; the last one stands for all that
  // follow.
  void Script(std::vector<Scripted> script) { script_ = std::move(script); }

  // Completes with absl::Status.
  template <class Token>
  auto Ask(Token&& token) {
    return net::async_initiate<Token, void(absl::Status)>(
        [this](auto handler) { this->Start(std::move(handler)); }, token);
  }

  // For AroundAsync.
  auto executor() {
    return [this](auto&& token) { return Ask(std::forward<decltype(token)>(token)); };
  }

  // When requests came, and when some were cancelled that were under way.
  const std::vector<TimePoint>& started() const { return started_; }
  const std::vector<TimePoint>& cancelled() const { return cancelled_; }
  int under_way() const { return under_way_; }

 private:
  // Waits for a timer that never ends; the timer and the cancellation end the wait.
  struct Request final : Waker, std::enable_shared_from_this<Request> {
    Request(Service& s, const Scripted& how)
        : service(s), scripted(how), timer(s.io_, net::steady_timer::time_point::max()) {
      ++service.under_way_;
    }
    ~Request() {
      service.clock_.CancelTimer(end);
      --service.under_way_;
    }

    void Wake() noexcept override {
      net::post(service.io_, [weak = weak_from_this()] {
        const auto self = weak.lock();
        if (self == nullptr) return;
        self->over = true;
        self->timer.cancel();
      });
    }
    void Cancel() {
      service.cancelled_.push_back(service.clock_.Now());
      if (!scripted.ignores_cancellation) timer.cancel();
    }

    Service& service;
    const Scripted scripted;
    net::steady_timer timer;
    Timer end{*this};  // of the work, on the fake clock
    bool over = false;
  };

  template <class Handler>
  struct Done {
    using executor_type = net::associated_executor_t<Handler, net::io_context::executor_type>;
    executor_type get_executor() const noexcept { return executor; }

    void operator()(const internal::ErrorCode&) {
      absl::Status status = request->over ? request->scripted.ends : absl::CancelledError("cut");
      request = nullptr;
      std::move(handler)(std::move(status));
    }

    std::shared_ptr<Request> request;
    executor_type executor;
    Handler handler;
  };

  template <class Handler>
  void Start(Handler handler) {
    const Scripted& scripted = script_.at(std::min(started_.size(), script_.size() - 1));
    started_.push_back(clock_.Now());
    const auto request = std::make_shared<Request>(*this, scripted);
    auto slot = net::get_associated_cancellation_slot(handler);
    if (slot.is_connected()) {
      slot.assign([weak = std::weak_ptr(request)](net::cancellation_type) {
        if (const auto self = weak.lock()) self->Cancel();
      });
    }
    const auto executor = net::get_associated_executor(handler, io_.get_executor());
    request->timer.async_wait(Done<Handler>{request, executor, std::move(handler)});
    clock_.SetTimer(request->end, SaturatingAdd(clock_.Now(), scripted.takes));
  }

  net::io_context& io_;
  FakeClock& clock_;
  std::vector<Scripted> script_;
  std::vector<TimePoint> started_;
  std::vector<TimePoint> cancelled_;
  int under_way_ = 0;
};

// Where a handler writes down how often it was called, when and with what; it must outlive that.
struct Ended {
  int calls = 0;
  absl::Status status = absl::UnknownError("not called");
  std::exception_ptr error = nullptr;
  TimePoint at = TimePoint::min();

  auto handler(const Clock* clock = nullptr) {
    return [this, clock](std::exception_ptr thrown, absl::Status result) {
      ++calls;
      status = std::move(result);
      error = std::move(thrown);
      if (clock != nullptr) at = clock->Now();
    };
  }
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TEST_ASIO_SUPPORT_SERVICE_H_
