#include "src/http/net/bad_addresses.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "test/support/catch.h"
#include "test/support/fork.h"
#include "test/support/threads.h"

namespace holdfast::http::internal::bad_addresses_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

const TimePoint kStart = TimePoint(1h);

Address Numbered(int n) { return *Address::Parse("127.0.0.1", n); }

// "3 1 2": the order in which the addresses with these numbers are tried.
std::string Order(const BadAddresses& bad, TimePoint now, int n = 3) {
  std::vector<Address> addresses;
  for (int i = 1; i <= n; ++i) addresses.push_back(Numbered(i));
  bad.MoveBehind(addresses, now);
  std::string text;
  for (const Address& address : addresses) {
    text += (text.empty() ? "" : " ") + std::to_string(address.port());
  }
  return text;
}

TEST_CASE("a bad address is tried after the others, for a while") {
  BadAddresses bad({.memory = 60s});
  CHECK(Order(bad, kStart) == "1 2 3");
  bad.Failed(Numbered(1), kStart);
  CHECK(Order(bad, kStart) == "2 3 1");
  CHECK(Order(bad, kStart + 60s - 1ns) == "2 3 1");
  CHECK(Order(bad, kStart + 60s) == "1 2 3");
}

TEST_CASE("a success ends it, and another failure makes it last longer") {
  BadAddresses bad({.memory = 60s});
  bad.Failed(Numbered(1), kStart);
  bad.Failed(Numbered(2), kStart);
  bad.Succeeded(Numbered(2));
  CHECK(Order(bad, kStart) == "2 3 1");
  bad.Failed(Numbered(1), kStart + 30s);
  CHECK(Order(bad, kStart + 80s) == "2 3 1");
}

TEST_CASE("with all of them bad none is left out and their order stays") {
  BadAddresses bad;
  for (const int i : {2, 3, 1}) bad.Failed(Numbered(i), kStart);
  CHECK(Order(bad, kStart) == "1 2 3");
}

TEST_CASE("of more than it may remember, the oldest failures are forgotten") {
  BadAddresses bad({.memory = 60s, .max_addresses = 2});
  bad.Failed(Numbered(1), kStart);
  bad.Failed(Numbered(2), kStart + 1s);
  bad.Failed(Numbered(1), kStart + 2s);
  bad.Failed(Numbered(3), kStart + 3s);
  CHECK(bad.size() == 2);
  CHECK(Order(bad, kStart + 3s) == "2 1 3");
  // Those that are over go first.
  bad.Failed(Numbered(2), kStart + 62s);
  CHECK(bad.size() == 2);
  CHECK(Order(bad, kStart + 62s) == "1 2 3");
  for (int i = 1; i < 1000; ++i) bad.Failed(Numbered(i), kStart);
  CHECK(bad.size() == 2);
}

TEST_CASE("many threads may share it") {
  BadAddresses bad({.memory = 60s, .max_addresses = 8});
  test::InThreads(4, [&](int thread) {
    for (int i = 1; i < 500; ++i) {
      bad.Failed(Numbered(thread * 500 + i), kStart + i * 1ms);
      bad.Succeeded(Numbered(i));
      std::vector<Address> addresses = {Numbered(i), Numbered(i + 1)};
      bad.MoveBehind(addresses, kStart);
    }
  });
  CHECK(bad.size() <= 8);
}

TEST_CASE("the child of a fork begins with none") {
  if (!test::kCanFork) return;
  BadAddresses::OfProcess().Failed(Numbered(1), kStart);
  CHECK(Order(BadAddresses::OfProcess(), kStart) == "2 3 1");
  test::Child child([] { return Order(BadAddresses::OfProcess(), kStart); });
  CHECK(child.Says() == "1 2 3");
  BadAddresses::OfProcess().Succeeded(Numbered(1));
}

}  // namespace
}  // namespace holdfast::http::internal::bad_addresses_test
