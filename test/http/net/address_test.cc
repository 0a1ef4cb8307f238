#include "src/http/net/address.h"

#include <absl/container/flat_hash_map.h>
#include <absl/status/status.h>
#include <arpa/inet.h>
#include <sys/un.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <string_view>

#include "test/support/catch.h"

namespace holdfast::http::internal::address_test {
namespace {

std::string Shown(std::string_view literal) {
  const auto address = Address::Parse(literal, 80);
  return address ? address->ToString() : "none";
}

TEST_CASE("a literal is an address, and a name or half a literal is none") {
  CHECK(Shown("192.0.2.1") == "192.0.2.1:80");
  CHECK(Shown("2001:DB8:0::1") == "[2001:db8::1]:80");
  CHECK(Shown("::ffff:192.0.2.1") == "[::ffff:192.0.2.1]:80");
  CHECK(Shown("fe80::1%1") == "[fe80::1%1]:80");
  CHECK(Shown("fe80::1%lo") == "[fe80::1%1]:80");
  for (const std::string_view none :
       {"", "localhost", "192.0.2", "192.0.2.256", "192.0.2.01", "[::1]", "::1%", "::1%nosuchlink",
        "::1%0", "::1%4294967296", "1::2::3", " ::1", "192.0.2.1 ",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee:ffff:0000:1111:"
        "22"}) {
    CAPTURE(none);
    CHECK(Shown(none) == "none");
  }
  CHECK(Shown(std::string_view("::1\0", 4)) == "none");
  CHECK_FALSE(Address::Parse("::1", -1));
  CHECK_FALSE(Address::Parse("::1", 65536));
}

TEST_CASE("addresses that lead to the same place are equal") {
  CHECK(Address::Parse("::1", 80) == Address::Parse("0:0:0:0:0:0:0:1", 80));
  CHECK(Address::Parse("::1", 80) != Address::Parse("::1", 81));
  CHECK(Address::Parse("fe80::1%1", 80) != Address::Parse("fe80::1%2", 80));
  CHECK(Address::Parse("127.0.0.1", 80) != Address::Parse("::ffff:127.0.0.1", 80));
  CHECK(*Address::Unix("@x") != *Address::Unix("x"));
  CHECK(*Address::Unix("@x") != *Address::Unix("@xy"));
  CHECK(Address() == Address());

  // What the kernel adds does not count.
  sockaddr_in6 flow = {};
  flow.sin6_family = AF_INET6;
  flow.sin6_port = htons(80);
  flow.sin6_addr = in6addr_loopback;
  flow.sin6_flowinfo = 7;
  sockaddr_in padded;
  std::memset(&padded, 0xff, sizeof padded);
  padded.sin_family = AF_INET;
  padded.sin_port = htons(80);
  padded.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  CHECK(Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&flow), sizeof flow) ==
        Address::Parse("::1", 80));
  CHECK(Address::FromSockaddr(reinterpret_cast<const sockaddr*>(&padded), sizeof padded) ==
        Address::Parse("127.0.0.1", 80));
}

TEST_CASE("an address is a key") {
  absl::flat_hash_map<Address, int> seen;
  seen[*Address::Parse("127.0.0.1", 80)] = 1;
  seen[*Address::Parse("127.0.0.1", 81)] = 2;
  seen[*Address::Unix("@x")] = 3;
  CHECK(seen.size() == 3);
  CHECK(seen[Address::Parse("127.0.0.1", 1)->WithPort(80)] == 1);
  CHECK(seen[*Address::Unix("@x")] == 3);
}

TEST_CASE("the port can be changed where there is one") {
  CHECK(Address::Parse("192.0.2.1", 0)->WithPort(65535).ToString() == "192.0.2.1:65535");
  CHECK(Address::Parse("fe80::1%1", 0)->WithPort(8080).ToString() == "[fe80::1%1]:8080");
  CHECK(Address::Parse("fe80::1%1", 8080)->port() == 8080);
  CHECK(Address::Unix("/run/x")->WithPort(8080) == *Address::Unix("/run/x"));
  CHECK(Address::Unix("/run/x")->port() == 0);
  CHECK(Address().WithPort(1) == Address());
}

TEST_CASE("a unix socket is a path or an abstract name, and what the kernel would cut is refused") {
  CHECK(Address::Unix("/run/x.sock")->ToString() == "unix:/run/x.sock");
  CHECK(Address::Unix("@x")->ToString() == "unix:@x");
  CHECK(Address::Unix(std::string(107, 'x')).ok());
  CHECK(Address::Unix("@" + std::string(106, 'x')).ok());
  for (const std::string& bad :
       {std::string(), std::string("@"), std::string(108, 'x'), "@" + std::string(107, 'x'),
        std::string("a\0b", 3), std::string("@a\0b", 4)}) {
    CAPTURE(bad);
    CHECK(Address::Unix(bad).status().code() == absl::StatusCode::kInvalidArgument);
  }
}

TEST_CASE("what the kernel gives comes back, and what is cut or nameless does not") {
  for (const Address& address :
       {*Address::Parse("192.0.2.1", 80), *Address::Parse("fe80::1%1", 80),
        *Address::Unix("/run/x"), *Address::Unix("@x"), *Address::Unix(std::string(107, 'x'))}) {
    CAPTURE(address.ToString());
    CHECK(Address::FromSockaddr(address.data(), address.size()) == address);
  }
  const auto ipv6 = *Address::Parse("::1", 80);
  const auto ipv4 = *Address::Parse("127.0.0.1", 80);
  CHECK_FALSE(Address::FromSockaddr(ipv6.data(), ipv6.size() - 1));
  CHECK_FALSE(Address::FromSockaddr(ipv4.data(), 1));
  CHECK_FALSE(Address::FromSockaddr(nullptr, 0));
  sockaddr_un nameless = {};
  nameless.sun_family = AF_UNIX;
  const auto* const bytes = reinterpret_cast<const sockaddr*>(&nameless);
  CHECK_FALSE(Address::FromSockaddr(bytes, offsetof(sockaddr_un, sun_path)));
  CHECK_FALSE(Address::FromSockaddr(bytes, offsetof(sockaddr_un, sun_path) + 1));
  nameless.sun_family = AF_PACKET;
  CHECK_FALSE(Address::FromSockaddr(bytes, sizeof nameless));
}

}  // namespace
}  // namespace holdfast::http::internal::address_test
