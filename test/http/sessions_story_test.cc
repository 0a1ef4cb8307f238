// A server admits five sessions per account and answers 401 beyond. A client that was made anew for
// each request, and closed late or never, filled its table until every other client was locked out.
#include <absl/status/statusor.h>
#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "holdfast/http.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::http::sessions_story_test {
namespace {

using test::FaultServer;
using test::InThreads;
using test::kHello;
using test::MakeRequest;
using test::Peer;

constexpr int kSessions = 5;
constexpr int kThreads = 16;
constexpr int kEach = 20;

constexpr const char* kUnauthorized = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";
constexpr const char* kLastHello =
    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";

// A session is a connection: it is the account's of its first request, and ends with it. Whose
// session was not admitted is told so for as long as it asks.
class SessionServer {
 public:
  // Closes a session after so many answers.
  explicit SessionServer(int answers_each) : answers_each_(answers_each) {}

  std::string Host() const { return server_.Host(); }
  int refused() const { return refused_; }  // answers
  int most_open() {
    const std::lock_guard lock(mutex_);
    return most_open_;
  }

 private:
  static std::string AccountOf(const std::string& message) {
    const std::string name = "Account: ";
    const std::size_t from = message.find(name) + name.size();
    return message.substr(from, message.find("\r\n", from) - from);
  }

  bool Open(const std::string& account) {
    const std::lock_guard lock(mutex_);
    int& open = open_[account];
    if (open == kSessions) return false;
    most_open_ = std::max(most_open_, ++open);
    return true;
  }

  void Close(const std::string& account) {
    const std::lock_guard lock(mutex_);
    --open_[account];
  }

  void Serve(const Peer& peer) {
    std::string message = peer.ReadMessage();
    if (message.empty()) return;
    const std::string account = AccountOf(message);
    const bool admitted = Open(account);
    for (int answers = 1; !message.empty(); message = peer.ReadMessage(), ++answers) {
      if (!admitted) ++refused_;
      const bool last = answers == answers_each_;
      // Over before the client can know it.
      if (last && admitted) Close(account);
      peer.Write(!admitted ? kUnauthorized : last ? kLastHello : kHello);
      if (last) return;
    }
    if (admitted) Close(account);
  }

  const int answers_each_;
  std::atomic<int> refused_ = 0;
  std::mutex mutex_;
  std::map<std::string, int> open_;
  int most_open_ = 0;
  FaultServer server_{[this](const Peer& peer) { Serve(peer); }};
};

httplib::Request RequestOf(const std::string& account) {
  httplib::Request request = MakeRequest("GET", "/");
  request.set_header("Account", account);
  return request;
}

struct Answers {
  int ok = 0;
  int unauthorized = 0;
  int failed = 0;

  void Add(int status) { ++(status == 200 ? ok : status == 401 ? unauthorized : failed); }
  friend Answers operator+(Answers a, const Answers& b) {
    a.ok += b.ok;
    a.unauthorized += b.unauthorized;
    a.failed += b.failed;
    return a;
  }
};

// All of the threads' together.
template <class Ask>
Answers AskFromThreads(const Ask& ask) {
  std::vector<Answers> answers(kThreads);
  InThreads(kThreads, [&](int i) {
    for (int n = 0; n < kEach; ++n) answers[static_cast<std::size_t>(i)].Add(ask(i));
  });
  return std::reduce(answers.begin(), answers.end());
}

int StatusOf(const absl::StatusOr<httplib::Response>& response) {
  return response.ok() ? response->status : -1;
}

TEST_CASE("a client made for each request fills a server's table of sessions") {
  SessionServer server(1'000'000);
  // Not closed, by a program that forgets to, or whose garbage collector has no reason to hurry.
  std::vector<std::vector<std::unique_ptr<httplib::Client>>> kept(kThreads);
  const Answers answers = AskFromThreads([&](int i) {
    auto client = std::make_unique<httplib::Client>("http://" + server.Host());
    client->set_keep_alive(true);
    const auto result = client->send(RequestOf("orders"));
    kept[static_cast<std::size_t>(i)].push_back(std::move(client));
    return result ? result->status : -1;
  });
  CHECK(answers.failed == 0);
  CHECK(answers.ok == kSessions);
  CHECK(answers.unauthorized == kThreads * kEach - kSessions);

  // Nobody else of that account gets in, whatever it does, until the program ends.
  const std::string origin = "http://" + server.Host();
  CHECK(StatusOf(Transport(origin, {.max_connections = 1})(RequestOf("orders"))) == 401);
  CHECK(StatusOf(Transport(origin)(RequestOf("quotes"))) == 200);
}

TEST_CASE("a transport that all threads share stays within a server's table of sessions") {
  const int answers_each = GENERATE(1'000'000, 7, 1);
  CAPTURE(answers_each);
  SessionServer server(answers_each);
  const Transport transport("http://" + server.Host(), {.max_connections = kSessions});
  const httplib::Request request = RequestOf("orders");
  const Answers answers = AskFromThreads([&](int) { return StatusOf(transport(request)); });
  CHECK(answers.ok == kThreads * kEach);
  CHECK(server.refused() == 0);
  CHECK(server.most_open() <= kSessions);
}

TEST_CASE("a transport leaves the sessions that it was not given to others") {
  SessionServer server(1'000'000);
  const Transport neighbor("http://" + server.Host(), {.max_connections = 1});
  const Transport transport("http://" + server.Host(), {.max_connections = kSessions - 1});
  const httplib::Request request = RequestOf("orders");
  const Answers answers = AskFromThreads(
      [&](int i) { return StatusOf(i == 0 ? neighbor(request) : transport(request)); });
  CHECK(answers.ok == kThreads * kEach);
  CHECK(StatusOf(neighbor(request)) == 200);
  CHECK(server.refused() == 0);
}

}  // namespace
}  // namespace holdfast::http::sessions_story_test
