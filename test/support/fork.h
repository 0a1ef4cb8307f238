#ifndef HOLDFAST_TEST_SUPPORT_FORK_H_
#define HOLDFAST_TEST_SUPPORT_FORK_H_

#include <poll.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <string>
#include <utility>

namespace holdfast::test {

// ThreadSanitizer lets no child of a process with threads start one.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool kCanFork = false;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool kCanFork = false;
#else
inline constexpr bool kCanFork = true;
#endif
#else
inline constexpr bool kCanFork = true;
#endif

// A child of fork() that says something and ends, without the ends of anything else.
class Child {
 public:
  template <class F>
  explicit Child(const F& says) {
    std::array<int, 2> ends = {};
    if (::pipe(ends.data()) != 0) std::abort();
    child_ = ::fork();
    if (child_ == 0) {
      std::string text;
      try {
        text = says();
      } catch (...) {
        text = "it threw";
      }
      const bool wrote = ::write(ends[1], text.data(), text.size()) >= 0;
      ::_exit(wrote ? 0 : 1);
    }
    ::close(ends[1]);
    out_ = ends[0];
  }
  Child(Child&& other) noexcept
      : child_(std::exchange(other.child_, -1)), out_(std::exchange(other.out_, -1)) {}
  Child(const Child&) = delete;
  ~Child() {
    if (child_ > 0) (void)Says();
  }

  // What it said; one that is stuck is killed, and "stuck".
  std::string Says() {
    std::string text;
    std::array<char, 4096> buffer;
    for (;;) {
      pollfd readable = {.fd = out_, .events = POLLIN, .revents = 0};
      if (::poll(&readable, 1, kPatience) <= 0) {
        text = "stuck";
        break;
      }
      const ssize_t size = ::read(out_, buffer.data(), buffer.size());
      if (size <= 0) break;
      text.append(buffer.data(), static_cast<std::size_t>(size));
    }
    if (text == "stuck") ::kill(child_, SIGKILL);
    ::waitpid(std::exchange(child_, -1), &status_, 0);
    ::close(out_);
    return text;
  }

  // 0 where it ended well; once it has said what it had to.
  int ExitStatus() {
    if (child_ > 0) (void)Says();
    return status_;
  }

 private:
  static constexpr int kPatience = 30'000;  // ms; never needed but by a defect

  pid_t child_ = -1;
  int out_ = -1;
  int status_ = -1;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_SUPPORT_FORK_H_
