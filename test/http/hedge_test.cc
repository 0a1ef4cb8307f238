// What a hedged request is to a real server. Time is a fake clock's, but for the network.
#include "holdfast/hedge/hedge.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/http.h"
#include "holdfast/testing/fake_clock.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

namespace holdfast::http::hedge_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::MakeRequest;
using testing::FakeClock;

// A server that answers when it is told to; it has read the request then.
struct Service {
  Service() {
    const auto answer = [this](const httplib::Request& request, httplib::Response& response) {
      gate.wait();
      response.set_content(request.body, "text/plain");
    };
    server.Get("/", answer);
    server.Post("/", answer);
    server.Patch("/", answer);
    server.Delete("/", answer);
    server.Put("/", [this](const httplib::Request&, httplib::Response& response,
                           const httplib::ContentReader& read) {
      std::string body;
      read([&](const char* data, std::size_t size) {
        body.append(data, size);
        return true;
      });
      {
        const std::lock_guard lock(mutex);
        bodies.push_back(body);
      }
      gate.wait();
      response.set_content(body, "text/plain");
    });
    // The first piece comes at once, the second when it is told to.
    server.Get("/pieces", [this](const httplib::Request&, httplib::Response& response) {
      response.set_content_provider(
          6, "text/plain", [this](std::size_t offset, std::size_t, httplib::DataSink& sink) {
            if (offset != 0) gate.wait();
            return sink.write(offset == 0 ? "one" : "two", 3);
          });
    });
    server.Start();
  }
  ~Service() { Open(); }

  void Open() {
    if (!std::exchange(open, true)) told.set_value();
  }

  std::promise<void> told;
  std::shared_future<void> gate = told.get_future().share();
  bool open = false;
  std::mutex mutex;
  std::vector<std::string> bodies;
  test::TestServer server;
};

struct Scene : Service {
  Scene() { clock.set_auto_advance(false); }
  ~Scene() { Open(); }

  // The call runs beside the test, which moves the time on to when a hedge is due, and comes back
  // when that was decided.
  auto Begin(const httplib::Request& request) {
    auto result = std::async(std::launch::async, [this, request] { return fetch(request); });
    clock.AwaitWaiters(1);
    while (server.requests() == 0) std::this_thread::yield();
    clock.Advance(10ms);
    clock.AwaitWaiters(1);
    return result;
  }
  bool hedged() const { return budget->balance() == 0; }

  FakeClock clock;
  Transport transport{"http://" + server.Host()};
  std::shared_ptr<ThreadPool> pool = std::make_shared<ThreadPool>(ThreadPool::Options{});
  std::shared_ptr<RetryBudget> budget = std::make_shared<RetryBudget>(
      RetryBudget::Options{.capacity = 1, .per_success = 0, .min_retries_per_second = 0});
  AnyExecutor<absl::StatusOr<httplib::Response>(const httplib::Request&)> fetch =
      Stack(Hedge({.delay = 10ms, .budget = budget, .pool = pool})).Around(transport, &clock);
};

TEST_CASE("a hedged request that is not idempotent reaches the server once", "[hedge]") {
  const std::string method = GENERATE("POST", "PATCH");
  Scene scene;
  auto result = scene.Begin(MakeRequest(method, "/", "order"));
  CHECK_FALSE(scene.hedged());
  scene.Open();
  CHECK(result.get().value().body == "order");
  CHECK(scene.server.requests() == 1);
}

TEST_CASE("a hedged request that is idempotent reaches it twice", "[hedge]") {
  const std::string method = GENERATE("GET", "DELETE", "PUT", "POST with a key");
  Scene scene;
  httplib::Request request = MakeRequest(method.substr(0, method.find(' ')), "/");
  if (method.ends_with("key")) request.set_header("Idempotency-Key", "\"order-7\"");
  auto result = scene.Begin(request);
  CHECK(scene.hedged());
  while (scene.server.requests() < 2) std::this_thread::yield();
  scene.Open();
  CHECK(result.get().value().status == 200);
}

TEST_CASE("a body that streams is sent once, whole and in order", "[hedge]") {
  const bool chunked = GENERATE(false, true);
  Scene scene;
  const std::string body = "0123456789";
  std::atomic<int> begun = 0;
  httplib::Request request = MakeRequest("PUT", "/");
  request.content_provider_ = [&](std::size_t offset, std::size_t, httplib::DataSink& sink) {
    if (offset == 0) ++begun;
    if (offset < body.size()) {
      sink.write(&body[offset], 1);
    } else {
      sink.done();
    }
    return true;
  };
  request.is_chunked_content_provider_ = chunked;
  if (chunked) {
    request.set_header("Transfer-Encoding", "chunked");
  } else {
    request.content_length_ = body.size();
  }
  auto result = scene.Begin(request);
  CHECK_FALSE(scene.hedged());
  scene.Open();
  CHECK(result.get().value().body == body);
  CHECK(scene.bodies == std::vector<std::string>{body});
  CHECK(begun == 1);
  CHECK(scene.server.requests() == 1);
}

// What a content_receiver gets, from which threads, and how much after its call has returned.
struct Receiver {
  httplib::ContentReceiverWithProgress Function() {
    return [this](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
      const std::lock_guard lock(mutex);
      if (returned) ++late;
      got.append(data, size);
      threads.insert(std::this_thread::get_id());
      return true;
    };
  }
  void Return() {
    const std::lock_guard lock(mutex);
    returned = true;
  }
  std::size_t size() {
    const std::lock_guard lock(mutex);
    return got.size();
  }

  std::mutex mutex;
  std::string got;
  std::set<std::thread::id> threads;
  bool returned = false;
  int late = 0;
};

TEST_CASE("a receiver gets one answer, from one thread", "[hedge]") {
  Receiver receiver;
  Scene scene;
  httplib::Request request = MakeRequest("GET", "/pieces");
  request.content_receiver = receiver.Function();
  auto result = scene.Begin(request);
  CHECK_FALSE(scene.hedged());
  scene.Open();
  CHECK(result.get().value().status == 200);
  CHECK(receiver.got == "onetwo");
  CHECK(receiver.threads.size() == 1);
  CHECK(scene.server.requests() == 1);
}

TEST_CASE("a receiver gets nothing once its call has returned", "[hedge]") {
  const bool walks_away = GENERATE(false, true);
  Receiver receiver;
  Scene scene;
  httplib::Request request = MakeRequest("GET", "/pieces");
  request.content_receiver = receiver.Function();
  // One that does not look at its deadline.
  const auto stubborn = [&](const httplib::Request& r) { return scene.transport(r); };
  const auto begin = [&](const auto& stack) {
    return std::async(std::launch::async, [&, fetch = stack.Around(stubborn, &scene.clock)] {
      auto result = fetch(request);
      receiver.Return();
      return result;
    });
  };
  const HedgeOptions hedge{.delay = 10ms, .budget = scene.budget, .pool = scene.pool};
  auto result = walks_away ? begin(Stack(Timeout(20ms, scene.pool)))
                           : begin(Stack(Timeout(20ms), Hedge(hedge)));
  scene.clock.AwaitWaiters(1);
  while (receiver.size() < 3) std::this_thread::yield();
  scene.clock.Advance(20ms);
  scene.Open();
  CHECK(result.get().value().status == 200);
  while (scene.transport.stats().in_use > 0) std::this_thread::yield();
  CHECK(receiver.got == "onetwo");
  CHECK(receiver.late == 0);
  CHECK(scene.server.requests() == 1);
}

}  // namespace
}  // namespace holdfast::http::hedge_test
