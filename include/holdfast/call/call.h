// One logical request on its way through a stack, retries included: what policies may know of it.
//
//   Verdict Before(Call& call, State&) {
//     if (call.now() < opens_at_) return Verdict::Wait(opens_at_);
//     return Verdict::Proceed();
//   }
#ifndef HOLDFAST_CALL_CALL_H_
#define HOLDFAST_CALL_CALL_H_

#include <absl/base/optimization.h>
#include <absl/random/bit_gen_ref.h>
#include <absl/status/status.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "holdfast/base/internal/unset_time.h"
#include "holdfast/base/priority.h"
#include "holdfast/base/stop_token.h"
#include "holdfast/base/time.h"
#include "holdfast/base/waker.h"
#include "holdfast/call/abandoned_attempt.h"
#include "holdfast/call/internal/request_text.h"
#include "holdfast/call/internal/time_below.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/call/report.h"

namespace holdfast {

class Call;

namespace driver {
template <class R, class... Policies>
class Machine;
}  // namespace driver

namespace internal {

class Branches;

[[noreturn]] void ThrowNoRequest();

}  // namespace internal

// What a caller may say about one call. What it points to must outlive the call. A member that is
// destroyed by more than forgetting it must be like StopToken (stop_token.h), for coroutines' sake.
struct CallOptions {
  TimePoint deadline = TimePoint::max();  // on the clock of the stack
  StopToken stop = {};                    // ends every wait; the call then returns kCancelled
  std::string_view key = {};              // whom or what the call is for, to keyed policies
  Priority priority = Priority::kNormal;  // what is refused first where not all can be served
  Report* report = nullptr;               // where to write what happened; null: nowhere
  // The call that this one is an attempt of, where a stack is the executor of another: it learns of
  // a refusal, and when it will be over. Set by the outer stack.
  Call* outer = nullptr;
};

// How a call ended for the states that are destroyed without having seen a result.
enum class Abandonment : signed char {
  kNone,       // it has not, or a policy's own callback threw
  kThrew,      // the executor threw
  kCancelled,  // the caller stopped it
};

// Made by a driver and used by one thread at a time.
class Call {
 public:
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // The time, read from the clock at most once between two waits or attempts, and only if somebody
  // asks: all policies share the reading.
  TimePoint now() {
    if (!now_known_) {
      now_ = internal::ReadClock(clock_);
      now_known_ = true;
    }
    return *now_;
  }

  // No wait may end after it. An executor reads it to know how long it may take; Timeout sets it
  // for what is below, and puts it back.
  TimePoint deadline() const { return deadline_; }
  void set_deadline(TimePoint deadline) { deadline_ = deadline; }

  // The first argument that the call was made with, if it is a T; null otherwise. For functions of
  // a call that policies are given: see FromRequest.
  template <class T>
  const T* request() const {
    return request_type_ == &internal::request_type<T> ? static_cast<const T*>(request_) : nullptr;
  }

  // What that argument says of being made more than once; nullopt where its type says nothing. To
  // decide by it there are the functions of repeatability.h.
  std::optional<Repeatability> repeatability() const {
    if (request_type_ == nullptr || request_type_->repeatability == nullptr) return std::nullopt;
    return request_type_->repeatability(request_);
  }

  // That argument where it is text: a std::string or std::string_view, a C string or a string
  // literal.
  std::optional<std::string_view> request_text() const {
    if (request_type_ == nullptr || request_type_->text == nullptr) return std::nullopt;
    return request_type_->text(request_);
  }

  const std::stop_token& stop() const { return options_.stop.get(); }
  std::string_view key() const { return options_.key; }
  Priority priority() const { return options_.priority; }

  // How often the executor was run: the number of the present attempt, from 1, and 0 before it.
  int attempt() const { return attempts_; }

  // Whether the result on its way up is an inner policy's refusal, and when another try could
  // succeed (TimePoint::min() if that is not known).
  bool rejected() const { return rejected_; }
  // Likewise, whether it is that of a stack which is the executor, and in which nothing ran.
  bool rejected_inside() const { return rejected_ && rejected_inside_; }
  TimePoint retry_at() const { return rejected_ ? *retry_at_ : TimePoint::min(); }
  // Over how long a time, from retry_at() on, those who were refused should come back: see
  // Verdict::Reject.
  Duration retry_spread() const { return rejected_ ? retry_spread_ : Duration::zero(); }

  // How long what is below the policy that asks may take: to be asked in its Before and After, and
  // while its state is destroyed.
  TimeBelow time_below();

  // Until when a policy may keep the call waiting on its way down, and no longer than that, since
  // what comes too late for an attempt only costs the service work: the deadline, less what the
  // Timeouts below give an attempt, or less `attempt` where that is known and shorter; but at least
  // half of the time that is left. The deadline itself where neither is known.
  TimePoint latest_start(Duration attempt = Duration::max());

  // When the present attempt, or the last one, began; TimePoint::min() for a call that has no
  // deadline, or no attempt yet.
  TimePoint attempt_began() const { return attempt_began_; }

  // Why states are being destroyed that never saw a result.
  Abandonment abandonment() const { return abandonment_; }

  // Whether the result on its way up is what it is because a deadline came: the call's, or that of
  // a Timeout below.
  bool out_of_time() const { return ended_by_ == EndReason::kDeadline; }

  // Says, for the report, what a policy that only tries itself out would have done: refuse, or wait
  // until `until` where `refusal` is OK.
  void NoteDryRun(std::string_view policy, const absl::Status& refusal, TimePoint until);

  // Says why a policy hands on a failure that it could have tried again, for the report.
  void set_ended_by(EndReason reason) { ended_by_ = reason; }

  // True for the first policy that claims this success for `account`, false for those after it that
  // share the account: policies with one RetryBudget repay it once for a success.
  bool FirstToClaim(const void* account) { return std::exchange(claimed_, account) != account; }

  // Says that the present attempt runs on although the call goes on without it, for as long as
  // somebody else holds `attempt`.
  void Abandon(const std::shared_ptr<AbandonedAttempt>& attempt);

  // Whether any attempt was left to itself.
  bool has_abandoned() const { return left_ != nullptr; }

  // Keeps `admission` until the attempts after number `attempt` that were left have really ended.
  // For a policy's optional
  //   void OnAbandon(Call& call, State& state);
  // which is asked before a state is destroyed while has_abandoned().
  void HoldUntilAbandonedEnd(int attempt, const std::shared_ptr<void>& admission);

  // Wakes this call from its present or next wait.
  virtual Waker& waker() = 0;

  // The source of a policy's randomness: the thread's own, seeded anew in a child of fork(); a
  // simulation has its own, with a seed.
  virtual absl::BitGenRef random();

 protected:
  // `clock` null: steady_clock.
  Call(const CallOptions& options, Clock* clock)
      : options_(options),
        clock_(clock),
        reporting_(options.report != nullptr),
        watched_(options.report != nullptr || options.outer != nullptr),
        deadline_(options.deadline) {}
  // Virtual for parents that warn of anything else; nobody deletes a Call by its base.
  virtual ~Call() {
    if (ABSL_PREDICT_FALSE(left_ != nullptr)) ForgetLeft();
  }

  Clock* clock() const { return clock_; }
  void ForgetNow() { now_known_ = false; }

  // What the call is made with, which must outlive it.
  void SetRequest() {}
  template <class Request, class... More>
  void SetRequest(const Request& request, const More&...) {
    request_ = static_cast<const void*>(std::addressof(request));  // may itself be a pointer
    request_type_ = &internal::request_type<Request>;
  }

  // What runs the attempts, which must outlive the call.
  template <class Executor>
  void SetExecutor(const Executor& executor) {
    if constexpr (internal::BoundsTime<Executor>) {
      executor_ = &executor;
      time_in_executor_ = [](const void* e, TimePoint now) {
        return static_cast<const Executor*>(e)->TimeBelowAt(now);
      };
    }
  }

 private:
  template <class R, class... Policies>
  friend class driver::Machine;
  friend class internal::Branches;

  struct Left;

  void BeginAttempt() {
    ++attempts_;
    rejected_ = rejected_inside_ = false;
    ended_by_ = kNotSaid;
    if (ABSL_PREDICT_FALSE(reporting_)) ReportAttempt();
  }

  void Rejected(TimePoint retry_at, EndReason reason, Duration spread = Duration::zero()) {
    rejected_ = true;
    retry_at_ = retry_at;
    retry_spread_ = spread;
    ended_by_ = reason;
  }

  // By a policy that had the result, which may be the refusal of another call.
  void Answered(const absl::Status& result);

  void End(const absl::Status& result, std::optional<Duration> retry_after);

  // For a call that has a report; out of line.
  void ReportStart();
  void ReportWait(TimePoint from);
  void ReportAttempt();
  void ReportOutcome(const absl::Status& outcome);

  static constexpr EndReason kNotSaid{-1};  // by anything but the result

  void ForgetLeft();

  // In an order that lets what begins as null or false be set by few instructions.
  const CallOptions& options_;
  Clock* clock_;
  // What time_below() asks: the machine, about its policies from a depth inwards, and the executor.
  const void* machine_;
  TimeBelow (*time_in_machine_)(const void* machine, unsigned depth, TimePoint now,
                                TimeBelow executor);
  const void* executor_ = nullptr;
  TimeBelow (*time_in_executor_)(const void* executor, TimePoint now) = nullptr;
  const void* request_ = nullptr;
  const internal::RequestType* request_type_ = nullptr;
  Left* left_ = nullptr;  // the attempts that were left; a list, owned
  const void* claimed_ = nullptr;
  unsigned depth_ = 0;  // how many states are alive: those of the outermost policies
  int attempts_ = 0;
  bool now_known_ = false;
  bool rejected_ = false;
  bool rejected_inside_ = false;
  bool reporting_;             // there is a report
  bool watched_;               // somebody wants to know how it ended
  bool attempt_open_ = false;  // when reporting: the last one in the report is the present one
  Abandonment abandonment_ = Abandonment::kNone;
  TimePoint deadline_;
  TimePoint attempt_began_ = TimePoint::min();
  internal::UnsetTime now_;       // when now_known_
  internal::UnsetTime retry_at_;  // when rejected_
  Duration retry_spread_;         // likewise
  Duration waited_;               // since the attempt before, when reporting_
  EndReason ended_by_ = kNotSaid;
};

namespace internal {

// f(std::string), of text that is none; what it gives a view of is the text itself.
template <class F>
auto FromText(const F& f, std::string_view text) {
  const std::string copy(text);
  if constexpr (std::is_convertible_v<std::invoke_result_t<const F&, const std::string&>,
                                      std::string_view>) {
    const std::string_view view = std::invoke(f, copy);
    const auto begin = reinterpret_cast<std::uintptr_t>(copy.data());
    const auto at = reinterpret_cast<std::uintptr_t>(view.data());
    return at < begin || at > begin + copy.size() ? view : text.substr(at - begin, view.size());
  } else {
    return std::invoke(f, copy);
  }
}

}  // namespace internal

// Makes a function of a call from a function of its first argument, a Request, for the options that
// take one: who the call is for, what it costs. A std::string or std::string_view may be any text:
// a string literal as well. Called for a call whose first argument is of any other type it throws
// std::invalid_argument.
//
//   options.cost = FromRequest<Upload>([](const Upload& upload) { return upload.size; });
template <class Request, class F>
auto FromRequest(F f) {
  using Result = std::invoke_result_t<const F&, const Request&>;
  static_assert(!internal::kDangles<Result>,
                "return a view of something that lives as long as the request");
  constexpr bool kView = std::is_convertible_v<Result, std::string_view>;
  if constexpr (std::is_same_v<Request, std::string> || std::is_same_v<Request, std::string_view>) {
    using Given = std::conditional_t<kView, std::string_view, std::decay_t<Result>>;
    return [f = std::move(f)](const Call& call) -> Given {
      if (const auto* const request = call.request<Request>()) return std::invoke(f, *request);
      const std::optional<std::string_view> text = call.request_text();
      if (!text) internal::ThrowNoRequest();
      if constexpr (std::is_same_v<Request, std::string>) {
        return internal::FromText(f, *text);
      } else {
        return std::invoke(f, *text);
      }
    };
  } else {
    return [f = std::move(f)](const Call& call) -> decltype(auto) {
      const Request* const request = call.request<Request>();
      if (request == nullptr) internal::ThrowNoRequest();
      return std::invoke(f, *request);
    };
  }
}

}  // namespace holdfast

#endif  // HOLDFAST_CALL_CALL_H_
