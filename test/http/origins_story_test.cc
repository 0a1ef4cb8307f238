// A crawler that talks to two hundred origins keeps a connection to each: a thread or a descriptor
// too many for each would be the end of it.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <string>
#include <vector>

#include "holdfast/http.h"
#include "test/http/descriptors.h"
#include "test/http/poll_server.h"
#include "test/support/catch.h"

namespace holdfast::http::origins_story_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::Eventually;
using test::OpenDescriptors;

constexpr int kOrigins = 200;

int Threads() {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                                        std::filesystem::directory_iterator()));
}

// One for each origin, after a request.
std::vector<Transport> Crawl(const test::PollServer& server, TimeSpan idle_timeout) {
  std::vector<Transport> transports;
  for (int i = 1; i <= kOrigins; ++i) {
    const std::string host = "127.0.3." + std::to_string(i);
    const Transport& transport =
        transports.emplace_back(server.Url(host), TransportOptions{.idle_timeout = idle_timeout});
    const auto response = transport(Request{.target = "/"});
    CAPTURE(response.status().ToString());
    REQUIRE(response.ok());
    CHECK(response->body == host);
  }
  return transports;
}

TEST_CASE("the idle connections of two hundred origins take one thread and a descriptor each") {
  test::PollServer server;
  const int threads = Threads();
  const int descriptors = OpenDescriptors();
  {
    const std::vector<Transport> transports = Crawl(server, 1h);
    CHECK(std::ranges::all_of(transports, [](const auto& t) { return t.stats().idle == 1; }));
    CHECK(Threads() <= threads + 1);
    CHECK(OpenDescriptors() <= descriptors + 2 * kOrigins);  // the server's ends are here as well
    CHECK(server.accepted() == kOrigins);
  }
  CHECK(Eventually([&] { return server.open() == 0 && OpenDescriptors() == descriptors; }));
  CHECK(Eventually([&] { return Threads() <= threads; }));
}

TEST_CASE("the idle connections of two hundred origins are closed at their time") {
  test::PollServer server;
  const int descriptors = OpenDescriptors();
  const std::vector<Transport> transports = Crawl(server, 100ms);
  CHECK(Eventually([&] {
    return std::ranges::all_of(transports, [](const auto& t) { return t.stats().idle == 0; });
  }));
  CHECK(Eventually([&] { return server.open() == 0 && OpenDescriptors() == descriptors; }));
  for (const Transport& transport : transports) CHECK(transport.stats().opened == 1);
}

}  // namespace
}  // namespace holdfast::http::origins_story_test
