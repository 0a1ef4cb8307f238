#pragma once

#include <memory>
#include <string>
#include <utility>

#include "opentelemetry/nostd/shared_ptr.h"
#include "opentelemetry/nostd/string_view.h"

namespace opentelemetry::trace {

// Keeps the header as it is.
class TraceState {
 public:
  static nostd::shared_ptr<TraceState> FromHeader(nostd::string_view header) noexcept {
    return nostd::shared_ptr<TraceState>(new TraceState(std::string(header)));
  }
  std::string ToHeader() const noexcept { return header_; }

 private:
  explicit TraceState(std::string header) : header_(std::move(header)) {}

  std::string header_;
};

}  // namespace opentelemetry::trace
