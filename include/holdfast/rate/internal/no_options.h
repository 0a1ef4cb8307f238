// A compile error for a rate limit whose options are just `{}`.
#ifndef HOLDFAST_RATE_INTERNAL_NO_OPTIONS_H_
#define HOLDFAST_RATE_INTERNAL_NO_OPTIONS_H_

#include <initializer_list>

namespace holdfast::internal {

// A parameter that takes `{}` and nothing else: nothing converts to an element of this list, and
// the conversion of an empty one is better than the one to a struct of options.
struct NoOption {
  NoOption() = delete;
};
using NoOptions = std::initializer_list<NoOption>;

// For a static_assert in a template, which fails where that is used.
template <class>
inline constexpr bool kGiven = false;

}  // namespace holdfast::internal

#endif  // HOLDFAST_RATE_INTERNAL_NO_OPTIONS_H_
