#include "holdfast/http/wire/internal/field_block.h"

#include <algorithm>

#include "src/http/wire/grammar.h"

namespace holdfast::http::wire {
namespace {

// A client has a block for each response. glibc's malloc keeps pieces of up to 1,032 bytes at hand.
constexpr std::size_t kFirstBytes = 1000;
constexpr std::size_t kFirstFields = 16;

}  // namespace

void FieldBlock::Reserve() {
  text_.reserve(std::min(kFirstBytes, most_bytes_));
  places_.reserve(std::min(kFirstFields, most_fields_));
  fields_.reserve(std::min(kFirstFields, most_fields_));
}

void FieldBlock::Begin(bool has_start_line, int empty_lines) {
  text_.clear();
  line_begin_ = 0;
  start_length_ = 0;
  wants_start_line_ = has_start_line;
  empty_lines_ = empty_lines;
  places_.clear();
  fields_.clear();
}

FieldBlock::Result FieldBlock::Add(std::string_view& bytes) {
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::size_t length = newline == std::string_view::npos ? bytes.size() : newline + 1;
    if (const std::size_t room = most_bytes_ - text_.size(); length > room) {
      text_.append(bytes.substr(0, room));
      const bool target = wants_start_line_ && !has_start_line();
      return target ? Refuse(414, "the start line is longer than the limit")
                    : Refuse(431, "the fields are longer than the limit");
    }
    text_.append(bytes.substr(0, length));
    bytes.remove_prefix(length);
    if (newline == std::string_view::npos) return Result::kMore;
    std::string_view line = std::string_view(text_).substr(line_begin_);
    line.remove_suffix(1);
    if (!line.ends_with('\r')) return Refuse(400, "a line does not end with CR LF");
    line.remove_suffix(1);
    const Result result = Line(line);
    line_begin_ = text_.size();
    if (result != Result::kMore) return result;
  }
  return Result::kMore;
}

FieldBlock::Result FieldBlock::Line(std::string_view line) {
  if (wants_start_line_ && !has_start_line()) {
    if (line.empty()) {
      if (empty_lines_-- == 0) return Refuse(400, "an empty line where a start line must be");
      text_.clear();
      return Result::kMore;
    }
    start_length_ = line.size();
    return Result::kStartLine;
  }
  return line.empty() ? Done() : FieldLine(line);
}

FieldBlock::Result FieldBlock::FieldLine(std::string_view line) {
  const auto colon = static_cast<std::size_t>(
      std::ranges::find_if_not(line, [](char byte) { return Has(kTokenBytes, byte); }) -
      line.begin());
  if (colon == 0) {
    const bool blank = line.front() == ' ' || line.front() == '\t';
    return Refuse(400, blank ? "a field is folded" : "a field has no valid name");
  }
  if (colon == line.size() || line[colon] != ':') {
    return Refuse(400, "a field's name is not followed by a colon");
  }
  const std::string_view value = WithoutBlanks(line.substr(colon + 1));
  if (!OnlyOf(kTextBytes, value)) return Refuse(400, "a field's value has a control character");
  if (places_.size() == most_fields_) return Refuse(431, "there are more fields than the limit");
  const auto offset = [this](std::string_view part) {
    return static_cast<std::uint32_t>(part.data() - text_.data());
  };
  places_.push_back({.name = offset(line),
                     .name_length = static_cast<std::uint32_t>(colon),
                     .value = offset(value),
                     .value_length = static_cast<std::uint32_t>(value.size())});
  return Result::kMore;
}

// Only now does the text stay where it is.
FieldBlock::Result FieldBlock::Done() {
  const std::string_view text = text_;
  for (const Place& place : places_) {
    fields_.push_back({.name = text.substr(place.name, place.name_length),
                       .value = text.substr(place.value, place.value_length)});
  }
  return Result::kDone;
}

FieldBlock::Result FieldBlock::Refuse(int status, std::string_view text) {
  fault_ = {.status = status, .text = text};
  return Result::kFault;
}

}  // namespace holdfast::http::wire
