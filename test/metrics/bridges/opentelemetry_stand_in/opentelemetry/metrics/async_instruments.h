#pragma once

#include "opentelemetry/metrics/observer_result.h"

namespace opentelemetry::metrics {

using ObservableCallbackPtr = void (*)(ObserverResult, void*);

class ObservableInstrument {
 public:
  virtual ~ObservableInstrument() = default;
  virtual void AddCallback(ObservableCallbackPtr callback, void* state) noexcept = 0;
  virtual void RemoveCallback(ObservableCallbackPtr callback, void* state) noexcept = 0;
};

}  // namespace opentelemetry::metrics
