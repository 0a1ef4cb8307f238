// A KeyFunction returns the key of a call (its customer, host, ...) to keyed policies, which keep a
// bucket, a breaker or the like for each key.
//
//   const holdfast::KeyFunction by_host = holdfast::FromRequest<Request>(HostOf);
//   auto limit = holdfast::KeyedRateLimit(buckets, {.key = by_host});
#ifndef HOLDFAST_CALL_KEY_FUNCTION_H_
#define HOLDFAST_CALL_KEY_FUNCTION_H_

#include <concepts>
#include <cstddef>
#include <functional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "holdfast/call/call.h"
#include "holdfast/call/from_request.h"  // IWYU pragma: export

namespace holdfast {

// Like std::function<std::string_view(const Call&)>. The key must live as long as the arguments of
// the call; so a function that returns a std::string does not compile. A null function returns
// CallOptions::key.
class KeyFunction {
 public:
  KeyFunction() = default;
  KeyFunction(std::nullptr_t) {}  // NOLINT(google-explicit-constructor)
  template <class F>
    requires(!std::same_as<F, KeyFunction> &&
             std::is_invocable_r_v<std::string_view, const F&, const Call&>)
  KeyFunction(F key) : key_(std::move(key)) {  // NOLINT(google-explicit-constructor)
    static_assert(!internal::kDangles<std::invoke_result_t<const F&, const Call&>>,
                  "a key function returns a view of something that lives as long as the call's "
                  "arguments, and no std::string");
  }

  std::string_view operator()(const Call& call) const { return key_ ? key_(call) : call.key(); }

  explicit operator bool() const { return key_ != nullptr; }
  friend bool operator==(const KeyFunction& key, std::nullptr_t) { return key.key_ == nullptr; }

 private:
  std::function<std::string_view(const Call&)> key_;
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_KEY_FUNCTION_H_
