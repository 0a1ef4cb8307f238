// How the library starts a thread of its own.
#ifndef HOLDFAST_BASE_INTERNAL_THREAD_H_
#define HOLDFAST_BASE_INTERNAL_THREAD_H_

#include <csignal>
#include <thread>
#include <utility>

namespace holdfast::internal {

// While it lives this thread, and so each that it starts, blocks all signals but those that an
// instruction of the thread itself raises (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS): the
// kernel ends a process that blocks these without asking its handler, which may write a trace.
class SignalsBlocked {
 public:
  SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked();

 private:
  sigset_t before_;
};

// Runs `body` in a thread of its own, with signals blocked as above: a signal to the process is for
// the threads of the program, which may wait for it. Throws std::system_error where the system has
// no thread.
template <class F>
std::thread StartThread(F&& body) {
  const SignalsBlocked blocked;
  return std::thread(std::forward<F>(body));
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_THREAD_H_
