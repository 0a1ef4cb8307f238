#pragma once

#include <cstdint>

namespace opentelemetry::trace {

class TraceFlags final {
 public:
  TraceFlags() noexcept = default;
  explicit TraceFlags(std::uint8_t flags) noexcept : flags_(flags) {}
  std::uint8_t flags() const noexcept { return flags_; }

 private:
  std::uint8_t flags_ = 0;
};

}  // namespace opentelemetry::trace
