#include <absl/status/status.h>
#include <httplib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <ctime>
#include <string>
#include <thread>

#include "holdfast/http.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

// What a program does with signals is its own affair.

namespace holdfast::http::signals_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using std::chrono::steady_clock;
using test::FaultServer;
using test::kHello;
using test::MakeRequest;
using test::Peer;

std::atomic<int> handled = 0;

void Handle(int) { handled.fetch_add(1, std::memory_order_relaxed); }

// `signal` interrupts what it finds waiting.
class Handler {
 public:
  explicit Handler(int signal) : signal_(signal) {
    struct sigaction action = {};
    action.sa_handler = &Handle;
    sigaction(signal_, &action, &before_);
    handled = 0;
  }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  ~Handler() { sigaction(signal_, &before_, nullptr); }

 private:
  int signal_;
  struct sigaction before_ = {};
};

sigset_t Only(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  return set;
}

TEST_CASE("a signal that a program waits for comes to it, though calls with a deadline were made") {
  const Handler handler(SIGUSR1);
  const sigset_t usr1 = Only(SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &usr1, nullptr);  // also in the server's threads
  FaultServer server([](const Peer& peer) {
    while (peer.ReadRequest() && peer.Write(kHello)) {
    }
  });
  pthread_sigmask(SIG_UNBLOCK, &usr1, nullptr);
  const Transport transport("http://" + server.Host());
  // Its thread starts while the signal is not blocked here.
  REQUIRE(Stack(Timeout(10s)).Around(transport)(MakeRequest("GET", "/")).ok());

  pthread_sigmask(SIG_BLOCK, &usr1, nullptr);
  ::kill(::getpid(), SIGUSR1);
  const timespec patience = {.tv_sec = 10, .tv_nsec = 0};
  CHECK(sigtimedwait(&usr1, nullptr, &patience) == SIGUSR1);
  CHECK(handled == 0);
  pthread_sigmask(SIG_UNBLOCK, &usr1, nullptr);
}

// A signal each so many microseconds, to this thread: only it does not block SIGALRM.
class Storm {
 public:
  explicit Storm(suseconds_t interval = 1'000) { Every(interval); }
  Storm(const Storm&) = delete;
  Storm& operator=(const Storm&) = delete;
  ~Storm() { Every(0); }

 private:
  static void Every(suseconds_t microseconds) {
    const timeval interval = {.tv_sec = 0, .tv_usec = microseconds};
    const itimerval timer = {.it_interval = interval, .it_value = interval};
    setitimer(ITIMER_REAL, &timer, nullptr);
  }

  Handler handler_{SIGALRM};
};

// How long it takes, with a server that never answers, in a storm.
struct Ended {
  absl::Status status;
  Duration took;
};
Ended AskInStorm(const Transport& transport, Duration timeout) {
  const auto fetch = Stack(Timeout(timeout)).Around(transport);
  const Storm storm;
  const auto start = steady_clock::now();
  absl::Status status = fetch(MakeRequest("GET", "/")).status();
  return {std::move(status), steady_clock::now() - start};
}

// What must never be waited for; far more than any of the limits, and than a loaded machine adds.
constexpr Duration kNever = 20s;

TEST_CASE("a storm of signals does not put off a deadline") {
  const sigset_t alarm = Only(SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
  FaultServer server([](const Peer& peer) { peer.ReadAll(); });
  const test::BlackHole hole;
  pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr);
  const bool connects = GENERATE(true, false);
  CAPTURE(connects);
  const Transport transport("http://" + (connects ? server.Host() : hole.Host()),
                            {.connect_timeout = 30s, .read_timeout = 30s});
  const Ended ended = AskInStorm(transport, 100ms);
  CHECK(handled > 10);
  CHECK(ended.status.code() == absl::StatusCode::kDeadlineExceeded);
  CHECK(ended.took >= 100ms);
  CHECK(ended.took < kNever);
}

// Takes its time for every tenth request: to read the body, and to write its own.
void ServeSlowly(const Peer& peer) {
  for (int i = 0; peer.ReadRequest(); ++i) {
    const bool slow = i % 10 == 0;
    std::string body(slow ? 300'000 : 5, '\0');
    if (slow) std::this_thread::sleep_for(10ms);  // so that the client waits to write
    if (::recv(peer.fd(), body.data(), body.size(), MSG_WAITALL) !=
        static_cast<ssize_t>(body.size())) {
      return;
    }
    if (!(slow ? peer.Drip(kHello.substr(0, 10), 2ms) && peer.Write(kHello.substr(10))
               : peer.Write(kHello))) {
      return;
    }
  }
}

TEST_CASE("a profiler's signals interrupt no exchange") {
  const sigset_t alarm = Only(SIGALRM);
  pthread_sigmask(SIG_BLOCK, &alarm, nullptr);
  FaultServer server(&ServeSlowly);
  pthread_sigmask(SIG_UNBLOCK, &alarm, nullptr);
  const Transport transport("http://" + server.Host(), {.total_timeout = 60s});
  {
    const Storm profiler(10'000);
    for (int i = 0; i < 300; ++i) {
      const Request request = {.method = "POST",
                               .body = std::string(i % 10 == 0 ? 300'000 : 5, 'x')};
      const auto response = transport(request);
      CAPTURE(i, response.status().ToString());
      REQUIRE(response.ok());
      CHECK(response->body == "hello");
    }
  }
  CHECK(handled > 10);
  CHECK(transport.stats().opened == 1);
}

TEST_CASE("a storm of signals does not put off what a policy waits for") {
  const Handler handler(SIGALRM);
  const Storm storm;
  const auto start = steady_clock::now();
  int calls = 0;
  const auto fail = [&calls] {
    ++calls;
    return absl::UnavailableError("down");
  };
  (void)Stack(Retry({.max_attempts = 2, .backoff = Backoff::Constant(50ms)})).Around(fail)();
  CHECK(calls == 2);
  CHECK(steady_clock::now() - start >= 50ms);
  CHECK(steady_clock::now() - start < kNever);
}

}  // namespace
}  // namespace holdfast::http::signals_test
