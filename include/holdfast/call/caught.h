// Caught is the result of an executor in Catching: the value that it returned, or the exception
// that it threw with the status that this means. Policies and their callbacks see a Caught; the
// caller of the stack gets the value or the exception.
//
//   auto locked = [](const holdfast::Call&, const holdfast::Caught<int>& result) {
//     return result.status().code() == absl::StatusCode::kAborted;
//   };
//   holdfast::Retry retry({}, locked);
#ifndef HOLDFAST_CALL_CAUGHT_H_
#define HOLDFAST_CALL_CAUGHT_H_

#include <absl/status/status.h>

#include <concepts>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "holdfast/base/error.h"
#include "holdfast/base/result.h"
#include "holdfast/call/call.h"

namespace holdfast {

// T may be void. If T has ResultTraits, these decide whether a value is a success, and a refusal is
// stored as a T. A success does not allocate.
template <class T>
class Caught {
 public:
  using Value = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

  // From a returned value.
  Caught()
    requires std::is_void_v<T>
      : value_(std::in_place) {}
  template <class U = Value>
    requires(std::convertible_to<U, Value> && !std::same_as<std::remove_cvref_t<U>, Caught>)
  Caught(U&& value)  // NOLINT(google-explicit-constructor): a result is one
      : value_(std::in_place, std::forward<U>(value)) {}

  // From an exception and its status. If the status is OK, policies count the exception as a
  // success; the caller gets the exception all the same.
  Caught(std::exception_ptr error, absl::Status status)
      : status_(std::move(status)), error_(std::move(error)) {}

  // From a policy's refusal.
  static Caught FromStatus(absl::Status status) {
    if constexpr (HasResultTraits<Value>) {
      return Caught(ResultTraits<Value>::FromStatus(std::move(status)));
    } else {
      return Caught(nullptr, std::move(status));
    }
  }

  bool has_value() const { return value_.has_value(); }
  const Value& value() const { return *value_; }                  // requires has_value()
  const std::exception_ptr& exception() const { return error_; }  // null if none was thrown

  // The status of the value, of the exception, or of a policy's refusal.
  absl::Status status() const {
    if constexpr (HasResultTraits<Value>) {
      if (value_) return ResultTraits<Value>::StatusOf(*value_);
    }
    return status_;
  }

  // What the caller gets thrown: the exception, or a StatusError with a policy's refusal. Null
  // where there is a value.
  std::exception_ptr ToThrow() const {
    if (value_ || error_ != nullptr) return error_;
    return std::make_exception_ptr(StatusError(status_));
  }
  T Release() && {
    if (!value_) std::rethrow_exception(ToThrow());
    if constexpr (!std::is_void_v<T>) return *std::move(value_);
  }

 private:
  std::optional<Value> value_;
  absl::Status status_;  // OK where there is a value
  std::exception_ptr error_;
};

template <class T>
struct ResultTraits<Caught<T>> {
  static absl::Status StatusOf(const Caught<T>& result) { return result.status(); }
  static Caught<T> FromStatus(absl::Status status) {
    return Caught<T>::FromStatus(std::move(status));
  }
  static std::optional<Duration> RetryAfter(const Caught<T>& result) {
    if constexpr (HasResultTraits<typename Caught<T>::Value>) {
      if (result.has_value()) return ResultTraits<T>::RetryAfter(result.value());
    }
    return std::nullopt;
  }
  // As the T's own, where that has one.
  static auto IsTransient(const Call& call, const Caught<T>& result)
    requires requires { ResultTraits<T>::IsTransient(call, result.value()); }
  {
    using Answer = decltype(ResultTraits<T>::IsTransient(call, result.value()));
    return result.has_value() ? ResultTraits<T>::IsTransient(call, result.value())
                              : Answer(holdfast::IsTransient(result.status()));
  }
  static bool IsTransient(const Caught<T>& result) {
    if constexpr (requires { ResultTraits<T>::IsTransient(result.value()); }) {
      if (result.has_value()) return ResultTraits<T>::IsTransient(result.value());
    }
    return holdfast::IsTransient(result.status());
  }
};

namespace internal {

// What the caller of a stack gets of an R.
template <class R>
struct ForCaller {
  using type = R;
};
template <class T>
struct ForCaller<Caught<T>> {
  using type = T;
};

template <class R>
inline constexpr bool kIsCaught = false;
template <class T>
inline constexpr bool kIsCaught<Caught<T>> = true;

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_CALL_CAUGHT_H_
