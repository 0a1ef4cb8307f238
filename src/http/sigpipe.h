// Keeps a write to a connection that is gone from raising SIGPIPE, whose default kills the process.
#ifndef HOLDFAST_SRC_HTTP_SIGPIPE_H_
#define HOLDFAST_SRC_HTTP_SIGPIPE_H_

#include <csignal>

namespace holdfast::http::internal {

// Neither cpp-httplib's client nor OpenSSL asks for MSG_NOSIGNAL, a write that is interrupted
// raises it too, and a library may not change what a program does about a signal. So it is blocked
// in this thread while the guard lives, and one that came meanwhile is taken away; a write then
// fails with EPIPE. As the signal goes to the thread that wrote, nobody else's is touched.
class SigpipeGuard {
 public:
  SigpipeGuard();
  SigpipeGuard(const SigpipeGuard&) = delete;
  SigpipeGuard& operator=(const SigpipeGuard&) = delete;
  ~SigpipeGuard();

  // No write has failed, so that there is none to take away: one system call less.
  void NoneCame() { none_came_ = true; }

 private:
  sigset_t before_;
  bool was_pending_ = false;  // only possible where it was blocked before
  bool none_came_ = false;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_SIGPIPE_H_
