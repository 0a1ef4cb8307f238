#include "src/http/net/resolver.h"

#include <absl/status/status.h>
#include <netdb.h>
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "test/http/descriptors.h"
#include "test/support/catch.h"
#include "test/support/fork.h"
#include "test/support/threads.h"

namespace holdfast::http::internal::resolver_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using holdfast::internal::ReadClock;
using test::ContainsSubstring;
using test::Eventually;

// Lookups that hold until they are let go, and say how often there was one. Answers 127.0.0.1.
class Names {
 public:
  Resolver::LookupFunction function() {
    return [shared = shared_](const std::string& host) { return shared->LookUp(host); };
  }

  // Those of this host hold from now on.
  void Hold(const std::string& host) {
    const std::lock_guard lock(shared_->mutex);
    shared_->held[host] = true;
  }
  void LetGo(const std::string& host) {
    const std::lock_guard lock(shared_->mutex);
    shared_->held[host] = false;
    shared_->bell.notify_all();
  }
  int begun(const std::string& host) {
    const std::lock_guard lock(shared_->mutex);
    return shared_->begun[host];
  }
  void AwaitBegun(const std::string& host, int n = 1) {
    std::unique_lock lock(shared_->mutex);
    shared_->bell.wait(lock, [&] { return shared_->begun[host] >= n; });
  }
  int running() {
    const std::lock_guard lock(shared_->mutex);
    return shared_->running;
  }

  ~Names() {
    const std::lock_guard lock(shared_->mutex);
    for (auto& [host, held] : shared_->held) held = false;
    shared_->bell.notify_all();
  }

 private:
  // Threads of a resolver may use it for longer than a test lasts.
  struct Shared {
    std::mutex mutex;
    std::condition_variable bell;
    std::map<std::string, bool> held;
    std::map<std::string, int> begun;
    int running = 0;

    LookupResult LookUp(const std::string& host) {
      std::unique_lock lock(mutex);
      ++begun[host];
      ++running;
      bell.notify_all();
      bell.wait(lock, [&] { return !held[host]; });
      --running;
      if (host == "throws") throw std::runtime_error("no");
      if (host == "missing") return LookupErrorStatus(host, EAI_NONAME, 0);
      return std::vector<Address>{*Address::Parse("127.0.0.1", 0)};
    }
  };

  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

const StopSignal kNoStop;

LookupResult Lookup(const Resolver& resolver, const std::string& host,
                    TimePoint deadline = TimePoint::max()) {
  return resolver.Lookup(host, 80, deadline, kNoStop);
}

std::string Said(const LookupResult& result) {
  if (!result.ok()) return std::string(result.status().message());
  std::string text;
  for (const Address& address : *result) text += address.ToString() + " ";
  return text;
}

TEST_CASE("a name is looked up in a thread, and the next one in the same") {
  Names names;
  const Resolver resolver({.lookup = names.function()});
  CHECK(resolver.threads() == 0);
  CHECK(Said(Lookup(resolver, "a")) == "127.0.0.1:80 ");
  CHECK(Said(resolver.Lookup("A", 8080, TimePoint::max(), kNoStop)) == "127.0.0.1:8080 ");
  CHECK(names.begun("a") == 2);
  CHECK(resolver.threads() <= 2);  // the first may not have been idle yet
}

TEST_CASE("a literal is not looked up") {
  Names names;
  const Resolver resolver({.lookup = names.function()});
  CHECK(Said(Lookup(resolver, "192.0.2.1")) == "192.0.2.1:80 ");
  CHECK(Said(Lookup(resolver, "::1")) == "[::1]:80 ");
  CHECK(resolver.threads() == 0);
}

TEST_CASE("what can be no host is refused") {
  Names names;
  const Resolver resolver({.lookup = names.function()});
  const auto code = [&](const std::string& host, int port = 80) {
    return resolver.Lookup(host, port, TimePoint::max(), kNoStop).status().code();
  };
  CHECK(code("") == absl::StatusCode::kInvalidArgument);
  CHECK(code(std::string("a\0b", 3)) == absl::StatusCode::kInvalidArgument);
  CHECK(code(std::string(255, 'a')) == absl::StatusCode::kInvalidArgument);
  CHECK(code("::zz") == absl::StatusCode::kInvalidArgument);
  CHECK(code("::1", 65536) == absl::StatusCode::kInvalidArgument);
  CHECK(code("a", -1) == absl::StatusCode::kInvalidArgument);
  CHECK(code("fe80::1%nosuchlink") == absl::StatusCode::kUnavailable);
  CHECK(code(std::string(254, 'a')) == absl::StatusCode::kOk);
  CHECK(resolver.threads() <= 1);
}

TEST_CASE("an error of the lookup is what it said, and an exception is an error") {
  Names names;
  const Resolver resolver({.lookup = names.function()});
  CHECK(Said(Lookup(resolver, "missing")) ==
        "missing: the host was not found: Name or service not known");
  CHECK_THAT(Said(Lookup(resolver, "throws")), ContainsSubstring("threw"));
  CHECK(Said(Lookup(resolver, "a")) == "127.0.0.1:80 ");
}

TEST_CASE("those who ask for one host at once share a lookup") {
  Names names;
  names.Hold("a");
  const Resolver resolver({.lookup = names.function()});
  std::atomic<int> answered = 0;
  const auto callback = [&](const LookupResult& result) { answered += result.ok() ? 1 : 100; };
  std::vector<Resolver::Handle> handles;
  for (int i = 0; i < 20; ++i) handles.push_back(resolver.Start(i % 2 ? "a" : "A", 80, callback));
  names.AwaitBegun("a");
  for (int i = 0; i < 20; ++i) handles.push_back(resolver.Start("a", 80, callback));
  names.LetGo("a");
  CHECK(Eventually([&] { return answered == 40; }));
  CHECK(names.begun("a") == 1);
}

TEST_CASE("a call leaves at its deadline, and its lookup goes on for others") {
  Names names;
  names.Hold("a");
  const Resolver resolver({.lookup = names.function()});
  const auto result = Lookup(resolver, "a", ReadClock(nullptr) + 10ms);
  CHECK(result.status().code() == absl::StatusCode::kUnavailable);
  CHECK(Said(result) == "a: the name was not resolved in time");
  names.AwaitBegun("a");
  std::atomic<bool> answered = false;
  const auto joined = resolver.Start("a", 80, [&](const LookupResult&) { answered = true; });
  names.LetGo("a");
  CHECK(Eventually([&] { return answered.load(); }));
  CHECK(names.begun("a") == 1);
}

TEST_CASE("a call leaves when it is stopped") {
  Names names;
  names.Hold("a");
  const Resolver resolver({.lookup = names.function()});
  std::stop_source source;
  const StopSignal stop(source.get_token());
  std::jthread stopper([&] {
    names.AwaitBegun("a");
    source.request_stop();
  });
  const auto result = resolver.Lookup("a", 80, TimePoint::max(), stop);
  CHECK(result.status().code() == absl::StatusCode::kCancelled);
  stopper.join();
  // And one that was stopped before does not begin to wait.
  CHECK(resolver.Lookup("b", 80, TimePoint::max(), stop).status().code() ==
        absl::StatusCode::kCancelled);
}

TEST_CASE("an abandoned callback neither runs nor will run") {
  for (int i = 0; i < 50; ++i) {
    Names names;
    const Resolver resolver({.lookup = names.function()});
    auto alive = std::make_unique<int>(0);
    {
      const auto handle = resolver.Start("a", 80, [&](const LookupResult&) { ++*alive; });
      if (i % 2 == 1) names.AwaitBegun("a");
    }
    alive.reset();  // the sanitizers see a callback that comes now
    CHECK(Lookup(resolver, "b").ok());
    CHECK(names.begun("a") <= 1);
  }
}

TEST_CASE("a callback may drop its own handle, ask again, and end the resolver") {
  Names names;
  auto resolver = std::make_unique<Resolver>(Resolver::Options{.lookup = names.function()});
  std::mutex mutex;
  Resolver::Handle first;
  Resolver::Handle second;
  std::atomic<bool> over = false;
  {
    const std::lock_guard lock(mutex);
    names.Hold("a");
    first = resolver->Start("a", 80, [&](const LookupResult&) {
      const std::lock_guard inner(mutex);
      first = {};
      second = resolver->Start("b", 80, [&](const LookupResult&) {
        const std::lock_guard innermost(mutex);
        second = {};
        resolver.reset();
        over = true;
      });
    });
    names.LetGo("a");
  }
  CHECK(Eventually([&] { return over.load(); }));
  const std::lock_guard lock(mutex);
  CHECK(resolver == nullptr);
}

TEST_CASE("with every thread stuck a lookup fails at once, and says so") {
  Names names;
  const Resolver resolver({.lookup = names.function(),
                           .limits = {.max_running = 4, .max_queued = 64, .stuck_after = 0s}});
  std::vector<Resolver::Handle> handles;
  std::atomic<int> answered = 0;
  for (const char* const host : {"a", "b", "c", "d"}) {
    names.Hold(host);
    handles.push_back(resolver.Start(host, 80, [&](const LookupResult&) { ++answered; }));
    names.AwaitBegun(host);
  }
  CHECK(resolver.threads() == 4);
  const auto result = Lookup(resolver, "e");
  CHECK(result.status().code() == absl::StatusCode::kUnavailable);
  CHECK(Said(result) ==
        "e: the name was not looked up: all 4 lookups that run have had no answer for 0");
  CHECK(names.begun("e") == 0);
  CHECK(Said(Lookup(resolver, "127.0.0.1")) == "127.0.0.1:80 ");
  names.LetGo("a");
  CHECK(Eventually([&] { return answered == 1; }));
  CHECK(Said(Lookup(resolver, "e")) == "127.0.0.1:80 ");
}

TEST_CASE("with the queue full a lookup fails at once, and who leaves makes room") {
  Names names;
  const Resolver resolver({.lookup = names.function(),
                           .limits = {.max_running = 1, .max_queued = 1, .stuck_after = 1h}});
  names.Hold("a");
  const auto running = resolver.Start("a", 80, [](const LookupResult&) {});
  names.AwaitBegun("a");
  {
    const auto queued = resolver.Start("b", 80, [](const LookupResult&) {});
    const auto result = Lookup(resolver, "c");
    CHECK(result.status().code() == absl::StatusCode::kUnavailable);
    CHECK(Said(result) == "c: the name was not looked up: 1 lookups run and 1 wait");
  }
  std::atomic<bool> answered = false;
  const auto queued = resolver.Start("c", 80, [&](const LookupResult&) { answered = true; });
  names.LetGo("a");
  CHECK(Eventually([&] { return answered.load(); }));
  CHECK(names.begun("b") == 0);
}

TEST_CASE("threads that have nothing to do end, and begin again") {
  Names names;
  const Resolver resolver({.lookup = names.function(), .idle = 1ms});
  for (int i = 0; i < 3; ++i) {
    CHECK(Lookup(resolver, "a").ok());
    CHECK(Eventually([&] { return resolver.threads() == 0; }));
  }
}

TEST_CASE("the threads take no signals from the program") {
  std::atomic<bool> blocked = false;
  const Resolver resolver({.lookup = [&](const std::string&) -> LookupResult {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGPROF) == 1;
    return std::vector<Address>{*Address::Parse("127.0.0.1", 0)};
  }});
  CHECK(Lookup(resolver, "a").ok());
  CHECK(blocked);
}

TEST_CASE("a resolver ends at once while lookups run, and those who wait are told") {
  Names names;
  names.Hold("a");
  std::optional<Resolver> resolver;
  resolver.emplace(Resolver::Options{.lookup = names.function(), .limits = {.max_running = 1}});
  std::vector<absl::StatusCode> codes;
  const auto keep = [&](const LookupResult& result) { codes.push_back(result.status().code()); };
  const auto running = resolver->Start("a", 80, keep);
  names.AwaitBegun("a");
  const auto queued = resolver->Start("b", 80, keep);
  resolver.reset();
  CHECK(codes == std::vector(2, absl::StatusCode::kCancelled));
  CHECK(names.running() == 1);
  names.LetGo("a");
  CHECK(Eventually([&] { return names.running() == 0; }));
  CHECK(names.begun("b") == 0);
}

TEST_CASE("a child of fork begins anew while its parent's lookups hang") {
  if (!test::kCanFork) return;
  Names names;
  const Resolver resolver({.lookup =
                               [inner = names.function()](const std::string& host) {
                                 return host == "b"
                                            ? std::vector<Address>{*Address::Parse("127.0.0.2", 0)}
                                            : inner(host);
                               },
                           .limits = {.max_running = 1, .max_queued = 1, .stuck_after = 0s}});
  names.Hold("a");
  std::atomic<bool> answered = false;
  auto handle = resolver.Start("a", 80, [&](const LookupResult&) { answered = true; });
  names.AwaitBegun("a");
  CHECK_FALSE(Lookup(resolver, "b").ok());
  std::vector<test::Child> children;
  for (int i = 0; i < 4; ++i) {
    children.emplace_back([&]() -> std::string {
      if (i % 2 == 0) handle = {};
      if (resolver.threads() != 0) return "it has threads";
      return Said(Lookup(resolver, "b"));
    });
  }
  for (test::Child& child : children) CHECK(child.Says() == "127.0.0.2:80 ");
  CHECK_FALSE(answered);
  names.LetGo("a");
  CHECK(Eventually([&] { return answered.load(); }));
}

TEST_CASE("forks in the middle of lookups lose none on either side") {
  if (!test::kCanFork) return;
  const Resolver resolver({.lookup = [](const std::string&) -> LookupResult {
    return std::vector<Address>{*Address::Parse("127.0.0.1", 0)};
  }});
  std::atomic<bool> over = false;
  std::atomic<int> wrong = 0;
  std::vector<std::jthread> threads;
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, host = std::to_string(i)] {
      while (!over) wrong += Lookup(resolver, host).ok() ? 0 : 1;
    });
  }
  for (int i = 0; i < 20; ++i) {
    test::Child child([&] { return Said(Lookup(resolver, "child")); });
    CHECK(child.Says() == "127.0.0.1:80 ");
  }
  over = true;
  threads.clear();
  CHECK(wrong == 0);
}

TEST_CASE("many threads share a resolver, and leave when they like") {
  std::atomic<int> lookups = 0;
  std::atomic<int> most = 0;
  std::atomic<int> running = 0;
  Resolver resolver({.lookup = [&](const std::string&) -> LookupResult {
                       const int now = ++running;
                       for (int seen = most;
                            now > seen && !most.compare_exchange_weak(seen, now);) {
                       }
                       ++lookups;
                       std::this_thread::yield();
                       --running;
                       return std::vector<Address>{*Address::Parse("127.0.0.1", 0)};
                     },
                     .idle = 1us});
  std::atomic<int> wrong = 0;
  test::InThreads(8, [&](int thread) {
    for (int i = 0; i < 200; ++i) {
      const std::string host = "host" + std::to_string((thread + i) % 10);
      if (i % 4 == 0) {
        const auto handle = resolver.Start(host, 80, [](const LookupResult&) {});
      } else if (i % 4 == 1) {
        (void)Lookup(resolver, host, ReadClock(nullptr));
      } else {
        wrong += Lookup(resolver, host).ok() ? 0 : 1;
      }
    }
  });
  CHECK(wrong == 0);
  CHECK(most <= 4);
  CHECK(lookups > 0);
  // The lookup uses what is local here.
  CHECK(Eventually([&] { return resolver.threads() == 0; }));
}

TEST_CASE("the system knows localhost, and says of an impossible name that it was not found") {
  const auto local = SystemLookup("localhost");
  REQUIRE(local.ok());
  CHECK_FALSE(local->empty());
  for (const Address& address : *local) {
    CHECK((address == Address::Parse("127.0.0.1", 0) || address == Address::Parse("::1", 0)));
  }
  CHECK(Lookup(Resolver::OfProcess(), "localhost").ok());
  // Refused by the C library itself: no label has more than 63 bytes.
  const auto none = SystemLookup(std::string(100, 'a') + ".invalid");
  CHECK(none.status().code() == absl::StatusCode::kUnavailable);
}

TEST_CASE("the reasons why a name can't be resolved are told apart") {
  const auto said = [](int error, int system_error = 0) {
    return LookupErrorStatus("a", error, system_error).ToString();
  };
  CHECK(said(EAI_NONAME) == "UNAVAILABLE: a: the host was not found: Name or service not known");
  CHECK(said(EAI_AGAIN) ==
        "UNAVAILABLE: a: the name can't be resolved at the moment: Temporary failure in name "
        "resolution");
  CHECK(said(EAI_FAIL) ==
        "UNAVAILABLE: a: the name can't be resolved: Non-recoverable failure in name resolution");
  CHECK(said(EAI_SYSTEM, EIO) == "UNAVAILABLE: a: the name can't be resolved: Input/output error");
  CHECK(said(EAI_SYSTEM, EMFILE) ==
        "RESOURCE_EXHAUSTED: a: this side can't resolve another name: Too many open files");
  CHECK_THAT(said(EAI_MEMORY), ContainsSubstring("RESOURCE_EXHAUSTED"));
}

}  // namespace
}  // namespace holdfast::http::internal::resolver_test
