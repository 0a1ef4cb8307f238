#include <holdfast/holdfast.h>

int main() {
  auto call =
      holdfast::Stack(holdfast::Retry({.max_attempts = 2})).Around([] { return absl::OkStatus(); });
  return call().ok() ? 0 : 1;
}
