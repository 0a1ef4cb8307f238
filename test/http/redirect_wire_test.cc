// Redirects over a real socket.
#include <optional>
#include <string>
#include <string_view>

#include "holdfast/http.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

namespace holdfast::http::redirect_wire_test {
namespace {

using test::TestServer;

TEST_CASE("a form that is answered with 303 leads to the page, over one connection") {
  TestServer server;
  server.Post("/form/send", [&](const httplib::Request& request, httplib::Response& response) {
    response.set_redirect("../page?" + request.body + "#top", 303);
    response.set_content("see there", "text/plain");
  });
  server.Get("/page", [](const httplib::Request& request, httplib::Response& response) {
    const bool bare = request.body.empty() && !request.has_header("Content-Type") &&
                      !request.has_header("Content-Length");
    response.set_content(bare ? request.get_param_value("a") : "not bare", "text/plain");
  });
  server.Start();
  const StandardClient client("http://" + server.Host(), {.redirects = {}});
  std::string got;
  Request request = {.method = "POST", .target = "/form/send", .body = "a=7"};
  SECTION("into a string") {
    const auto page = client(request);
    REQUIRE(page.ok());
    got = page->body;
  }
  SECTION("into a receiver") {
    request.receiver = [&](std::string_view part) {
      got += part;
      return true;
    };
    CHECK(client(request).ok());
  }
  CHECK(got == "7");
  CHECK(server.requests() == 2);
  CHECK(client.transport().stats().opened == 1);
}

TEST_CASE("a body goes on to another server, and the password does not") {
  TestServer target;
  target.Put("/x", [](const httplib::Request& request, httplib::Response& response) {
    response.set_content(request.get_header_value("Authorization") + "|" +
                             request.get_header_value("Host") + "|" + request.body,
                         "text/plain");
  });
  target.Start();
  TestServer server;
  server.Put("/x", [&](const httplib::Request& request, httplib::Response& response) {
    const bool may = request.get_header_value("Authorization") == "secret";
    response.set_redirect("http://" + target.Host() + (may ? "/x" : "/"), 308);
  });
  server.Start();
  const StandardClient client(
      "http://" + server.Host(),
      {.redirects = {.elsewhere = [](const std::string& origin, const Request& request,
                                     const CallOptions& options) {
         return StandardClient(origin).With(options, request);
       }}});
  const auto answer = client.Put("/x", "body", "text/plain", {{"Authorization", "secret"}});
  REQUIRE(answer.ok());
  CHECK(answer->body == "|" + target.Host() + "|body");
}

}  // namespace
}  // namespace holdfast::http::redirect_wire_test
