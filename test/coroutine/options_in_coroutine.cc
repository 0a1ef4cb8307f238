// What is said in braces within a co_await expression arrives, and ends once: g++ 12 copies the
// members of such an aggregate bit by bit, and destroys original and copy.
#include <coroutine>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>

#include "holdfast/base/time.h"
#include "holdfast/call/call.h"

namespace {

using holdfast::CallOptions;
using holdfast::TimePoint;
using holdfast::WaitOptions;

int failures = 0;

void Check(bool good, const char* what) {
  if (good) return;
  ++failures;
  std::cerr << "failed: " << what << '\n';
}

// Runs until its first co_await, and on when it is told to.
struct Coroutine {
  struct promise_type {
    Coroutine get_return_object() {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_never initial_suspend() { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };

  std::coroutine_handle<promise_type> handle;
};

// As a call does, starts with the options and completes with what became of them, later.
struct Started {
  static bool await_ready() { return false; }
  void await_suspend(std::coroutine_handle<>) const {}
  bool await_resume() const { return kept.stop.stop_requested(); }
  CallOptions kept;
};
struct Ask {
  static Started With(const CallOptions& options, int = 0) { return {options}; }
  static Started WithCopy(CallOptions options) { return {std::move(options)}; }
  // In a co_await's expression, but over when it suspends.
  static Started Wait(const WaitOptions& options) { return {{.stop = options.stop}}; }
};

Coroutine Caller(const std::stop_source& source, bool stopped) {
  const std::stop_token token = source.get_token();
  bool told = co_await Ask::With({.stop = token}, 1);
  Check(told == stopped, "a token");
  told = co_await Ask::With({.stop = source.get_token()});
  Check(told == stopped, "a temporary token");
  told = co_await Ask::With({.deadline = TimePoint(), .stop = token, .key = "key"}, 1);
  Check(told == stopped, "a token among others");
  told = co_await Ask::With(CallOptions{.stop = token});
  Check(told == stopped, "a token in a named type");
  told = co_await Ask::WithCopy({.stop = source.get_token()});
  Check(told == stopped, "a token that is copied");
  told = co_await Ask::Wait({.stop = source.get_token()});
  Check(told == stopped, "a token to wait with");
  told = co_await Ask::With({});
  Check(!told, "no token");
  const CallOptions options{.stop = source.get_token()};
  told = co_await Ask::With(options);
  Check(told == stopped, "a token in a variable");
  told = stopped ? co_await Ask::With({.stop = token}) : co_await Ask::With({.stop = {}});
  Check(told == stopped, "one of two");
}

void Run(bool stopped) {
  for (int i = 0; i < 50; ++i) {
    std::optional<std::stop_source> source(std::in_place);
    if (stopped) source->request_stop();
    const std::stop_token token = source->get_token();
    const Coroutine caller = Caller(*source, stopped);
    while (!caller.handle.done()) {
      // Memory that was given up too early is somebody else's, and has all bits set.
      const auto other = std::make_unique<unsigned long[]>(5);
      for (int word = 0; word < 5; ++word) other[word] = ~0UL;
      caller.handle.resume();
    }
    caller.handle.destroy();
    Check(token.stop_requested() == stopped && token.stop_possible(), "the token after it");
    source.reset();
    Check(token.stop_possible() == stopped, "the last of its source");
  }
}

}  // namespace

int main() {
  Run(false);
  Run(true);
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
