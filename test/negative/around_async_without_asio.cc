// refused: AroundAsync needs the asynchronous driver: include holdfast/asio.h
#include "holdfast/stack/stack.h"
#include "holdfast/timeout/timeout.h"

void Make() {
  const holdfast::Stack stack(holdfast::Timeout(std::chrono::seconds(1)));
  const auto executor = [](int) { return absl::OkStatus(); };
#ifdef WRONG_ORDER
  stack.AroundAsync(executor);
#else
  stack.Around(executor);
#endif
}
