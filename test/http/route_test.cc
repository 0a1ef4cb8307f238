// How requests get to their origin: by which proxy, and with whose password.
#include <absl/status/status.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <string>

#include "holdfast/http/transport_error.h"
#include "holdfast/http/transport_options.h"
#include "src/http/origin.h"
#include "test/http/proxy_variables.h"
#include "test/support/catch.h"
#include "test/support/rapidcheck.h"

namespace holdfast::http::internal::route_test {
namespace {

using test::ContainsSubstring;
using test::Property;
using test::ProxyVariables;
using test::StartsWith;

std::string DescribeRoute(const std::string& origin, const TransportOptions& options) {
  const auto route = ParseRoute(origin, options);
  return route.ok() ? route->Describe() : route.status().ToString();
}

std::string Credentials(const std::string& user_info) {
  const auto proxy = ParseProxy("http://" + user_info + "@proxy.example:3128");
  if (!proxy.ok()) return std::string(proxy.status().message());
  CHECK(proxy->at.url == "http://proxy.example:3128");
  CHECK_THAT(proxy->authorization, StartsWith("Basic "));
  std::string both;
  CHECK(absl::Base64Unescape(proxy->authorization.substr(6), &both));
  return both;
}

TEST_CASE("user and password of a proxy are percent-decoded") {
  const auto [user_info, both] = GENERATE(table<std::string, std::string>({
      {"Aladdin:open%20sesame", "Aladdin:open sesame"},
      {"user", "user:"},
      {"user:", "user:"},
      {":password", ":password"},
      {"a%2fb:c%3Ad%40e", "a/b:c:d@e"},
      {"u:p:q", "u:p:q"},
      {"u:100%25", "u:100%"},
      {"J%C3%BCrgen:p", "J\xc3\xbcrgen:p"},
      {"u:%2525", "u:%25"},
  }));
  CAPTURE(user_info);
  CHECK(Credentials(user_info) == both);
  CHECK(ParseProxy("http://Aladdin:open%20sesame@p")->authorization ==
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");  // RFC 7617, 2
}

TEST_CASE("a user or a password that can't be sent is refused and not shown") {
  const auto [user_info, what] = GENERATE(table<std::string, std::string>({
      {"", "the user in front of the '@' is missing"},
      {"u:s3cret%", "a '%' in the user or the password begins no escape"},
      {"u:s3cret%4", "begins no escape"},
      {"u:s3cret%zz", "begins no escape"},
      {"u:s3cret%-1", "begins no escape"},
      {"u:s3cret%+1", "begins no escape"},
      {"u%0x:s3cret", "begins no escape"},
      {"u:s3cret%0d%0aX-Y:1", "control character"},
      {"u%0a:s3cret", "control character"},
      {"u:s3cret%00", "control character"},
      {"u:s3cret\n", "control character"},
      {"u%3Av:s3cret", "the user has a ':'"},
      {"u@corp:s3cret", "is written %40"},
      {"u:s3c/ret", "written %2F %3F %23"},
      {"u:s3c?ret", "written %2F %3F %23"},
      {"u:s3c#ret", "written %2F %3F %23"},
  }));
  CAPTURE(user_info);
  const std::string text = Credentials(user_info);
  CHECK_THAT(text, StartsWith("bad URL of a proxy: ") && ContainsSubstring(what));
  CHECK_THAT(text, !ContainsSubstring("s3c"));
}

TEST_CASE("a malformed URL of a proxy is not shown, since a part of it may be a password") {
  const std::string url =
      GENERATE("http://u:s3cret", "http://u:s3cret%40proxy", "u:s3cret@proxy", "u:s3cret://x@proxy",
               "https://u:s3cret@proxy", "socks5://u:s3cret@proxy:1080", "http://u:s3cret@",
               "http://u:s3cret@proxy:0", "http://u:s3cret@proxy/path", "http://u:s3cret@pro xy");
  CAPTURE(url);
  const absl::Status wrong = ParseProxy(url).status();
  CHECK(wrong.code() == absl::StatusCode::kInvalidArgument);
  CHECK(TransportErrorOf(wrong) == TransportError::kRequest);
  CHECK_THAT(std::string(wrong.message()), !ContainsSubstring("s3cret"));
  const absl::Status invalid = Validate(TransportOptions{.proxy = url});
  CHECK(invalid.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(invalid.message()),
             ContainsSubstring("proxy: bad URL of a proxy: ") && !ContainsSubstring("s3cret"));
}

TEST_CASE("any user and any password come back as they were, or are refused") {
  Property([](const std::string& user, const std::string& password) {
    const auto escaped = [](const std::string& text) {
      std::string all;
      for (const char byte : text) {
        absl::StrAppend(&all, "%", absl::Hex(static_cast<unsigned char>(byte), absl::kZeroPad2));
      }
      return all;
    };
    const auto proxy =
        ParseProxy(absl::StrCat("http://", escaped(user), ":", escaped(password), "@p"));
    bool sendable = user.find(':') == std::string::npos;
    for (const char byte : user + password) sendable &= (byte & 0xe0) != 0 && byte != 0x7f;
    RC_ASSERT(proxy.ok() == sendable);
    std::string both;
    if (!sendable) return;
    RC_ASSERT(absl::Base64Unescape(proxy->authorization.substr(6), &both));
    RC_ASSERT(both == user + ":" + password);
  });
}

TEST_CASE("a route is described without user and password") {
  const TransportOptions options = {.proxy = "http://scott:tiger@proxy.example:3128/"};
  CHECK(DescribeRoute("https://host", options) ==
        "https://host (by the proxy http://proxy.example:3128)");
  CHECK(ParseRoute("https://host", options)->authorization() == "Basic c2NvdHQ6dGlnZXI=");
  CHECK(ParseRoute("http://host", {.proxy = "http://proxy"})->authorization().empty());
  CHECK(DescribeRoute("http://host", {.unix_socket = "/run/a socket"}) ==
        "http://host (by the unix socket /run/a socket)");
  CHECK(DescribeRoute("http://host", {.unix_socket = "@a\n"}) ==
        "http://host (by the unix socket @a\\n)");
}

TEST_CASE("an origin has no user and no password") {
  const absl::Status wrong = ParseOrigin("http://scott:tiger@host").status();
  CHECK(wrong.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(wrong.message()), !ContainsSubstring("tiger"));
}

TEST_CASE("the address to connect from is known when the route is") {
  CHECK(ParseRoute("http://host", {.local_address = "127.0.0.2"})->local_address ==
        Address::Parse("127.0.0.2", 0));
  CHECK_FALSE(ParseRoute("http://host", TransportOptions())->local_address);
  // A zone may be gone since the options were found valid.
  const absl::Status gone = ParseRoute("http://host", {.local_address = "fe80::1%none0"}).status();
  CHECK(gone.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(gone.message()), StartsWith("http://host: local_address: "));
}

TEST_CASE("an origin that is an exception has no proxy") {
  const TransportOptions options = {.proxy = "http://proxy", .no_proxy = "host:8080,[::1]"};
  CHECK(DescribeRoute("http://host:8080", options) == "http://host:8080");
  CHECK(DescribeRoute("https://a.host:8080", options) == "https://a.host:8080");
  CHECK(DescribeRoute("https://[::1]", options) == "https://[::1]");
  CHECK(DescribeRoute("http://host", options) == "http://host (by the proxy http://proxy)");
  CHECK(DescribeRoute("http://host", {.no_proxy = "*"}) == "http://host");
}

TEST_CASE("the environment names a proxy for each scheme") {
  const ProxyVariables variables;
  const TransportOptions options = {.proxy_from_environment = true};
  const auto by = [&](const std::string& origin) {
    const auto route = ParseRoute(origin, options);
    return route->proxy ? route->proxy->at.url : "";
  };
  CHECK(by("http://host").empty());
  CHECK(by("https://host").empty());

  variables.Set("HTTP_PROXY", "http://upper");  // httpoxy
  CHECK(by("http://host").empty());
  variables.Set("ALL_PROXY", "http://ALL");
  CHECK(by("http://host") == "http://ALL");
  CHECK(by("https://host") == "http://ALL");
  variables.Set("all_proxy", "http://all");
  CHECK(by("http://host") == "http://all");
  CHECK(by("https://host") == "http://all");
  variables.Set("http_proxy", "http://one:3128");
  CHECK(by("http://host") == "http://one:3128");
  CHECK(by("https://host") == "http://all");
  variables.Set("HTTPS_PROXY", "http://TWO");
  CHECK(by("https://host") == "http://TWO");
  variables.Set("https_proxy", "http://two");
  CHECK(by("https://host") == "http://two");
  CHECK(by("http://host") == "http://one:3128");
  variables.Set("https_proxy", "");
  CHECK(by("https://host") == "http://TWO");

  CHECK_FALSE(ParseRoute("http://host", {})->proxy);
  CHECK(ParseRoute("http://host", {.proxy = "http://given", .proxy_from_environment = true})
            ->proxy->at.url == "http://given");
}

TEST_CASE("a proxy of the environment may lack its scheme, and have a password") {
  const ProxyVariables variables;
  const TransportOptions options = {.proxy_from_environment = true};
  variables.Set("http_proxy", "proxy:3128");
  CHECK(DescribeRoute("http://host", options) == "http://host (by the proxy http://proxy:3128)");
  variables.Set("http_proxy", "scott:tiger@proxy:3128");
  CHECK(DescribeRoute("http://host", options) == "http://host (by the proxy http://proxy:3128)");
  CHECK(ParseRoute("http://host", options)->authorization() == "Basic c2NvdHQ6dGlnZXI=");
}

TEST_CASE("the environment has exceptions, unless the options have some") {
  const ProxyVariables variables;
  const TransportOptions options = {.proxy_from_environment = true};
  variables.Set("http_proxy", "proxy");
  variables.Set("NO_PROXY", "upper");
  CHECK_FALSE(ParseRoute("http://upper", options)->proxy);
  variables.Set("no_proxy", "http://bad, host/8, .lower");
  CHECK(ParseRoute("http://upper", options)->proxy);
  CHECK(ParseRoute("http://host", options)->proxy);
  CHECK_FALSE(ParseRoute("http://a.lower", options)->proxy);

  const TransportOptions own = {.no_proxy = "own", .proxy_from_environment = true};
  CHECK_FALSE(ParseRoute("http://own", own)->proxy);
  CHECK(ParseRoute("http://a.lower", own)->proxy);
  // They are the exceptions of the environment's proxy.
  CHECK(ParseRoute("http://a.lower", {.proxy = "http://p", .proxy_from_environment = true})->proxy);
}

TEST_CASE("a variable that names no proxy is named, and its value is not") {
  const ProxyVariables variables;
  const TransportOptions options = {.proxy_from_environment = true};
  const std::string value = GENERATE("https://u:s3cret@proxy", "socks5://u:s3cret@proxy",
                                     "u:s3cret", "u:s3cret%@proxy", "http://u:s3cret@proxy:x");
  variables.Set("https_proxy", value);
  const absl::Status status = ParseRoute("https://host", options).status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK(TransportErrorOf(status) == TransportError::kRequest);
  CHECK_THAT(std::string(status.message()),
             StartsWith("https://host: https_proxy: bad URL of a proxy: ") &&
                 !ContainsSubstring("s3cret"));
  CHECK(ParseRoute("http://host", options).ok());
  variables.Set("no_proxy", "host");
  CHECK(ParseRoute("https://host", options).ok());
}

}  // namespace
}  // namespace holdfast::http::internal::route_test
