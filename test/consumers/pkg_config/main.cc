#include <holdfast/http.h>
#include <holdfast/testing.h>
#include <holdfast/version.h>

#include <string_view>

int main(int, char** argv) {
  holdfast::testing::FakeClock clock;
  const auto call = holdfast::Stack(holdfast::Retry({.max_attempts = 2}))
                        .Around(holdfast::http::Transport("no origin"), &clock);
  const bool refused = absl::IsInvalidArgument(call(holdfast::http::Request()).status());
  return refused && argv[1] == std::string_view(HOLDFAST_VERSION) ? 0 : 1;  // as pkg-config has it
}
