#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "opentelemetry/nostd/span.h"

namespace opentelemetry::trace {

class TraceId final {
 public:
  TraceId() noexcept = default;
  explicit TraceId(nostd::span<const std::uint8_t, 16> id) noexcept {
    std::copy(id.begin(), id.end(), bytes_.begin());
  }
  nostd::span<const std::uint8_t, 16> Id() const noexcept {
    return nostd::span<const std::uint8_t, 16>(bytes_.data(), 16);
  }

 private:
  std::array<std::uint8_t, 16> bytes_ = {};
};

}  // namespace opentelemetry::trace
