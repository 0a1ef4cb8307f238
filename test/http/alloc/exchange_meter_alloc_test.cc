// What measuring an exchange allocates: nothing, once there was one like it.
#include <absl/status/status.h>

#include <cstdint>

#include "holdfast/base/time.h"
#include "src/http/exchange_meter.h"
#include "src/http/origin.h"
#include "test/support/allocations.h"
#include "test/support/catch.h"

namespace holdfast::http::exchange_meter_alloc_test {
namespace {

using internal::ExchangeError;
using internal::ExchangeMeter;
using internal::ExchangeTimer;
using testing::allocations;

void Measure(ExchangeMeter& meter, const absl::StatusOr<Response>& response) {
  ExchangeTimer timer(meter, "GET", TimePoint(), ExchangeError::kException);
  timer.Saw(200, 1);
  timer.End(response);
}

TEST_CASE("an exchange is measured without an allocation, but the first of its kind") {
  ExchangeMeter meter(internal::ParseRoute("http://orders.example", {}));
  const absl::StatusOr<Response> response = Response{.status = 200};
  const std::int64_t before = allocations;
  Measure(meter, response);
  CHECK(allocations == before);  // nobody asked for it
  meter.Time();
  Measure(meter, response);
  const std::int64_t first = allocations;
  CHECK(first > before);
  for (int i = 0; i < 100; ++i) Measure(meter, response);
  CHECK(allocations == first);
}

}  // namespace
}  // namespace holdfast::http::exchange_meter_alloc_test
