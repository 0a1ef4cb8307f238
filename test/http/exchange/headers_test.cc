#include "holdfast/http/headers.h"

#include <string>

#include "test/support/catch.h"

namespace holdfast::http::headers_test {
namespace {

TEST_CASE("headers are found whatever the case of their names, and stay in their order") {
  Headers headers = {{"Accept", "a"}, {"Cookie", "1"}, {"X-A", ""}};
  headers.Add("cookie", "2");
  CHECK(headers.size() == 4);
  CHECK(headers.Find("COOKIE") == "1");
  CHECK(headers.Find("x-a") == "");
  CHECK(headers.Find("X-B") == std::nullopt);
  CHECK(headers.Count("Cookie") == 2);
  CHECK(headers.Count("X-B") == 0);
  CHECK(headers.Has("accept"));
  CHECK_FALSE(headers.Has("Accep"));
  std::string names;
  for (const Header& header : headers) names += header.name + " ";
  CHECK(names == "Accept Cookie X-A cookie ");
}

TEST_CASE("Set leaves one of a name, in the place of the first") {
  Headers headers = {{"A", "1"}, {"B", "2"}, {"a", "3"}, {"C", "4"}, {"A", "5"}};
  headers.Set("a", "6");
  CHECK(headers == Headers({{"A", "6"}, {"B", "2"}, {"C", "4"}}));
  headers.Set("D", "7");
  CHECK(headers == Headers({{"A", "6"}, {"B", "2"}, {"C", "4"}, {"D", "7"}}));
  headers.Set("d", std::string(headers.Find("b").value_or("none")));
  CHECK(headers.Find("D") == "2");
}

TEST_CASE("Remove takes all of a name, and says how many") {
  Headers headers = {{"A", "1"}, {"B", "2"}, {"a", "3"}};
  CHECK(headers.Remove("x") == 0);
  CHECK(headers.Remove(headers.begin()->name) == 2);
  CHECK(headers == Headers({{"B", "2"}}));
  CHECK(headers.Remove("b") == 1);
  CHECK(headers.empty());
}

TEST_CASE("headers are equal if names, values and order are") {
  const Headers one = {{"A", "x"}, {"B", "y"}};
  CHECK(one == Headers({{"a", "x"}, {"b", "y"}}));
  CHECK_FALSE(one == Headers({{"B", "y"}, {"A", "x"}}));
  CHECK_FALSE(one == Headers({{"A", "X"}, {"B", "y"}}));
  CHECK_FALSE(one == Headers({{"A", "x"}}));
}

}  // namespace
}  // namespace holdfast::http::headers_test
