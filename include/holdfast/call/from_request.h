// FromRequest makes a function of a Call from a function of the call's first argument, for options
// such as a key or a cost.
//
//   holdfast::RateLimit by_size(bytes, {.cost = holdfast::FromRequest<Request>(&Request::size)});
#ifndef HOLDFAST_CALL_FROM_REQUEST_H_
#define HOLDFAST_CALL_FROM_REQUEST_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "holdfast/call/call.h"
#include "holdfast/call/internal/request_text.h"

namespace holdfast {

namespace internal {

[[noreturn]] void ThrowNoRequest();

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

// Makes a function of a Call from a function of the call's first argument, a Request, for options
// such as a key or a cost. If Request is std::string or std::string_view, the argument may be any
// text, string literals included. For a call whose first argument has another type, the function
// throws std::invalid_argument. It works across shared objects, with hidden visibility as well.
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

#endif  // HOLDFAST_CALL_FROM_REQUEST_H_
