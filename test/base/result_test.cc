// Results that are read without a specialization of the user's.
#include "holdfast/base/result.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

#include "holdfast/holdfast.h"
#include "holdfast/testing.h"
#include "test/support/catch.h"

namespace holdfast {
namespace {

using namespace std::chrono_literals;
using testing::FakeClock;

// As tl::expected and std::expected have it.
template <class E>
struct Unexpected {
  explicit Unexpected(E e) : error(std::move(e)) {}
  E error;
};
template <class T, class E>
class Expected {
 public:
  using value_type = T;
  using error_type = E;
  using unexpected_type = Unexpected<E>;
  Expected(T value) : state_(std::in_place_index<0>, std::move(value)) {}            // NOLINT
  Expected(Unexpected<E> e) : state_(std::in_place_index<1>, std::move(e.error)) {}  // NOLINT
  bool has_value() const { return state_.index() == 0; }
  const T& value() const { return std::get<0>(state_); }
  const E& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, E> state_;
};

// As a result of Boost.Outcome is: made of the error itself.
template <class T, class E>
class Result {
 public:
  using value_type = T;
  using error_type = E;
  Result(T value) : value_(std::move(value)) {}  // NOLINT
  Result(E error) : error_(error) {}             // NOLINT
  bool has_value() const { return value_.has_value(); }
  const T& value() const { return *value_; }
  const E& error() const { return error_; }

 private:
  std::optional<T> value_;
  E error_ = {};
};

enum class DbError { kBusy = 1, kBroken, kRefused };

}  // namespace

template <>
struct ErrorTraits<DbError> {
  static absl::Status StatusOf(DbError error) {
    return error == DbError::kBusy ? absl::UnavailableError("busy") : absl::InternalError("broken");
  }
  static DbError FromStatus(const absl::Status&) { return DbError::kRefused; }
};

namespace {

std::stop_token Stopped() {
  std::stop_source source;
  source.request_stop();
  return source.get_token();
}

// Calls an executor that fails `failures` times by `failure` before it returns `success`.
template <class R>
struct Tried {
  int calls = 0;
  R result;
  R refused;
};
template <class R>
Tried<R> Try(int failures, const R& failure, const R& success) {
  FakeClock clock;
  int calls = 0;
  const auto call =
      Stack(Retry({.max_attempts = 3}))
          .Around([&]() -> R { return ++calls <= failures ? failure : success; }, &clock);
  R result = call();
  const int made = calls;
  return {made, std::move(result), call.With({.stop = Stopped()})};
}

TEST_CASE("an error_code that may pass is tried again") {
  const auto lost = std::make_error_code(std::errc::connection_reset);
  auto tried = Try<std::error_code>(2, lost, {});
  CHECK(tried.calls == 3);
  CHECK_FALSE(tried.result);
  tried = Try<std::error_code>(3, lost, {});
  CHECK(tried.result == lost);
  tried = Try<std::error_code>(3, std::make_error_code(std::errc::permission_denied), {});
  CHECK(tried.calls == 1);

  // A refusal.
  CHECK(tried.refused.category() == StatusCategory());
  CHECK(tried.refused == std::errc::operation_canceled);
  CHECK(tried.refused.message() == "CANCELLED");
  CHECK(StatusOf(tried.refused).code() == absl::StatusCode::kCancelled);
}

TEST_CASE("an error_code means what its errno does") {
  const auto code = [](int value, const std::error_category& category) {
    return StatusOf(std::error_code(value, category)).code();
  };
  for (const std::error_category* category : {&std::system_category(), &std::generic_category()}) {
    CHECK(code(0, *category) == absl::StatusCode::kOk);
    CHECK(code(ECONNREFUSED, *category) == absl::StatusCode::kUnavailable);
    CHECK(code(EPIPE, *category) == absl::StatusCode::kUnavailable);
    CHECK(code(ETIMEDOUT, *category) == absl::StatusCode::kDeadlineExceeded);
    CHECK(code(ENOENT, *category) == absl::StatusCode::kNotFound);
  }
  CHECK(code(1, std::iostream_category()) == absl::StatusCode::kUnknown);
  for (int status = 1; status <= 16; ++status) {
    CHECK(code(status, StatusCategory()) == static_cast<absl::StatusCode>(status));
  }
}

TEST_CASE("an optional without a value is tried again") {
  auto tried = Try<std::optional<int>>(2, std::nullopt, 5);
  CHECK(tried.calls == 3);
  CHECK(tried.result == 5);
  CHECK_FALSE(tried.refused);
  tried = Try<std::optional<int>>(3, std::nullopt, 5);
  CHECK_FALSE(tried.result);
  // Where that is an answer.
  using Maybe = absl::StatusOr<std::optional<int>>;
  CHECK(Try<Maybe>(1, Maybe(std::nullopt), 5).calls == 1);
}

TEST_CASE("what is like std::expected is tried again by what its error means") {
  using R = Expected<int, DbError>;
  auto tried = Try<R>(2, Unexpected(DbError::kBusy), 5);
  CHECK(tried.calls == 3);
  CHECK(tried.result.value() == 5);
  CHECK(tried.refused.error() == DbError::kRefused);
  tried = Try<R>(2, Unexpected(DbError::kBroken), 5);
  CHECK(tried.calls == 1);
  CHECK(tried.result.error() == DbError::kBroken);
}

TEST_CASE("its error may be a status, an error_code, or an exception") {
  using WithStatus = Expected<int, absl::Status>;
  CHECK(Try<WithStatus>(2, Unexpected(absl::AbortedError("")), 5).calls == 3);
  CHECK(RejectionOf(Try<WithStatus>(0, Unexpected(absl::AbortedError("")), 5).refused.error()));

  using WithCode = Result<int, std::error_code>;
  const auto coded = Try<WithCode>(2, std::make_error_code(std::errc::host_unreachable), 5);
  CHECK(coded.calls == 3);
  CHECK(coded.refused.error() == std::errc::operation_canceled);

  using WithException = Expected<int, std::exception_ptr>;
  const auto thrown =
      std::make_exception_ptr(std::system_error(std::make_error_code(std::errc::timed_out)));
  const auto caught = Try<WithException>(2, Unexpected(thrown), 5);
  CHECK(caught.calls == 3);
  CHECK_THROWS_AS(std::rethrow_exception(caught.refused.error()), StatusError);
}

TEST_CASE("a result that can't be copied goes through every policy") {
  using R = absl::StatusOr<std::unique_ptr<int>>;
  FakeClock clock;
  int calls = 0;
  const auto stack = Stack(Fallback([](const absl::Status&) { return std::make_unique<int>(0); }),
                           Timeout(1h), Retry({}), CircuitBreak({}), AdaptiveTimeout({}),
                           RateLimit(TokenBucket::Options{.rate = 10, .burst = 10}),
                           AdaptiveThrottle({}), AdaptiveLimit({}), Bulkhead({.limit = 1}));
  const auto call = stack.Around(
      [&](const std::unique_ptr<int>& i) -> R {
        if (++calls < 3) return absl::UnavailableError("");
        return std::make_unique<int>(*i);
      },
      &clock);
  CHECK(**call(std::make_unique<int>(7)) == 7);
  CHECK(calls == 3);
}

}  // namespace
}  // namespace holdfast
