// refused: what an AnyAsyncExecutor<R(Args...)> holds takes these arguments and a completion token
// (with a Call& between them if it likes), or is a coroutine that takes them
#include "holdfast/asio/any_async_executor.h"

namespace net = holdfast::net;

void Hold(net::io_context& io) {
  const auto ask = [](const char*) -> net::awaitable<absl::Status> { co_return absl::OkStatus(); };
#ifdef WRONG_ORDER
  const holdfast::AnyAsyncExecutor<absl::Status(int)> any(ask, io);
#else
  const holdfast::AnyAsyncExecutor<absl::Status(const char*)> any(ask, io);
#endif
}
