#include <holdfast/http.h>

int main() {
  const holdfast::http::StandardClient nobody("no origin");
  return absl::IsInvalidArgument(nobody({.target = "/"}).status()) ? 0 : 1;
}
