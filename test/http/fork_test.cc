#include "test/support/fork.h"

#include <absl/status/status.h>
#include <fcntl.h>
#include <httplib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/http.h"
#include "test/http/certificate.h"
#include "test/http/descriptors.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
#include "test/http/tls_server.h"
#include "test/support/catch.h"

// A Transport on both sides of a fork().

namespace holdfast::http::fork_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::Child;
using test::FaultServer;
using test::MakeRequest;
using test::OpenDescriptors;
using test::Peer;
using test::TestServer;

// Answers with the path that was asked for.
template <class Server>
void Echo(Server& server) {
  server.Get(".*", [](const httplib::Request& request, httplib::Response& response) {
    response.set_content(request.path, "text/plain");
  });
  server.set_keep_alive_timeout(30);  // however long a process is held up between two calls
  server.Start();
}

// What is wrong with the answers to `n` calls of whoever that is; empty: nothing.
std::string Ask(const Transport& transport, const std::string& who, int n) {
  for (int i = 0; i < n; ++i) {
    const std::string path = "/" + who + "/" + std::to_string(i);
    const auto response = transport(MakeRequest("GET", path));
    if (!response.ok()) return path + ": " + std::string(response.status().message());
    if (response->body != path) return path + " got the answer to " + response->body;
  }
  return "";
}

TEST_CASE("parent and children get their own answers, whatever the parent's threads are doing") {
  if (!test::kCanFork) return;
  TestServer server;
  Echo(server);
  const Transport transport("http://" + server.Host());
  REQUIRE(Ask(transport, "before", 1).empty());
  std::atomic<bool> over = false;
  std::vector<std::string> wrong(4);
  std::vector<Child> children;
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < wrong.size(); ++i) {
      threads.emplace_back([&, i] {
        for (int round = 0; !over && wrong[i].empty(); ++round) {
          wrong[i] = Ask(transport, "parent" + std::to_string(i) + "." + std::to_string(round), 5);
        }
      });
    }
    for (int i = 0; i < 12; ++i) {
      children.emplace_back([&transport, i]() -> std::string {
        const std::string answers = Ask(transport, "child" + std::to_string(i), 20);
        const TransportStats stats = transport.stats();
        if (!answers.empty()) return answers;
        return stats.opened == 1 && stats.reused == 19 ? "fine" : "not on a connection of its own";
      });
    }
    for (Child& child : children) CHECK(child.Says() == "fine");
    over = true;
  }
  for (const std::string& each : wrong) CHECK(each.empty());
}

TEST_CASE("a deadline is a deadline in a child, though the thread that watched is the parent's") {
  if (!test::kCanFork) return;
  FaultServer server([](const Peer& peer) { peer.ReadAll(); });
  const Transport transport("http://" + server.Host());
  const auto fetch = Stack(Timeout(50ms)).Around(transport);
  REQUIRE(fetch(MakeRequest("GET", "/")).status().code() == absl::StatusCode::kDeadlineExceeded);
  Child child([&fetch] { return fetch(MakeRequest("GET", "/")).status().ToString(); });
  CHECK(child.Says().starts_with("DEADLINE_EXCEEDED"));
}

// The parent's connection, which has no call now, must be good for its next one: the child has
// neither said goodbye on it nor shut it down.
template <class Server>
void CheckLeftAlone(Server& server, const std::string& scheme) {
  Echo(server);
  std::optional<Transport> transport(std::in_place, scheme + server.Host(),
                                     TransportOptions{.verify = false});
  REQUIRE(Ask(*transport, "parent", 1).empty());
  Child uses([&]() -> std::string {
    const int before = OpenDescriptors();
    std::string said = Ask(*transport, "child", 1);
    // The parent's is closed, and there is the child's.
    if (OpenDescriptors() != before) said += "descriptors of the parent are open";
    return said;
  });
  CHECK(uses.Says().empty());
  Child ends([&]() -> std::string {
    const int before = OpenDescriptors();
    transport.reset();
    return OpenDescriptors() == before - 1 ? "" : "descriptors of the parent are open";
  });
  CHECK(ends.Says().empty());
  CHECK(Ask(*transport, "parent", 1).empty());
  CHECK(transport->stats().opened == 1);
  CHECK(transport->stats().reused == 1);
}

TEST_CASE("a child leaves the parent's connections as they are") {
  if (!test::kCanFork) return;
  TestServer server;
  CheckLeftAlone(server, "http://");
}

TEST_CASE("a child leaves the parent's connections with TLS as they are") {
  if (!test::kCanFork) return;
  const test::Certificate certificate("IP:127.0.0.1");
  test::TlsServer server(certificate);
  CheckLeftAlone(server, "https://");
}

TEST_CASE("a child closes no descriptor that has got the number of one of the parent's sockets") {
  if (!test::kCanFork) return;
  TestServer server;
  Echo(server);
  const Transport transport("http://" + server.Host());
  REQUIRE(Ask(transport, "parent", 1).empty());
  Child child([&]() -> std::string {
    // As a daemon does, and what it then opens gets the numbers.
    for (int fd = 3; fd < 64; ++fd) ::close(fd);
    std::array<int, 2> ends = {};
    std::vector<int> opened;
    while (opened.size() < 60 && ::pipe(ends.data()) == 0) {
      opened.insert(opened.end(), ends.begin(), ends.end());
    }
    (void)transport.stats();
    for (const int fd : opened) {
      if (::fcntl(fd, F_GETFD) < 0) ::_exit(1);
    }
    ::_exit(0);
  });
  CHECK(child.ExitStatus() == 0);
}

struct Forked {};

// The child of a callback throws; the parent, for which nothing has happened, gets its answer, and
// its connection is good for another call.
template <class Server>
void CheckThrowingChild(Server& server, const std::string& scheme) {
  Echo(server);
  const Transport transport(scheme + server.Host(), TransportOptions{.verify = false});
  httplib::Request request = MakeRequest("GET", "/forks");
  int ended = -1;
  request.response_handler = [&ended](const httplib::Response&) {
    const pid_t child = ::fork();
    if (child == 0) throw Forked();
    ::waitpid(child, &ended, 0);
    return true;
  };
  try {
    const auto response = transport(request);
    REQUIRE(response.ok());
    CHECK(response->body == "/forks");
  } catch (const Forked&) {
    ::_exit(0);
  }
  CHECK(ended == 0);
  CHECK(Ask(transport, "parent", 1).empty());
  CHECK(transport.stats().opened == 1);
  CHECK(transport.stats().reused == 1);
}

TEST_CASE("a child that throws in a callback leaves the parent's connection as it is") {
  if (!test::kCanFork) return;
  TestServer server;
  CheckThrowingChild(server, "http://");
}

TEST_CASE("a child that throws in a callback leaves the parent's connection with TLS as it is") {
  if (!test::kCanFork) return;
  const test::Certificate certificate("IP:127.0.0.1");
  test::TlsServer server(certificate);
  CheckThrowingChild(server, "https://");
}

}  // namespace
}  // namespace holdfast::http::fork_test
