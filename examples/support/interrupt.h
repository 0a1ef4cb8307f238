// Ctrl-C as a stop token.
#ifndef HOLDFAST_EXAMPLES_SUPPORT_INTERRUPT_H_
#define HOLDFAST_EXAMPLES_SUPPORT_INTERRUPT_H_

#include <signal.h>

#include <stop_token>
#include <thread>

namespace support {

// Turns the first SIGINT or SIGTERM into a stop request; a second one ends the program on the spot.
// Make it before any other thread: it blocks the two signals, which threads inherit, and takes them
// in a thread of its own, where anything may be called.
class Interrupt {
 public:
  Interrupt();

  std::stop_token token() const { return stop_.get_token(); }

 private:
  sigset_t signals_;
  std::stop_source stop_;
  std::jthread listener_;
};

}  // namespace support

#endif  // HOLDFAST_EXAMPLES_SUPPORT_INTERRUPT_H_
