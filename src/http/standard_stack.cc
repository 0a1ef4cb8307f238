#include "holdfast/http/standard_stack.h"

#include <initializer_list>
#include <utility>

#include "holdfast/circuit_break.h"
#include "holdfast/http/retry.h"
#include "holdfast/internal/validate.h"
#include "holdfast/rate_limit.h"
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

// The policy objects.
struct Objects {
  std::shared_ptr<Semaphore> limiter;
  std::shared_ptr<CircuitBreaker> breaker;
  std::shared_ptr<TokenBucket> bucket;

  explicit Objects(const StandardOptions& options)
      : limiter(std::make_shared<Semaphore>(options.limiter)),
        breaker(std::make_shared<CircuitBreaker>(options.breaker)),
        bucket(std::make_shared<TokenBucket>(options.rate)) {}
};

auto MakeStack(const StandardOptions& options, const Objects& objects) {
  return Stack(Bulkhead(objects.limiter, options.queue), Timeout(options.total_timeout),
               Retry(options.retry, Check{options.check}), CircuitBreak(objects.breaker),
               RateLimit(objects.bucket), Timeout(options.attempt_timeout));
}

absl::Status CheckEach(const StandardOptions& options) {
  for (const absl::Status& status :
       {Validate(options.limiter), Validate(options.queue), Validate(options.retry),
        Validate(options.breaker), Validate(options.rate), Validate(options.transport)}) {
    if (!status.ok()) return status;
  }
  if (options.total_timeout <= Duration::zero()) {
    return absl::InvalidArgumentError("StandardStack: total_timeout must be > 0");
  }
  if (options.attempt_timeout <= Duration::zero()) {
    return absl::InvalidArgumentError("StandardStack: attempt_timeout must be > 0");
  }
  return absl::OkStatus();
}

// With a name and a clock for what has none.
StandardOptions Completed(std::string_view origin, StandardOptions options) {
  holdfast::internal::ThrowIfInvalid(Validate(options));
  const auto parsed = internal::ParseOrigin(origin);
  const auto complete = [&](auto& object) {
    if (object.name.empty() && parsed.ok()) object.name = parsed->url;
    if (object.clock == nullptr) object.clock = options.clock;
  };
  complete(options.limiter);
  complete(options.breaker);
  complete(options.rate);
  return options;
}

}  // namespace

absl::Status Validate(const StandardOptions& options) {
  const absl::Status each = CheckEach(options);
  return each.ok() ? Validate(MakeStack(options, Objects(options))) : each;
}

struct StandardStack::Parts {
  Parts(std::string_view origin, const StandardOptions& options)
      : transport(origin, options.transport),
        objects(options),
        stack(MakeStack(options, objects)),
        fetch(stack.Around(transport, options.clock)) {}

  Transport transport;
  Objects objects;
  decltype(MakeStack(std::declval<StandardOptions>(), std::declval<Objects>())) stack;
  decltype(stack.Around(transport)) fetch;
};

StandardStack::StandardStack(std::string_view origin, StandardOptions options)
    : parts_(std::make_shared<const Parts>(origin, Completed(origin, std::move(options)))) {}

absl::StatusOr<httplib::Response> StandardStack::operator()(const httplib::Request& request) const {
  return parts_->fetch(request);
}

absl::StatusOr<httplib::Response> StandardStack::With(const CallOptions& options,
                                                      const httplib::Request& request) const {
  return parts_->fetch.With(options, request);
}

std::string StandardStack::Describe() const { return parts_->stack.Describe(); }

const Transport& StandardStack::transport() const { return parts_->transport; }
Semaphore& StandardStack::limiter() const { return *parts_->objects.limiter; }
CircuitBreaker& StandardStack::breaker() const { return *parts_->objects.breaker; }
TokenBucket& StandardStack::bucket() const { return *parts_->objects.bucket; }

}  // namespace holdfast::http
