#include "holdfast/http/standard_client.h"

#include <stdexcept>
#include <utility>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/breaker/circuit_break.h"
#include "holdfast/concurrency/bulkhead.h"
#include "holdfast/http/redirect.h"
#include "holdfast/http/retry.h"
#include "holdfast/rate/rate_limit.h"
#include "holdfast/retry/retry.h"
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"
#include "src/http/origin.h"

namespace holdfast::http {
namespace {

using Result = absl::StatusOr<Response>;

struct Check {
  std::function<RetryDecision(const Call&, const Result&)> check;

  RetryDecision operator()(const Call& call, const Result& response) const {
    return check ? check(call, response) : RetryDecision(RetryTransient()(call, response));
  }
};

template <class T, class Options>
void MakeIfNull(std::shared_ptr<T>& object, const Options& options) {
  if (object == nullptr) object = std::make_shared<T>(options);
}

StandardObjects ObjectsOf(const StandardClientOptions& options) {
  StandardObjects objects = options.shared;
  MakeIfNull(objects.semaphore, Semaphore::Options(options.bulkhead));
  if (objects.budget == nullptr) objects.budget = options.retry.budget;
  MakeIfNull(objects.budget, RetryBudget::Options{});
  MakeIfNull(objects.breaker, CircuitBreaker::Options(options.breaker));
  MakeIfNull(objects.bucket, TokenBucket::Options(options.rate_limit));
  return objects;
}

template <class Options>
auto Live(Options options) {
  return std::make_shared<Settings<Options>>(std::move(options));
}

StandardSettings SettingsOf(const StandardClientOptions& options, const StandardObjects& objects) {
  RetryOptions retry = options.retry;
  retry.budget = objects.budget;
  return {.bulkhead_queue = Live(BulkheadOptions(options.bulkhead_queue)),
          .total_timeout = Live(TimeoutOptions{options.total_timeout}),
          .retry = Live(std::move(retry)),
          .attempt_timeout = Live(TimeoutOptions{options.attempt_timeout})};
}

auto MakeStack(const StandardClientOptions& options, const StandardObjects& objects,
               const StandardSettings& settings) {
  return Stack(Bulkhead(objects.semaphore, settings.bulkhead_queue),
               Timeout(settings.total_timeout), Retry(settings.retry, Check{options.retry_check}),
               CircuitBreak(objects.breaker), RateLimit(objects.bucket),
               Timeout(settings.attempt_timeout));
}

absl::Status CheckEach(const StandardClientOptions& options) {
  holdfast::internal::OptionsChecker check("StandardClient");
  check(Validate(Semaphore::Options(options.bulkhead)));
  check(Validate(BulkheadOptions(options.bulkhead_queue)));
  check(Validate(options.retry));
  check(Validate(CircuitBreaker::Options(options.breaker)));
  check(Validate(TokenBucket::Options(options.rate_limit)));
  check(Validate(options.transport));
  check(Validate(options.redirects));
  check(options.total_timeout > Duration::zero(), "total_timeout must be > 0");
  check(options.attempt_timeout > Duration::zero(), "attempt_timeout must be > 0");
  check(options.shared.budget == nullptr || options.retry.budget == nullptr ||
            options.shared.budget == options.retry.budget,
        "shared.budget and retry.budget differ");
  return check.status();
}

// With a name for what has none, if there is one, which is the origin; Around sees to the clock.
StandardClientOptions Completed(const std::string& name, StandardClientOptions options) {
  options = holdfast::internal::Validated(std::move(options));
  const auto complete = [&](auto& object) {
    if (object.name.empty()) object.name = name;
  };
  complete(options.bulkhead);
  complete(options.breaker);
  complete(options.rate_limit);
  options.redirects = internal::WithOrigin(std::move(options.redirects), name);
  return options;
}

Request Make(const char* method, std::string target, Headers headers, std::string body = {},
             std::string content_type = {}) {
  if (!content_type.empty()) headers.Set("Content-Type", std::move(content_type));
  return {.method = method,
          .target = std::move(target),
          .headers = std::move(headers),
          .body = std::move(body)};
}

std::string NameOf(std::string_view origin) {
  const auto parsed = internal::ParseOrigin(origin);
  return parsed.ok() ? parsed->url : std::string();
}

}  // namespace

absl::Status Validate(const StandardClientOptions& options) {
  absl::Status each = CheckEach(options);
  if (!each.ok()) return each;
  const StandardObjects objects = ObjectsOf(options);
  return Validate(MakeStack(options, objects, SettingsOf(options, objects)));
}

struct StandardClient::Parts {
  Parts(const StandardClientOptions& options, internal::AttemptFunction attempt,
        std::shared_ptr<const Transport> transport_or_null)
      : transport(std::move(transport_or_null)),
        objects(ObjectsOf(options)),
        settings(SettingsOf(options, objects)),
        redirects(options.redirects),
        stack(MakeStack(options, objects, settings)),
        fetch(stack.Around(std::move(attempt), options.clock)) {}

  std::shared_ptr<const Transport> transport;
  StandardObjects objects;
  StandardSettings settings;
  RedirectOptions redirects;
  decltype(MakeStack(std::declval<StandardClientOptions>(), std::declval<StandardObjects>(),
                     std::declval<StandardSettings>())) stack;
  decltype(stack.Around(internal::AttemptFunction())) fetch;
};

StandardClient::StandardClient(internal::AttemptFunction attempt, StandardClientOptions options,
                               std::shared_ptr<const Transport> transport)
    : parts_(std::make_shared<const Parts>(Completed("", std::move(options)), std::move(attempt),
                                           std::move(transport))) {}

StandardClient::StandardClient(std::string_view origin, StandardClientOptions options) {
  options = Completed(NameOf(origin), std::move(options));
  const auto transport = std::make_shared<const Transport>(origin, options.transport);
  parts_ = std::make_shared<const Parts>(options, *transport, transport);
}

absl::StatusOr<Response> StandardClient::operator()(const Request& request) const {
  return internal::Follow(parts_->redirects, request, CallOptions(),
                          [this](const Request& hop) { return parts_->fetch(hop); });
}

absl::StatusOr<Response> StandardClient::With(const CallOptions& options,
                                              const Request& request) const {
  return internal::Follow(parts_->redirects, request, options,
                          [&](const Request& hop) { return parts_->fetch.With(options, hop); });
}

absl::StatusOr<Response> StandardClient::Get(std::string target, Headers headers) const {
  return (*this)(Make("GET", std::move(target), std::move(headers)));
}
absl::StatusOr<Response> StandardClient::Head(std::string target, Headers headers) const {
  return (*this)(Make("HEAD", std::move(target), std::move(headers)));
}
absl::StatusOr<Response> StandardClient::Delete(std::string target, Headers headers) const {
  return (*this)(Make("DELETE", std::move(target), std::move(headers)));
}
absl::StatusOr<Response> StandardClient::Options(std::string target, Headers headers) const {
  return (*this)(Make("OPTIONS", std::move(target), std::move(headers)));
}
absl::StatusOr<Response> StandardClient::Post(std::string target, std::string body,
                                              std::string content_type, Headers headers) const {
  return (*this)(Make("POST", std::move(target), std::move(headers), std::move(body),
                      std::move(content_type)));
}
absl::StatusOr<Response> StandardClient::Put(std::string target, std::string body,
                                             std::string content_type, Headers headers) const {
  return (*this)(
      Make("PUT", std::move(target), std::move(headers), std::move(body), std::move(content_type)));
}
absl::StatusOr<Response> StandardClient::Patch(std::string target, std::string body,
                                               std::string content_type, Headers headers) const {
  return (*this)(Make("PATCH", std::move(target), std::move(headers), std::move(body),
                      std::move(content_type)));
}

std::string StandardClient::Describe() const { return parts_->stack.Describe(); }

std::string StandardClient::origin() const { return parts_->redirects.origin; }

Clock* StandardClient::StackClock() const { return parts_->fetch.StackClock(); }

const Transport& StandardClient::transport() const {
  if (parts_->transport == nullptr) {
    throw std::logic_error("StandardClient: made around an executor, it has no Transport");
  }
  return *parts_->transport;
}
Semaphore& StandardClient::semaphore() const { return *parts_->objects.semaphore; }
RetryBudget& StandardClient::budget() const { return *parts_->objects.budget; }
CircuitBreaker& StandardClient::breaker() const { return *parts_->objects.breaker; }
TokenBucket& StandardClient::bucket() const { return *parts_->objects.bucket; }
const StandardObjects& StandardClient::objects() const { return parts_->objects; }
const StandardSettings& StandardClient::settings() const { return parts_->settings; }

CollectedObjects StandardClient::Objects() const {
  CollectedObjects objects = parts_->stack.Objects();
  if (parts_->transport != nullptr) objects.Add(parts_->transport->Collected());
  return objects;
}

std::vector<holdfast::internal::NamedInfo> StandardClient::Info(
    const holdfast::internal::Changes& changes) const {
  return parts_->stack.Info(changes);
}

}  // namespace holdfast::http
