// refused: what an AnyAsyncExecutor<R(Args...)> holds completes with what converts to R
#include "holdfast/asio/any_async_executor.h"

namespace net = holdfast::net;

void Hold(net::io_context& io) {
  const auto ask = holdfast::Stack().AroundAsync(
      [](int) -> net::awaitable<absl::StatusOr<int>> { co_return 1; }, io);
#ifdef WRONG_ORDER
  const holdfast::AnyAsyncExecutor<absl::Status(int)> any = ask;
#else
  const holdfast::AnyAsyncExecutor<absl::StatusOr<int>(int)> any = ask;
#endif
}
