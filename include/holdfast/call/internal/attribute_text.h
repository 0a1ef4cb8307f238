// The text of an enumerator as the value of an attribute.
#ifndef HOLDFAST_CALL_INTERNAL_ATTRIBUTE_TEXT_H_
#define HOLDFAST_CALL_INTERNAL_ATTRIBUTE_TEXT_H_

#include <algorithm>
#include <string>
#include <string_view>

namespace holdfast::internal {

// With underscores: "circuit_open" of "circuit open".
inline std::string AttributeText(std::string_view text) {
  std::string value(text);
  std::ranges::replace_if(value, [](char c) { return c == ' ' || c == '-'; }, '_');
  return value;
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_CALL_INTERNAL_ATTRIBUTE_TEXT_H_
