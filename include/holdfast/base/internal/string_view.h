// absl::string_view and std::string_view are two types in some builds of Abseil and one in others.
#ifndef HOLDFAST_BASE_INTERNAL_STRING_VIEW_H_
#define HOLDFAST_BASE_INTERNAL_STRING_VIEW_H_

#include <absl/strings/string_view.h>

#include <string_view>

namespace holdfast::internal {

inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_STRING_VIEW_H_
