// refused: a key function returns a view of something that lives as long as the call's
// arguments, and no std::string
#include <string>
#include <string_view>

#include "holdfast/breaker/keyed_circuit_break.h"

const std::string kCustomer = "customer";

auto Make() {
#ifdef WRONG_ORDER
  using Key = std::string;
#else
  using Key = std::string_view;
#endif
  return holdfast::KeyedCircuitBreakOptions{
      .key = [](const holdfast::Call&) -> Key { return kCustomer; }};
}
