#include <holdfast/holdfast.h>

static_assert(__cplusplus > 202002L, "the parent's own standard holds");

int main() {
  auto call =
      holdfast::Stack(holdfast::Retry({.max_attempts = 2})).Around([] { return absl::OkStatus(); });
  return call().ok() ? 0 : 1;
}
