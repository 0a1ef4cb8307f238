// A server is started again, and the sixteen connections that a client kept to it are dead.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/http.h"
#include "test/http/fault_server.h"
#include "test/support/catch.h"

namespace holdfast::http::restart_story_test {
namespace {

using test::FaultServer;
using test::kHello;
using test::Peer;

constexpr int kConnections = 16;

// How the connections of before end: when the server is started again, where the client sees it; or
// when a request comes, as where the server's host was started again.
enum class Death : signed char { kAtRestart, kAtRequest };

class RestartedServer {
 public:
  explicit RestartedServer(Death death) : death_(death) {}
  ~RestartedServer() {
    there_ = kConnections;
    there_.notify_all();
    restarted_ = true;
    restarted_.notify_all();
  }

  std::string Url() const { return "http://" + server_.Host(); }
  int accepted() const { return server_.accepted(); }
  std::vector<std::string> messages() const { return recorder_.messages(); }

  // Once all connections are there and idle.
  void Restart() {
    restarted_ = true;
    restarted_.notify_all();
    if (death_ == Death::kAtRestart) server_.WaitForClosed(kConnections);
  }

 private:
  void Serve(const Peer& peer) {
    if (peer.number() > kConnections) {
      for (std::string message = peer.ReadMessage(); !message.empty();
           message = peer.ReadMessage()) {
        recorder_.Add(std::move(message));
        peer.Write(kHello);
      }
      return;
    }
    if (!peer.ReadRequest()) return;
    // Each waits for the others, so that each has a connection of its own.
    ++there_;
    there_.notify_all();
    for (int there = there_; there < kConnections; there = there_) there_.wait(there);
    peer.Write(kHello);
    restarted_.wait(false);
    if (death_ == Death::kAtRestart) return;
    std::string message = peer.ReadMessage();
    if (!message.empty()) recorder_.Add(std::move(message));
    peer.ResetAtEnd();
  }

  const Death death_;
  std::atomic<int> there_ = 0;
  std::atomic<bool> restarted_ = false;
  test::Recorder recorder_;
  FaultServer server_{[this](const Peer& peer) { Serve(peer); }};
};

void Fill(const Transport& transport) {
  std::vector<std::jthread> calls;
  for (int i = 0; i < kConnections; ++i) {
    calls.emplace_back([&] { (void)transport(Request()); });
  }
  calls.clear();
  REQUIRE(transport.stats().idle == kConnections);
}

TEST_CASE(
    "requests of any method are sent once, on a new connection, when a server was restarted") {
  const std::string method = GENERATE("GET", "POST");
  RestartedServer server(Death::kAtRestart);
  const Transport transport(server.Url());
  Fill(transport);
  server.Restart();
  for (int i = 0; i < 2; ++i) CHECK(transport(Request{.method = method}).ok());
  CHECK(server.messages().size() == 2);
  CHECK(server.accepted() == kConnections + 1);
  CHECK(transport.stats().idle == 1);
}

TEST_CASE("where connections die of the request, one that is not idempotent is not sent again") {
  RestartedServer server(Death::kAtRequest);
  const Transport transport(server.Url());
  Fill(transport);
  server.Restart();
  const absl::Status status = transport(Request{.method = "POST", .body = "x"}).status();
  CHECK(TransportErrorOf(status) == TransportError::kOutcomeUnknown);
  CHECK(server.messages().size() == 1);
  CHECK(transport.stats().idle == 0);  // the others are not tried one by one
  CHECK(transport(Request{.method = "POST", .body = "y"}).ok());
  CHECK(transport(Request()).ok());
  CHECK(server.messages().size() == 3);
  CHECK(server.accepted() == kConnections + 1);
}

}  // namespace
}  // namespace holdfast::http::restart_story_test
