#pragma once

#include <cstddef>
#include <functional>

#include "opentelemetry/common/attribute_value.h"
#include "opentelemetry/nostd/string_view.h"

namespace opentelemetry::common {

class KeyValueIterable {
 public:
  virtual ~KeyValueIterable() = default;
  virtual bool ForEachKeyValue(
      std::function<bool(nostd::string_view, AttributeValue)> callback) const noexcept = 0;
  virtual std::size_t size() const noexcept = 0;
};

}  // namespace opentelemetry::common
