#include "src/http/location.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "test/support/catch.h"
#include "test/support/rapidcheck.h"

namespace holdfast::http::internal::location_test {
namespace {

// The URL that a reference means beside `base`; "none" where it is not to be followed.
std::string Meant(const Url& base, const std::string& reference) {
  const std::optional<Url> url = Resolve(base, reference);
  return url ? url->origin + url->target : "none";
}

// RFC 3986, 5.4.1 and 5.4.2; fragments are dropped.
TEST_CASE("a reference means what the examples of RFC 3986 say") {
  const Url base = {.origin = "http://a", .target = "/b/c/d;p?q"};
  const auto [reference, url] = GENERATE(table<std::string, std::string>({
      {"g:h", "none"},
      {"g", "http://a/b/c/g"},
      {"./g", "http://a/b/c/g"},
      {"g/", "http://a/b/c/g/"},
      {"/g", "http://a/g"},
      {"//g", "http://g/"},
      {"?y", "http://a/b/c/d;p?y"},
      {"g?y", "http://a/b/c/g?y"},
      {"#s", "http://a/b/c/d;p?q"},
      {"g#s", "http://a/b/c/g"},
      {"g?y#s", "http://a/b/c/g?y"},
      {";x", "http://a/b/c/;x"},
      {"g;x", "http://a/b/c/g;x"},
      {"g;x?y#s", "http://a/b/c/g;x?y"},
      {"", "http://a/b/c/d;p?q"},
      {".", "http://a/b/c/"},
      {"./", "http://a/b/c/"},
      {"..", "http://a/b/"},
      {"../", "http://a/b/"},
      {"../g", "http://a/b/g"},
      {"../..", "http://a/"},
      {"../../", "http://a/"},
      {"../../g", "http://a/g"},
      {"../../../g", "http://a/g"},
      {"../../../../g", "http://a/g"},
      {"/./g", "http://a/g"},
      {"/../g", "http://a/g"},
      {"g.", "http://a/b/c/g."},
      {".g", "http://a/b/c/.g"},
      {"g..", "http://a/b/c/g.."},
      {"..g", "http://a/b/c/..g"},
      {"./../g", "http://a/b/g"},
      {"./g/.", "http://a/b/c/g/"},
      {"g/./h", "http://a/b/c/g/h"},
      {"g/../h", "http://a/b/c/h"},
      {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
      {"g;x=1/../y", "http://a/b/c/y"},
      {"g?y/./x", "http://a/b/c/g?y/./x"},
      {"g?y/../x", "http://a/b/c/g?y/../x"},
      {"g#s/./x", "http://a/b/c/g"},
      {"g#s/../x", "http://a/b/c/g"},
      {"http:g", "none"},  // as a strict reader says
  }));
  CAPTURE(reference);
  CHECK(Meant(base, reference) == url);
}

TEST_CASE("a whole URL has an origin in one spelling, and a target") {
  const Url base = {.origin = "https://a.test:8443", .target = "/b"};
  const auto [reference, url] = GENERATE(table<std::string, std::string>({
      {"HTTPS://A.Test:8443/X", "https://a.test:8443/X"},
      {"https://a.test:443", "https://a.test/"},
      {"http://a.test:80/", "http://a.test/"},
      {"http://a.test?q=/../", "http://a.test/?q=/../"},
      {"http://a.test/x/../y", "http://a.test/y"},
      {"//b.test:1/x", "https://b.test:1/x"},
      {"//b.test#f", "https://b.test/"},
      {"http://[::1]:8080/", "http://[::1]:8080/"},
      {"http://a.test:/x", "http://a.test/x"},
      {"http://[::1]:", "http://[::1]/"},
      {"http://:", "none"},
      {"/x:y?a:b", "https://a.test:8443/x:y?a:b"},
      {"./x:y", "https://a.test:8443/x:y"},
      {"/..//evil.test/", "https://a.test:8443//evil.test/"},
  }));
  CAPTURE(reference);
  CHECK(Meant(base, reference) == url);
}

TEST_CASE("what is malformed or hides something means nothing") {
  const Url base = {.origin = "http://a", .target = "/b"};
  const std::string reference =
      GENERATE(as<std::string>(), "http://", "http:///x", "http://?x", "http:x", "http:/x",
               "ftp://a/", "javascript:1", "x:y", ":x", "1:x", "//", "///x", "http://user@a/",
               "http://u:p@a/", "//u@b/", "http://a:0/", "http://a:65536/", "http://a:b/",
               "http://a b/", "http://a%20b/", "http://[fe80::1%25eth0]/", "http://[::1/", "/a b",
               " /a", "/a ", "/a\tb", "/a\r\nb", std::string("/a\0b", 4), "/a\x7f", "/caf\xc3\xa9",
               "/\\evil.test", "\\\\evil.test", "http:\\\\evil.test", "http://evil.test\\@a/");
  CAPTURE(reference);
  CHECK(Meant(base, reference) == "none");
}

TEST_CASE("without an origin only a path can be followed") {
  const Url base = {.origin = "", .target = "/b/c"};
  CHECK(Meant(base, "d?e") == "/b/d?e");
  CHECK(Meant(base, "/d") == "/d");
  CHECK(Meant(base, "//a/d") == "none");
  CHECK(Meant(base, "http://a/d") == "none");
  CHECK(Meant(base, "https://a/d") == "none");
}

TEST_CASE("the URL of a request is the one that its target says") {
  const auto url = [](const std::string& target) {
    const Url of = UrlOf("http://a", target);
    return of.origin + of.target;
  };
  CHECK(url("/x/y?z") == "http://a/x/y?z");
  CHECK(url("//x") == "http://a//x");
  CHECK(url("*") == "http://a/");
  CHECK(url("http://b/x?y") == "http://b/x?y");
  CHECK(url("a:80") == "http://a/");
}

// RFC 3986, 5.2.4, to the letter.
std::string RemoveDotSegments(std::string input) {
  std::string output;
  const auto begins = [&](const std::string& with) { return input.starts_with(with); };
  while (!input.empty()) {
    if (begins("../")) {
      input.erase(0, 3);
    } else if (begins("./")) {
      input.erase(0, 2);
    } else if (begins("/./") || input == "/.") {
      input.replace(0, std::min<std::size_t>(3, input.size()), "/");
    } else if (begins("/../") || input == "/..") {
      input.replace(0, std::min<std::size_t>(4, input.size()), "/");
      const std::size_t slash = output.rfind('/');
      output.erase(slash == std::string::npos ? 0 : slash);
    } else if (input == "." || input == "..") {
      input.clear();
    } else {
      const std::size_t end = std::min(input.find('/', 1), input.size());
      output += input.substr(0, end);
      input.erase(0, end);
    }
  }
  return output;
}

rc::Gen<std::string> AnyPath() {
  const auto part = rc::gen::element<std::string>("/", "/", ".", "..", "a", "b.", "%2e");
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(part),
                      [](const std::vector<std::string>& parts) {
                        std::string path;
                        for (const std::string& one : parts) path += one;
                        return path;
                      });
}

TEST_CASE("dot segments are removed as RFC 3986 does it") {
  test::Property(10, [] {
    const std::string base = "/" + *AnyPath();
    std::string path = *AnyPath();
    RC_PRE(!path.empty() && !path.starts_with("//"));
    const std::string merged =
        path.starts_with('/') ? path : base.substr(0, base.rfind('/') + 1) + path;
    const std::optional<Url> url =
        Resolve({.origin = "http://a", .target = base + "?q"}, path + "?r#f");
    RC_ASSERT(url.has_value());
    RC_ASSERT(url->origin == "http://a");
    RC_ASSERT(url->target == RemoveDotSegments(merged) + "?r");
  });
}

TEST_CASE("whatever a server sends, the target is one that can be sent") {
  test::Property(10, [] {
    const auto text = *rc::gen::container<std::string>(rc::gen::oneOf(
        rc::gen::elementOf(std::string("/.:?#@\\ ahtp[]%")), rc::gen::arbitrary<char>()));
    const std::optional<Url> url = Resolve({.origin = "http://a", .target = "/b?c"}, text);
    if (!url) return;
    RC_ASSERT(OriginText(url->origin) == url->origin);
    RC_ASSERT(url->target.starts_with('/'));
    for (const char byte : url->target) RC_ASSERT(byte > ' ' && byte < 0x7f && byte != '#');
  });
}

}  // namespace
}  // namespace holdfast::http::internal::location_test
