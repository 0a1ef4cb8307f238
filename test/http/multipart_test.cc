#include "holdfast/http/multipart.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/http.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

namespace holdfast::http::multipart_test {
namespace {

using Items = std::vector<FormItem>;
using test::ContainsSubstring;
using test::MakeRequest;
using test::TestServer;

std::string Boundary(const httplib::Request& request) {
  const std::string type = request.get_header_value("Content-Type");
  const std::string_view begin = "multipart/form-data; boundary=";
  REQUIRE(type.starts_with(begin));
  return type.substr(begin.size());
}

httplib::Request Form(const Items& items) {
  httplib::Request request = MakeRequest("POST", "/form");
  REQUIRE(SetMultipart(request, items).ok());
  return request;
}

TEST_CASE("a form is written as RFC 7578 has it") {
  const httplib::Request request = Form({
      {.name = "title", .content = "Holiday", .filename = "", .content_type = ""},
      {.name = "photo",
       .content = "\xff\r\n--x",
       .filename = "a b.jpg",
       .content_type = "image/jpeg"},
  });
  const std::string line = "--" + Boundary(request);
  CHECK(request.body == line +
                            "\r\nContent-Disposition: form-data; name=\"title\"\r\n"
                            "\r\nHoliday\r\n" +
                            line +
                            "\r\nContent-Disposition: form-data; name=\"photo\"; "
                            "filename=\"a b.jpg\"\r\nContent-Type: image/jpeg\r\n"
                            "\r\n\xff\r\n--x\r\n" +
                            line + "--\r\n");
}

TEST_CASE("a server reads the form that was meant") {
  TestServer server;
  std::vector<std::string> seen;
  server.Post("/form", [&](const httplib::Request& request, httplib::Response&) {
    seen = test::FormPartsOf(request);
  });
  server.Start();
  const std::string binary("\0\r\n--\xff\"", 7);
  const auto response = Transport("http://" + server.Host())(Form({
      {.name = "a", .content = binary, .filename = "f.bin", .content_type = "x/y"},
      {.name = "b", .content = "", .filename = "", .content_type = ""},
  }));
  REQUIRE(response.ok());
  CHECK(response->status == 200);
  CHECK(seen == std::vector<std::string>{"a|f.bin|x/y|" + binary, "b|||"});
}

TEST_CASE("what would end a name is escaped") {
  const httplib::Request request = Form({{.name = "a\"; x=\"b\r\nEvil: 1",
                                          .content = "c",
                                          .filename = "d\"\n.txt",
                                          .content_type = ""}});
  CHECK_THAT(
      request.body,
      ContainsSubstring(
          "form-data; name=\"a%22; x=%22b%0D%0AEvil: 1\"; filename=\"d%22%0A.txt\"\r\n\r\nc"));
}

TEST_CASE("what can't be said is refused, and the request stays as it was") {
  const Items items =
      GENERATE(as<Items>(), Items{}, Items{{std::string_view("a\0b", 3), "c", "", ""}},
               Items{{"a", "c", "\x1b.txt", ""}}, Items{{"a", "c", "", "text/plain\r\nEvil: 1"}},
               Items{{"a", "c", "", "text/plain\x7f"}});
  httplib::Request request = MakeRequest("POST", "/", "before");
  request.set_header("Content-Type", "text/plain");
  const absl::Status status = SetMultipart(request, items);
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(status.message()), ContainsSubstring("SetMultipart: "));
  CHECK(request.body == "before");
  CHECK(request.get_header_value("Content-Type") == "text/plain");
}

TEST_CASE("a form takes the place of any body") {
  httplib::Request request = MakeRequest("POST", "/", "before");
  request.headers = {{"content-type", "text/plain"},
                     {"Content-Length", "3"},
                     {"Transfer-Encoding", "chunked"},
                     {"Token", "t"}};
  request.content_provider_ = [](std::size_t, std::size_t, httplib::DataSink&) { return false; };
  request.is_chunked_content_provider_ = true;
  const Items items = {{"a", "b", "", ""}};
  REQUIRE(SetMultipart(request, items).ok());
  CHECK_FALSE(request.content_provider_);
  CHECK_FALSE(request.is_chunked_content_provider_);
  CHECK(request.headers.size() == 2);
  CHECK(request.get_header_value("Token") == "t");
  CHECK(request.body.starts_with("--" + Boundary(request)));
}

TEST_CASE("each form has a boundary of its own, which is in none of its items") {
  std::string previous;
  for (int i = 0; i < 3; ++i) {
    const httplib::Request request = Form({{"a", previous, "", ""}});
    const std::string boundary = Boundary(request);
    CHECK(boundary.size() <= 70);  // RFC 2046, 5.1.1
    CHECK(boundary != previous);
    previous = boundary;
  }
}

TEST_CASE("anything with the four members is an item") {
  struct Part {
    std::string_view name, content, filename, content_type;
  };
  const std::vector<Part> parts = {{"a", "b", "", ""}};
  httplib::Request request = MakeRequest("POST", "/");
  CHECK(SetMultipart(request, parts).ok());
  Request own;
  CHECK(SetMultipart(own, parts).ok());
  CHECK(own.body.size() == request.body.size());
}

TEST_CASE("a form takes the place of any body of a request of our own") {
  const Items items = {{.name = "a", .content = "b"}};
  Request request = {.method = "POST",
                     .headers = {{"content-type", "text/plain"},
                                 {"Content-Length", "3"},
                                 {"Token", "t"},
                                 {"Transfer-Encoding", "chunked"}},
                     .sender = [](std::uint64_t, std::string&) { return false; },
                     .trailers = [] { return Headers(); }};
  REQUIRE(SetMultipart(request, items).ok());
  CHECK_FALSE(request.sender);
  CHECK_FALSE(request.trailers);
  REQUIRE(request.headers.size() == 2);
  CHECK(request.headers.begin()->name == "Token");
  const std::string type(request.headers.Find("Content-Type").value());
  const std::string begin = "multipart/form-data; boundary=";
  REQUIRE(type.starts_with(begin));
  const std::string line = "--" + type.substr(begin.size());
  CHECK(request.body ==
        line + "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n" + line + "--\r\n");
  request.sender = [](std::uint64_t, std::string&) { return true; };
  request.sender_length = 1;
  REQUIRE(SetMultipart(request, items).ok());
  CHECK_FALSE(request.sender_length.has_value());
  const std::string before = request.body;
  CHECK(SetMultipart(request, Items{}).code() == absl::StatusCode::kInvalidArgument);
  CHECK(request.body == before);
}

}  // namespace
}  // namespace holdfast::http::multipart_test
