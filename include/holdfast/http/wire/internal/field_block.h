// The lines of a head or of a trailer as they come.
#ifndef HOLDFAST_HTTP_WIRE_INTERNAL_FIELD_BLOCK_H_
#define HOLDFAST_HTTP_WIRE_INTERNAL_FIELD_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/http/wire/message.h"

namespace holdfast::http::wire {

// Holds the bytes up to the empty line that ends the block, and finds its fields. Its memory is
// kept for the next block.
class FieldBlock {
 public:
  enum class Result : signed char { kMore, kStartLine, kDone, kFault };

  explicit FieldBlock(const Limits& limits)
      : most_bytes_(limits.head), most_fields_(limits.fields) {}
  // The views into it must stay true.
  FieldBlock(const FieldBlock&) = delete;
  FieldBlock& operator=(const FieldBlock&) = delete;

  // Room for a usual head. What most messages lack, a trailer, need not have any.
  void Reserve();

  // Before a block. Up to that many empty lines before the start line are skipped.
  void Begin(bool has_start_line, int empty_lines);

  // Takes bytes from the front of `bytes`, up to the end of the block. Says kStartLine once, as
  // soon as that line is there.
  Result Add(std::string_view& bytes);

  bool empty() const { return text_.empty(); }  // not a byte has come
  bool has_start_line() const { return start_length_ > 0; }
  // While it is not complete: what there is of it.
  std::string_view start_line() const {
    return std::string_view(text_).substr(0, has_start_line() ? start_length_ : text_.size());
  }
  std::span<const Field> fields() const { return fields_; }  // of a complete block
  const Fault& fault() const { return fault_; }

 private:
  // Where a field is in text_, which may yet move.
  struct Place {
    std::uint32_t name;
    std::uint32_t name_length;
    std::uint32_t value;
    std::uint32_t value_length;
  };

  Result Line(std::string_view line);
  Result FieldLine(std::string_view line);
  Result Done();
  Result Refuse(int status, std::string_view text);

  const std::size_t most_bytes_;
  const std::size_t most_fields_;
  std::string text_;
  std::size_t line_begin_ = 0;
  std::size_t start_length_ = 0;
  bool wants_start_line_ = false;
  int empty_lines_ = 0;
  std::vector<Place> places_;
  std::vector<Field> fields_;
  Fault fault_;
};

}  // namespace holdfast::http::wire

#endif  // HOLDFAST_HTTP_WIRE_INTERNAL_FIELD_BLOCK_H_
