#include "src/metrics_http/page.h"

#include <string>
#include <string_view>

#include "test/support/catch.h"

namespace holdfast::page_test {
namespace {

using test::ContainsSubstring;

std::size_t CountOf(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos;
       at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

TEST_CASE("the page is one document with one style and one script") {
  const std::string page = internal::PageDocument();
  CHECK(page.starts_with("<!doctype html>"));
  CHECK(CountOf(page, "<style") == 1);
  CHECK(CountOf(page, "<script") == 1);
  CHECK(CountOf(page, "</script>") == 1);
  CHECK(CountOf(page, " src=") == 0);
  CHECK(CountOf(page, "@import") == 0);
}

TEST_CASE("the page names no other host") {
  const std::string page = internal::PageDocument();
  // Namespaces of SVG are names, and nobody fetches them.
  CHECK(CountOf(page, "://") == CountOf(page, "http://www.w3.org/2000/svg"));
}

TEST_CASE("no data becomes markup, and no script is in an attribute") {
  const std::string page = internal::PageDocument();
  for (const std::string_view never :
       {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function",
        " onclick", " onload", " onerror", "javascript:"}) {
    CAPTURE(never);
    CHECK(CountOf(page, never) == 0);
  }
}

TEST_CASE("the policy of the page lets its own script and style through, and nothing else") {
  const std::string policy = internal::PagePolicy();
  CHECK_THAT(policy, ContainsSubstring("default-src 'none'"));
  CHECK_THAT(policy, ContainsSubstring("connect-src 'self'"));
  CHECK_THAT(policy, ContainsSubstring("frame-ancestors 'none'"));
  CHECK(CountOf(policy, "'sha256-") == 2);
  CHECK(CountOf(policy, "unsafe") == 0);
}

}  // namespace
}  // namespace holdfast::page_test
