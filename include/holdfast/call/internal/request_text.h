// The text of a call's first argument, whatever type of text that is.
#ifndef HOLDFAST_CALL_INTERNAL_REQUEST_TEXT_H_
#define HOLDFAST_CALL_INTERNAL_REQUEST_TEXT_H_

#include <string>
#include <string_view>
#include <type_traits>

namespace holdfast::internal {

using TextOf = std::string_view (*)(const void* object);

// Null of a type that is no text.
template <class T>
consteval TextOf TextOfA() {
  if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
    return [](const void* text) { return std::string_view(*static_cast<const T*>(text)); };
  } else if constexpr (std::is_same_v<T, const char*> || std::is_same_v<T, char*>) {
    return [](const void* text) {
      const char* const chars = *static_cast<const T*>(text);
      return chars == nullptr ? std::string_view() : std::string_view(chars);
    };
  } else if constexpr (std::is_same_v<std::remove_extent_t<T>, char>) {
    return [](const void* text) {  // up to its NUL, as of a const char*
      const std::string_view all(static_cast<const char*>(text), std::extent_v<T>);
      return all.substr(0, all.find('\0'));
    };
  } else {
    return nullptr;
  }
}

// Whether what a function gives would be gone when a view of it is used.
template <class R>
inline constexpr bool kDangles =
    std::is_convertible_v<R, std::string_view> && !std::is_lvalue_reference_v<R> &&
    !std::is_trivially_destructible_v<R>;

}  // namespace holdfast::internal

#endif  // HOLDFAST_CALL_INTERNAL_REQUEST_TEXT_H_
