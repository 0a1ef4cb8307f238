// Text that every backend accepts.
#ifndef HOLDFAST_BASE_INTERNAL_UTF8_H_
#define HOLDFAST_BASE_INTERNAL_UTF8_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace holdfast::internal {

// `text`, in which U+FFFD stands for what is not UTF-8: one for each longest part that begins a
// character, as the Unicode Standard recommends (3.9, "U+FFFD Substitution of Maximal Subparts").
std::string WellFormedUtf8(std::string_view text);

// The same in at most `most` bytes, >= 3: an ellipsis ends what is cut, between two characters.
std::string KeptText(std::string_view text, std::size_t most);

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_UTF8_H_
