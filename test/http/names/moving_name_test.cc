// A name that leads elsewhere after a while, as one of a service that is moved. This program has a
// getaddrinfo of its own, which the library finds in place of the system's.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "holdfast/http.h"
#include "test/http/descriptors.h"
#include "test/http/poll_server.h"
#include "test/support/catch.h"

namespace holdfast::http::moving_name_test {
namespace {

std::atomic<std::uint32_t> leads_to = 0;
std::atomic<int> lookups = 0;

struct Found {
  addrinfo info = {};
  sockaddr_in address = {};
};

}  // namespace
}  // namespace holdfast::http::moving_name_test

extern "C" int getaddrinfo(const char*, const char*, const addrinfo*, addrinfo** found) {
  namespace test = holdfast::http::moving_name_test;
  ++test::lookups;
  auto* const made = new test::Found;
  made->address.sin_family = AF_INET;
  made->address.sin_addr.s_addr = test::leads_to;
  made->info.ai_family = AF_INET;
  made->info.ai_socktype = SOCK_STREAM;
  made->info.ai_addrlen = sizeof made->address;
  made->info.ai_addr = reinterpret_cast<sockaddr*>(&made->address);
  *found = &made->info;
  return 0;
}

extern "C" void freeaddrinfo(addrinfo* found) noexcept {
  delete reinterpret_cast<holdfast::http::moving_name_test::Found*>(found);
}

namespace holdfast::http::moving_name_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

constexpr const char* kOld = "127.0.0.1";
constexpr const char* kNew = "127.0.0.2";

void LeadTo(const char* address) {
  leads_to = ::inet_addr(address);
  lookups = 0;
}

// Where a request came to; what went wrong, otherwise.
std::string Reached(const Transport& transport, const char* method = "GET") {
  const auto response = transport(Request{.method = method});
  return response.ok() ? response->body : response.status().ToString();
}

TEST_CASE("a connection stays where its name led, and is not looked up again while it is young") {
  test::PollServer server;
  LeadTo(kOld);
  const Transport transport(server.Url("moving.test"), {.max_age = 1h});
  CHECK(Reached(transport) == kOld);
  CHECK(lookups == 1);
  LeadTo(kNew);
  for (int i = 0; i < 3; ++i) CHECK(Reached(transport) == kOld);
  CHECK(lookups == 0);
  CHECK(server.accepted() == 1);
}

TEST_CASE("a connection that is old enough makes way for one to where its name leads then") {
  test::PollServer server;
  LeadTo(kOld);
  const Transport transport(server.Url("moving.test"), {.max_age = 100ms});
  CHECK(Reached(transport) == kOld);
  LeadTo(kNew);
  CHECK(test::Eventually([&] {
    const std::string reached = Reached(transport);
    CHECK((reached == kOld || reached == kNew));
    return reached == kNew;
  }));
  CHECK(lookups >= 1);
  CHECK(Reached(transport) == kNew);
}

TEST_CASE("a connection that ended with its server is followed by one to where its name leads") {
  test::PollServer server;
  LeadTo(kOld);
  const Transport transport(server.Url("moving.test"), {.max_age = 1h});
  CHECK(Reached(transport) == kOld);
  LeadTo(kNew);
  server.CloseAll();
  CHECK(Reached(transport, "POST") == kNew);
  CHECK(lookups == 1);
}

}  // namespace
}  // namespace holdfast::http::moving_name_test
