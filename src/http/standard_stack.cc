#include "holdfast/http/standard_stack.h"

#include <initializer_list>
#include <stdexcept>
#include <utility>

#include "holdfast/bulkhead.h"
#include "holdfast/circuit_break.h"
#include "holdfast/http/retry.h"
#include "holdfast/internal/validate.h"
#include "holdfast/rate_limit.h"
#include "holdfast/retry.h"
#include "holdfast/stack.h"
#include "holdfast/timeout.h"
#include "origin.h"

namespace holdfast::http {
namespace {

using Response = absl::StatusOr<httplib::Response>;

struct Check {
  std::function<RetryDecision(const Call&, const Response&)> check;

  RetryDecision operator()(const Call& call, const Response& response) const {
    return check ? check(call, response) : RetryDecision(RetryTransient()(call, response));
  }
};

template <class T, class Options>
void MakeIfNull(std::shared_ptr<T>& object, const Options& options) {
  if (object == nullptr) object = std::make_shared<T>(options);
}

StandardObjects ObjectsOf(const StandardOptions& options) {
  StandardObjects objects = options.shared;
  MakeIfNull(objects.limiter, Semaphore::Options(options.limiter));
  if (objects.budget == nullptr) objects.budget = options.retry.budget;
  MakeIfNull(objects.budget, RetryBudget::Options{});
  MakeIfNull(objects.breaker, CircuitBreaker::Options(options.breaker));
  MakeIfNull(objects.bucket, TokenBucket::Options(options.rate));
  return objects;
}

template <class Options>
auto Live(Options options) {
  return std::make_shared<Settings<Options>>(std::move(options));
}

StandardSettings SettingsOf(const StandardOptions& options, const StandardObjects& objects) {
  RetryOptions retry = options.retry;
  retry.budget = objects.budget;
  return {.queue = Live(BulkheadOptions(options.queue)),
          .total_timeout = Live(TimeoutOptions{options.total_timeout}),
          .retry = Live(std::move(retry)),
          .attempt_timeout = Live(TimeoutOptions{options.attempt_timeout})};
}

auto MakeStack(const StandardOptions& options, const StandardObjects& objects,
               const StandardSettings& settings) {
  return Stack(Bulkhead(objects.limiter, settings.queue), Timeout(settings.total_timeout),
               Retry(settings.retry, Check{options.check}), CircuitBreak(objects.breaker),
               RateLimit(objects.bucket), Timeout(settings.attempt_timeout));
}

absl::Status CheckEach(const StandardOptions& options) {
  for (const absl::Status& status :
       {Validate(Semaphore::Options(options.limiter)), Validate(BulkheadOptions(options.queue)),
        Validate(options.retry), Validate(CircuitBreaker::Options(options.breaker)),
        Validate(TokenBucket::Options(options.rate)), Validate(options.transport)}) {
    if (!status.ok()) return status;
  }
  if (options.total_timeout <= Duration::zero()) {
    return absl::InvalidArgumentError("StandardStack: total_timeout must be > 0");
  }
  if (options.attempt_timeout <= Duration::zero()) {
    return absl::InvalidArgumentError("StandardStack: attempt_timeout must be > 0");
  }
  if (options.shared.budget != nullptr && options.retry.budget != nullptr &&
      options.shared.budget != options.retry.budget) {
    return absl::InvalidArgumentError("StandardStack: shared.budget and retry.budget differ");
  }
  return absl::OkStatus();
}

// With a name for what has none, if there is one; Around sees to the clock.
StandardOptions Completed(const std::string& name, StandardOptions options) {
  holdfast::internal::ThrowIfInvalid(Validate(options));
  const auto complete = [&](auto& object) {
    if (object.name.empty()) object.name = name;
  };
  complete(options.limiter);
  complete(options.breaker);
  complete(options.rate);
  return options;
}

std::string NameOf(std::string_view origin) {
  const auto parsed = internal::ParseOrigin(origin);
  return parsed.ok() ? parsed->url : std::string();
}

}  // namespace

absl::Status Validate(const StandardOptions& options) {
  absl::Status each = CheckEach(options);
  if (!each.ok()) return each;
  const StandardObjects objects = ObjectsOf(options);
  return Validate(MakeStack(options, objects, SettingsOf(options, objects)));
}

struct StandardStack::Parts {
  Parts(const StandardOptions& options, internal::AttemptFunction attempt,
        std::shared_ptr<const Transport> transport_or_null)
      : transport(std::move(transport_or_null)),
        objects(ObjectsOf(options)),
        settings(SettingsOf(options, objects)),
        stack(MakeStack(options, objects, settings)),
        fetch(stack.Around(std::move(attempt), options.clock)) {}

  std::shared_ptr<const Transport> transport;
  StandardObjects objects;
  StandardSettings settings;
  decltype(MakeStack(std::declval<StandardOptions>(), std::declval<StandardObjects>(),
                     std::declval<StandardSettings>())) stack;
  decltype(stack.Around(internal::AttemptFunction())) fetch;
};

StandardStack::StandardStack(internal::AttemptFunction attempt, StandardOptions options,
                             std::shared_ptr<const Transport> transport)
    : parts_(std::make_shared<const Parts>(Completed("", std::move(options)), std::move(attempt),
                                           std::move(transport))) {}

StandardStack::StandardStack(std::string_view origin, StandardOptions options) {
  options = Completed(NameOf(origin), std::move(options));
  const auto transport = std::make_shared<const Transport>(origin, options.transport);
  parts_ = std::make_shared<const Parts>(options, *transport, transport);
}

absl::StatusOr<httplib::Response> StandardStack::operator()(const httplib::Request& request) const {
  return parts_->fetch(request);
}

absl::StatusOr<httplib::Response> StandardStack::With(const CallOptions& options,
                                                      const httplib::Request& request) const {
  return parts_->fetch.With(options, request);
}

std::string StandardStack::Describe() const { return parts_->stack.Describe(); }

Clock* StandardStack::StackClock() const { return parts_->fetch.StackClock(); }

const Transport& StandardStack::transport() const {
  if (parts_->transport == nullptr) {
    throw std::logic_error("StandardStack: made around an executor, it has no Transport");
  }
  return *parts_->transport;
}
Semaphore& StandardStack::limiter() const { return *parts_->objects.limiter; }
RetryBudget& StandardStack::budget() const { return *parts_->objects.budget; }
CircuitBreaker& StandardStack::breaker() const { return *parts_->objects.breaker; }
TokenBucket& StandardStack::bucket() const { return *parts_->objects.bucket; }
const StandardObjects& StandardStack::objects() const { return parts_->objects; }
const StandardSettings& StandardStack::settings() const { return parts_->settings; }

std::vector<holdfast::internal::NamedFacts> StandardStack::Facts(
    const holdfast::internal::Changes& changes) const {
  return parts_->stack.Facts(changes);
}

}  // namespace holdfast::http
