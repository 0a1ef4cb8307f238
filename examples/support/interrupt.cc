#include "examples/support/interrupt.h"

#include <unistd.h>

#include <ctime>

namespace support {

Interrupt::Interrupt() {
  sigemptyset(&signals_);
  sigaddset(&signals_, SIGINT);
  sigaddset(&signals_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  listener_ = std::jthread([this](const std::stop_token& end) {
    // A wait for a signal knows no stop token, so it looks up ten times a second.
    constexpr timespec kTick = {.tv_sec = 0, .tv_nsec = 100'000'000};
    while (!end.stop_requested()) {
      if (sigtimedwait(&signals_, nullptr, &kTick) < 0) continue;
      if (!stop_.request_stop()) _exit(130);
    }
  });
}

}  // namespace support
