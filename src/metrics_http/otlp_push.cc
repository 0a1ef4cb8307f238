#include "holdfast/metrics_http/otlp_push.h"

#include <absl/strings/str_cat.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <stop_token>
#include <thread>

#include "holdfast/base/backoff.h"
#include "holdfast/base/internal/process.h"
#include "holdfast/base/internal/thread.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/breaker/circuit_break.h"
#include "holdfast/call/report.h"
#include "holdfast/concurrency/semaphore.h"
#include "holdfast/http/result.h"
#include "holdfast/http/transport.h"
#include "holdfast/retry/retry.h"
#include "holdfast/retry/retry_pause.h"
#include "holdfast/stack/any_executor.h"
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"
#include "src/metrics_http/otlp_push_counts.h"
#include "src/metrics_http/otlp_push_exchange.h"

namespace holdfast {
namespace {

using Answer = absl::StatusOr<http::Response>;

auto MakePushStack(Duration timeout) {
  const auto check = [](const Call&, const Answer& answer) {
    return internal::IsOtlpRetryable(answer);
  };
  const RetryOptions retry = {
      .max_attempts = 5,
      .backoff = Backoff::Exponential({.initial = timeout / 10, .max = timeout / 2}),
      .pause = std::make_shared<RetryPause>(),
      .max_elapsed = timeout / 5 * 3};
  return Stack(Timeout(timeout), Retry(retry, check),
               CircuitBreak({.timeout = std::chrono::seconds(30)}), Timeout(timeout / 5 * 2));
}

http::internal::AttemptFunction TransportTo(const OtlpPushOptions& options) {
  internal::ThrowIfInvalid(Validate(options));
  return http::Transport(internal::SplitEndpoint(options.endpoint).origin, options.transport);
}

// The first of the times `due`, `due` + interval, ... that is later than now.
TimePoint NextDue(TimePoint due, TimePoint now, Duration interval) {
  if (due > now) return due;
  const Duration late = SaturatingSub(now, due);
  return SaturatingAdd(due, SaturatingMul(interval, late / interval + 1));
}

absl::Status NotInChild() {
  return absl::FailedPreconditionError("OtlpPush: it belongs to the parent of this process");
}

}  // namespace

class OtlpPush::Impl {
 public:
  Impl(std::shared_ptr<const Metrics> metrics, http::internal::AttemptFunction attempt,
       OtlpPushOptions options)
      : metrics_(internal::NotNull(std::move(metrics), "OtlpPush: the registry of metrics")),
        options_(internal::Validated(std::move(options))),
        turn_({.limit = 1, .clock = options_.clock}),
        push_(MakePush(std::move(attempt))) {}

  void Start() {
    if (options_.interval == Duration::max()) return;
    thread_ = internal::StartThread([this] { Run(); });
  }

  // Cuts off what the thread does.
  void EndThread() {
    ending_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

  // In a child of fork(), where there is no such thread.
  void Abandon() {
    if (thread_.joinable()) thread_.detach();
  }
  bool IsOurs() const { return generation_ == internal::ProcessGeneration(); }

  absl::Status ForceFlush(const WaitOptions& wait) {
    if (!IsOurs()) return NotInChild();
    if (stopped_.load(std::memory_order_acquire)) return IsStopped();
    return Push(wait).status;
  }

  absl::Status Stop(TimePoint deadline) {
    if (!IsOurs()) return NotInChild();
    if (stopped_.exchange(true, std::memory_order_acq_rel)) return IsStopped();
    EndThread();
    return Push({.deadline = deadline}, /*last=*/true).status;
  }

  CollectedObjects Objects() const {
    CollectedObjects objects = of_stack_;
    objects.Add(counts_, "OtlpPush");
    return objects;
  }
  const std::string& description() const { return description_; }

 private:
  static absl::Status IsStopped() {
    return absl::FailedPreconditionError("OtlpPush: it is stopped");
  }

  AnyExecutor<Answer(const http::Request&)> MakePush(http::internal::AttemptFunction attempt) {
    const auto stack = MakePushStack(options_.timeout);
    internal::ThrowIfInvalid(holdfast::Validate(stack));
    description_ = stack.Describe();
    of_stack_ = stack.Objects();
    return stack.Around(std::move(attempt), options_.clock);
  }

  TimePoint Now() const { return internal::ReadClock(options_.clock); }

  void Run() {
    const std::stop_token ending = ending_.get_token();
    TimePoint due = SaturatingAdd(Now(), options_.interval);
    while (internal::SleepUntil(options_.clock, due, ending)) {
      (void)Push({.stop = ending});
      due = NextDue(due, Now(), options_.interval);
    }
  }

  OtlpPushResult Push(const WaitOptions& wait, bool last = false) {
    OtlpPushResult result;
    {
      const absl::StatusOr<Permit> turn = turn_.Acquire(1, wait);
      if (!turn.ok()) {
        result.status = turn.status();
        return result;
      }
      if (!last && stopped_.load(std::memory_order_acquire)) {
        result.status = IsStopped();
        return result;
      }
      result = Exchange(wait);
    }
    counts_->Add(result);
    Tell(result);
    return result;
  }

  OtlpPushResult Exchange(const WaitOptions& wait) const {
    try {
      std::string json = metrics_->OtlpJson();
      if (json.size() > options_.max_body) {
        return {.status = absl::ResourceExhaustedError(
                    absl::StrCat("OtlpPush: ", json.size(), " bytes are more than max_body"))};
      }
      const http::Request request = internal::OtlpRequest(options_, std::move(json));
      Report report;
      const Answer answer =
          push_.With({.deadline = wait.deadline, .stop = wait.stop, .report = &report}, request);
      OtlpPushResult result = internal::ReadOtlpAnswer(answer);
      result.attempts = report.attempts;
      return result;
    } catch (const std::exception& error) {
      return {.status = absl::InternalError(absl::StrCat("OtlpPush: ", error.what()))};
    } catch (...) {
      return {.status = absl::InternalError("OtlpPush: an exception")};
    }
  }

  void Tell(const OtlpPushResult& result) const {
    if (options_.on_push == nullptr) return;
    try {
      options_.on_push(result);
    } catch (...) {  // NOLINT(bugprone-empty-catch): as the option says
    }
  }

  const std::shared_ptr<const Metrics> metrics_;
  const OtlpPushOptions options_;
  const std::uint32_t generation_ = internal::ProcessGeneration();
  const std::shared_ptr<internal::OtlpPushCounts> counts_ =
      std::make_shared<internal::OtlpPushCounts>();
  CollectedObjects of_stack_;
  std::string description_;
  Semaphore turn_;
  const AnyExecutor<Answer(const http::Request&)> push_;
  // Whoever sets it ends the thread; who sees it set makes no push.
  std::atomic<bool> stopped_{false};
  std::stop_source ending_;
  std::thread thread_;
};

OtlpPush::OtlpPush(std::shared_ptr<const Metrics> metrics, OtlpPushOptions options)
    : OtlpPush(std::move(metrics), TransportTo(options), options, 0) {}

OtlpPush::OtlpPush(std::shared_ptr<const Metrics> metrics, http::internal::AttemptFunction attempt,
                   OtlpPushOptions options, int)
    : impl_(std::make_unique<Impl>(std::move(metrics), std::move(attempt), std::move(options))) {
  impl_->Start();
}

OtlpPush::~OtlpPush() {
  if (impl_->IsOurs()) {
    impl_->EndThread();
  } else {
    impl_.release()->Abandon();
  }
}

absl::Status OtlpPush::ForceFlush(const WaitOptions& options) { return impl_->ForceFlush(options); }
absl::Status OtlpPush::Stop(TimePoint deadline) { return impl_->Stop(deadline); }
CollectedObjects OtlpPush::Objects() const { return impl_->Objects(); }
std::string OtlpPush::Describe() const { return impl_->description(); }

}  // namespace holdfast
