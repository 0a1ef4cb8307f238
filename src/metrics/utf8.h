// Text that every backend accepts.
#ifndef HOLDFAST_SRC_METRICS_UTF8_H_
#define HOLDFAST_SRC_METRICS_UTF8_H_

#include <string>
#include <string_view>

namespace holdfast::internal {

// `text`, in which U+FFFD stands for what is not UTF-8: one for each longest part that begins a
// character, as the Unicode Standard recommends (3.9, "U+FFFD Substitution of Maximal Subparts").
std::string WellFormedUtf8(std::string_view text);

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_UTF8_H_
