#include "holdfast/base/internal/utf8.h"

#include <algorithm>
#include <cstddef>

namespace holdfast::internal {
namespace {

struct Part {
  std::size_t length;
  bool whole;
};

std::size_t LengthByLead(unsigned char lead) {
  if (lead >= 0xC2 && lead <= 0xDF) return 2;
  if (lead >= 0xE0 && lead <= 0xEF) return 3;
  return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

// The longest part of `text`, which is not empty, that begins a character: table 3-7 of the Unicode
// Standard, where only the second byte has a range that depends on the first.
Part FirstPart(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {1, true};
  const std::size_t length = LengthByLead(lead);
  if (length == 0) return {1, false};
  unsigned char least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned char most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size() || byte(i) < least || byte(i) > most) return {i, false};
    least = 0x80;
    most = 0xBF;
  }
  return {length, true};
}

}  // namespace

std::string WellFormedUtf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const Part part = FirstPart(text);
    result += part.whole ? text.substr(0, part.length) : std::string_view("\xEF\xBF\xBD");
    text.remove_prefix(part.length);
  }
  return result;
}

std::string KeptText(std::string_view text, std::size_t most) {
  std::string kept = WellFormedUtf8(text.substr(0, most));
  if (text.size() <= most && kept.size() <= most) return kept;
  // No part of a character stays, neither at the cut nor of what stands for one that was none.
  constexpr std::string_view kEllipsis = "\xE2\x80\xA6";
  std::size_t end = std::min(kept.size(), most - kEllipsis.size());
  while (end > 0 && end < kept.size() && (static_cast<unsigned char>(kept[end]) & 0xC0) == 0x80) {
    --end;
  }
  kept.resize(end);
  kept += kEllipsis;
  return kept;
}

}  // namespace holdfast::internal
