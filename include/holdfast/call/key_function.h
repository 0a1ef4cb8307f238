// A KeyFunction says whom or what a call is for, to policies that keep something for each key.
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

namespace holdfast {

// As std::function<std::string_view(const Call&)>, but what returns a std::string, of which the
// view would be of nothing by the time it is used, does not compile. The key must live as long as
// the call's arguments. Null: CallOptions::key.
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
