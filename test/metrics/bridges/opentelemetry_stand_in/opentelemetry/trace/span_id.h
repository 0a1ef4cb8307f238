#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "opentelemetry/nostd/span.h"

namespace opentelemetry::trace {

class SpanId final {
 public:
  SpanId() noexcept = default;
  explicit SpanId(nostd::span<const std::uint8_t, 8> id) noexcept {
    std::copy(id.begin(), id.end(), bytes_.begin());
  }
  nostd::span<const std::uint8_t, 8> Id() const noexcept {
    return nostd::span<const std::uint8_t, 8>(bytes_.data(), 8);
  }

 private:
  std::array<std::uint8_t, 8> bytes_ = {};
};

}  // namespace opentelemetry::trace
