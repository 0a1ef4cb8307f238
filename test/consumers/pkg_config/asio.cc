#include <holdfast/asio.h>

int main() {
  holdfast::net::io_context context;
  bool done = false;
  holdfast::Stack(holdfast::Retry({}))
      .AroundAsync([]() -> holdfast::net::awaitable<absl::Status> { co_return absl::OkStatus(); },
                   context)([&done](const absl::Status& status) { done = status.ok(); });
  context.run();
  return done ? 0 : 1;
}
