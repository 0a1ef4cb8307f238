#include "src/http/no_proxy.h"

#include <absl/status/status.h>

#include <string>

#include "holdfast/http/transport_options.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"

namespace holdfast::http::internal::no_proxy_test {
namespace {

using test::ContainsSubstring;
using test::Property;

TEST_CASE("a name is an exception for itself and its subdomains") {
  const auto [list, host, direct] = GENERATE(table<std::string, std::string, bool>({
      {"example.com", "example.com", true},
      {"example.com", "a.example.com", true},
      {"example.com", "a.b.example.com", true},
      {".example.com", "example.com", true},
      {".example.com", "a.example.com", true},
      {"*.example.com", "a.example.com", true},
      {"example.com.", "example.com", true},
      {"example.com", "example.com.", true},
      {"EXAMPLE.com", "Example.COM", true},
      {"localhost", "localhost", true},
      {"my_host-1", "my_host-1", true},
      {"example.com", "notexample.com", false},
      {"example.com", "example.com.org", false},
      {"example.com", "com", false},
      {".example.com", "notexample.com", false},
      {"a.example.com", "example.com", false},
      {"", "example.com", false},
      {"", "localhost", false},
      {"", "127.0.0.1", false},
  }));
  CAPTURE(list, host);
  CHECK(CheckNoProxy(list).ok());
  CHECK(NeedsNoProxy(list, host, 80) == direct);
}

TEST_CASE("addresses are exceptions one by one and by blocks") {
  const auto [list, host, direct] = GENERATE(table<std::string, std::string, bool>({
      {"192.0.2.1", "192.0.2.1", true},
      {"192.0.2.1", "192.0.2.10", false},
      {"192.0.2.1", "1.192.0.2.1", false},
      {"::1", "::1", true},
      {"[::1]", "::1", true},
      {"::1", "0:0:0:0:0:0:0:1", true},
      {"2001:DB8::a", "2001:db8::A", true},
      {"::1", "::2", false},
      {"fe80::1", "fe80::1%eth0", true},
      {"10.0.0.0/8", "10.1.2.3", true},
      {"10.1.2.3/8", "10.3.2.1", true},
      {"10.0.0.0/8", "11.0.0.0", false},
      {"192.0.2.128/25", "192.0.2.200", true},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"192.0.2.1/32", "192.0.2.1", true},
      {"192.0.2.1/32", "192.0.2.0", false},
      {"0.0.0.0/0", "203.0.113.9", true},
      {"0.0.0.0/0", "::1", false},
      {"0.0.0.0/0", "example.com", false},
      {"2001:db8::/32", "2001:db8:1::", true},
      {"2001:db8::/32", "2001:db9::", false},
      {"[2001:db8::]/33", "2001:db8:7fff::", true},
      {"[2001:db8::]/33", "2001:db8:8000::", false},
      {"::/0", "2001:db8::1", true},
      {"::/0", "192.0.2.1", false},
      {"::ffff:192.0.2.1", "192.0.2.1", true},
      {"192.0.2.0/24", "::ffff:192.0.2.7", true},
      {"192.0.2.1", "example.com", false},
      {"example.com", "192.0.2.1", false},
  }));
  CAPTURE(list, host);
  CHECK(CheckNoProxy(list).ok());
  CHECK(NeedsNoProxy(list, host, 80) == direct);
}

TEST_CASE("an exception with a port is one for that port") {
  const auto [entry, host] = GENERATE(table<std::string, std::string>({
      {"example.com:8080", "a.example.com"},
      {"192.0.2.1:8080", "192.0.2.1"},
      {"[::1]:8080", "::1"},
      {"192.0.2.0/24:8080", "192.0.2.7"},
      {"[2001:db8::]/32:8080", "2001:db8::1"},
  }));
  CAPTURE(entry, host);
  CHECK(CheckNoProxy(entry).ok());
  CHECK(NeedsNoProxy(entry, host, 8080));
  CHECK_FALSE(NeedsNoProxy(entry, host, 80));
}

TEST_CASE("a list is separated by commas and blanks, and a star is all") {
  for (const char* const list : {"a,b", "a, b", "a b", " ,a,,\tb ,", "x,*", "*", "* y"}) {
    CAPTURE(list);
    CHECK(CheckNoProxy(list).ok());
    CHECK(NeedsNoProxy(list, "b", 80));
  }
  CHECK(NeedsNoProxy("*", "192.0.2.1", 443));
  CHECK(NeedsNoProxy("*", "::1", 443));
  CHECK_FALSE(NeedsNoProxy(" , ", "b", 80));
}

TEST_CASE("what is no exception is shown to who set it, and matches nothing") {
  const std::string wrong =
      GENERATE("http://host", "host/8", "host:", "host:0", "host:65536", "host:x", "10.0.0.0/33",
               "10.0.0.0/", "10.0.0.0/-1", "::1/129", "[::1", "[::1]x", "[192.0.2.1]", "[host]",
               "300.1.1.1", "10.0.0", "10.*", "*:80", ".", "*.", "fe80::1%eth0", "ex\xffmple", "/8",
               ":80", "99999999999999999999", "10.0.0.0/8/8", "host:80:80");
  CAPTURE(wrong);
  const absl::Status status = CheckNoProxy("good.example," + wrong);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_FALSE(NeedsNoProxy(wrong, "10.0.0.0", 80));
  CHECK_FALSE(NeedsNoProxy(wrong, "host", 80));
  CHECK(NeedsNoProxy(wrong + ",good.example", "good.example", 80));
  CHECK_FALSE(Validate(TransportOptions{.no_proxy = wrong}).ok());
}

TEST_CASE("who set a list is told which entry is none") {
  CHECK_THAT(std::string(Validate(TransportOptions{.no_proxy = "a,b/8,c/9"}).message()),
             ContainsSubstring("no_proxy: \"b/8\" is no name, address or block"));
  CHECK_THAT(std::string(CheckNoProxy("http://scott:s3cret@proxy").message()),
             ContainsSubstring("\"...\" is no name"));
}

TEST_CASE("any text is a list, or none") {
  Property([](const std::string& list) {
    const bool good = CheckNoProxy(list).ok();
    const bool direct = NeedsNoProxy(list, "example.com", 80);
    RC_ASSERT(NeedsNoProxy(list + ",example.com", "example.com", 80));
    if (!good) RC_ASSERT_FALSE(CheckNoProxy("a," + list).ok());
    if (direct) RC_ASSERT(NeedsNoProxy("a," + list, "example.com", 80));
  });
}

}  // namespace
}  // namespace holdfast::http::internal::no_proxy_test
