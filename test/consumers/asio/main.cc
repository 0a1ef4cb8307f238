#include <holdfast/asio.h>

#include <chrono>

namespace net = holdfast::net;

net::awaitable<void> Sleep() {
  net::steady_timer timer(co_await net::this_coro::executor, std::chrono::milliseconds(1));
  co_await timer.async_wait(net::use_awaitable);
}

int main() {
  net::io_context context;
  bool failed = true;
  net::co_spawn(context, Sleep(),
                [&failed](const std::exception_ptr& thrown) { failed = thrown != nullptr; });
  context.run();
  return failed ? 1 : 0;
}
