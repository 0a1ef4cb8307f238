#include <holdfast/http.h>
#include <holdfast/testing.h>

#include <chrono>

using namespace std::chrono_literals;

int main() {
  holdfast::testing::FakeClock clock;
  const holdfast::http::Transport nobody("no origin");
  const auto get = holdfast::Stack(holdfast::Timeout(1s), holdfast::Retry({.max_attempts = 2}),
                                   holdfast::CircuitBreak({}))
                       .Around(nobody, &clock);
  const holdfast::http::Request request;
  return absl::IsInvalidArgument(get(request).status()) ? 0 : 1;
}
