// The calls of httplib::Client on a StandardClient, against a server of cpp-httplib.
#include "holdfast/http/httplib_client.h"

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/base/rejection.h"
#include "holdfast/http.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

namespace holdfast::http::httplib_client_test {
namespace {

using test::FormPartsOf;
using test::TestServer;

// Answers with what it got: method, path with query, Content-Type, X, and the body.
class EchoServer : public TestServer {
 public:
  EchoServer() {
    const auto echo = [](const httplib::Request& request, httplib::Response& response) {
      std::string text = request.method + " " + request.target + " " +
                         request.get_header_value("Content-Type") + " " +
                         request.get_header_value("X") + " " + request.body;
      // It takes a form of this kind for params.
      for (const auto& [name, value] : request.params) text += "|" + name + "=" + value;
      response.set_header("Echo", text + ".");
      response.set_content(text, "text/plain");
    };
    Get(".*", echo);
    Post(".*", echo);
    Put(".*", echo);
    Patch(".*", echo);
    Delete(".*", echo);
    Options(".*", echo);
    Start();
  }
  std::string Url() const { return "http://" + Host(); }
};

std::string BodyOf(const httplib::Result& result) {
  return result ? result->body : "error " + httplib::to_string(result.error());
}

// They could be fields of a form or headers.
template <class Client>
concept PostsBraces = requires(const Client& client) { client.Post("/", {{"user", "scott"}}); };
template <class Client>
concept PostsParams = requires(const Client& client, httplib::Params& params) {
  client.Post("/", params);
  client.Post("/", std::as_const(params));
};
static_assert(!PostsBraces<HttplibClient>);
static_assert(PostsParams<HttplibClient>);

TEST_CASE("GET is sent with each kind of arguments") {
  EchoServer server;
  HttplibClient client(server.Url());
  const httplib::Headers headers = {{"X", "y"}};
  const httplib::Params params = {{"a", "1&2"}, {"b", "c d"}};
  std::string got;
  std::vector<int> heads;
  const auto receive = [&](const char* data, std::size_t size) {
    got.append(data, size);
    return true;
  };
  const auto on_head = [&](const httplib::Response& response) {
    heads.push_back(response.status);
    return true;
  };
  std::uint64_t moved = 0;
  const auto progress = [&](std::uint64_t current, std::uint64_t) {
    moved = current;
    return true;
  };
  CHECK(BodyOf(client.Get("/x")) == "GET /x   ");
  CHECK(BodyOf(client.Get("/x", headers)) == "GET /x  y ");
  CHECK(BodyOf(client.Get("/x", {{"X", "z"}})) == "GET /x  z ");
  CHECK(BodyOf(client.Get("/x", progress)) == "GET /x   ");
  CHECK(moved == 9);
  CHECK(BodyOf(client.Get("/x", headers, progress)) == "GET /x  y ");
  CHECK(BodyOf(client.Get("/x", params, headers)) == "GET /x?a=1%262&b=c%20d  y |a=1&2|b=c d");
  CHECK(BodyOf(client.Get("/x?q", params, {}, progress)) ==
        "GET /x?q&a=1%262&b=c%20d   |a=1&2|b=c d|q=");
  SECTION("with a receiver") {
    CHECK(BodyOf(client.Get("/1", receive)).empty());
    CHECK(BodyOf(client.Get("/2", receive, progress)).empty());
    CHECK(BodyOf(client.Get("/3", headers, receive)).empty());
    CHECK(BodyOf(client.Get("/4", headers, receive, progress)).empty());
    CHECK(BodyOf(client.Get("/5", on_head, receive)).empty());
    CHECK(BodyOf(client.Get("/6", on_head, receive, progress)).empty());
    CHECK(BodyOf(client.Get("/7", headers, on_head, receive)).empty());
    CHECK(BodyOf(client.Get("/8", headers, on_head, receive, progress)).empty());
    CHECK(BodyOf(client.Get("/9", {}, headers, receive)).empty());
    CHECK(got ==
          "GET /1   GET /2   GET /3  y GET /4  y GET /5   GET /6   GET /7  y GET /8  y GET /9  y ");
    CHECK(heads == std::vector<int>(4, 200));
  }
  SECTION("with one that refuses") {
    const auto refuse = [](const char*, std::size_t) { return false; };
    CHECK(client.Get("/x", refuse).error() == httplib::Error::Canceled);
    const auto refuse_head = [](const httplib::Response&) { return false; };
    CHECK(client.Get("/x", refuse_head, receive).error() == httplib::Error::Canceled);
  }
}

TEST_CASE("a path is encoded where it can't be sent as it is") {
  EchoServer server;
  const HttplibClient client(server.Url());
  CHECK(BodyOf(client.Get("/a b/%20\xc3\xa9+'?x=1 2")) ==
        "GET /a%20b/%20%C3%A9+'?x=1%202   |x=1 2");
}

TEST_CASE("HEAD and OPTIONS") {
  EchoServer server;
  const HttplibClient client(server.Url());
  CHECK(client.Head("/x")->get_header_value("Echo") == "HEAD /x   .");
  CHECK(client.Head("/x", {{"X", "y"}})->get_header_value("Echo") == "HEAD /x  y .");
  CHECK(BodyOf(client.Options("/x")) == "OPTIONS /x   ");
  CHECK(BodyOf(client.Options("*", {{"X", "y"}})) == "OPTIONS *  y ");
}

TEST_CASE("POST is sent with each kind of body") {
  EchoServer server;
  HttplibClient client(server.Url());
  const httplib::Headers headers = {{"X", "y"}};
  const httplib::Params params = {{"a", "1&2"}, {"b", "c d"}};
  const std::string text = "body";
  const auto provide = [&](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
    return sink.write(text.data() + offset, std::min<std::size_t>(length, 2));
  };
  const auto stream = [&](std::size_t offset, httplib::DataSink& sink) {
    if (offset == text.size()) {
      sink.done();
      return true;
    }
    return sink.write(text.data() + offset, 2);
  };
  CHECK(BodyOf(client.Post("/x")) == "POST /x   ");
  CHECK(BodyOf(client.Post("/x", headers)) == "POST /x  y ");
  CHECK(BodyOf(client.Post("/x", text, "t/p")) == "POST /x t/p  body");
  CHECK(BodyOf(client.Post("/x", "body", "t/p")) == "POST /x t/p  body");
  CHECK(BodyOf(client.Post("/x", "body and more", 4, "t/p")) == "POST /x t/p  body");
  CHECK(BodyOf(client.Post("/x", headers, text, "t/p")) == "POST /x t/p y body");
  CHECK(BodyOf(client.Post("/x", {{"X", "z"}}, "body", "t/p")) == "POST /x t/p z body");
  CHECK(BodyOf(client.Post("/x", {{"Content-Type", "other"}}, "body", "t/p")) ==
        "POST /x t/p  body");
  CHECK(BodyOf(client.Post("/x", {{"content-type", "other"}}, "body", "")) ==
        "POST /x other  body");
  CHECK(BodyOf(client.Post("/x", headers, text.data(), 3, "t/p")) == "POST /x t/p y bod");
  CHECK(BodyOf(client.Post("/x", text.size(), provide, "t/p")) == "POST /x t/p  body");
  CHECK(BodyOf(client.Post("/x", headers, 4, provide, "t/p")) == "POST /x t/p y body");
  CHECK(BodyOf(client.Post("/x", stream, "t/p")) == "POST /x t/p  body");
  CHECK(BodyOf(client.Post("/x", headers, stream, "t/p")) == "POST /x t/p y body");
  const std::string form = "application/x-www-form-urlencoded";
  const std::string sent = "a=1%262&b=c%20d|a=1&2|b=c d";
  CHECK(BodyOf(client.Post("/x", params)) == "POST /x " + form + "  " + sent);
  CHECK(BodyOf(client.Post("/x", headers, params)) == "POST /x " + form + " y " + sent);
}

TEST_CASE("PUT, PATCH and DELETE take what POST takes") {
  EchoServer server;
  const HttplibClient client(server.Url());
  const httplib::Headers headers = {{"X", "y"}};
  CHECK(BodyOf(client.Put("/x")) == "PUT /x   ");
  CHECK(BodyOf(client.Put("/x", "body", "t/p")) == "PUT /x t/p  body");
  CHECK(BodyOf(client.Put("/x", headers, "body", "t/p")) == "PUT /x t/p y body");
  CHECK(BodyOf(client.Patch("/x", "body", "t/p")) == "PATCH /x t/p  body");
  CHECK(BodyOf(client.Patch("/x", headers, "body", "t/p")) == "PATCH /x t/p y body");
  CHECK(BodyOf(client.Delete("/x")) == "DELETE /x   ");
  CHECK(BodyOf(client.Delete("/x", headers)) == "DELETE /x  y ");
  CHECK(BodyOf(client.Delete("/x", headers, "body", "t/p")) == "DELETE /x t/p y body");
}

TEST_CASE("a form of cpp-httplib's items arrives") {
  TestServer server;
  server.Post("/form", [](const httplib::Request& request, httplib::Response& response) {
    for (const std::string& part : FormPartsOf(request)) response.body += part + ";";
  });
  server.Start();
  const HttplibClient client("http://" + server.Host());
  struct Item {
    std::string name, content, filename, content_type;
  };
  const std::vector<Item> items = {{"f", "text", "f.txt", "text/plain"}};
  CHECK(BodyOf(client.Post("/form", items)) == "f|f.txt|text/plain|text;");
  CHECK(BodyOf(client.Post("/form", {{"X", "y"}}, items)) == "f|f.txt|text/plain|text;");
  const httplib::Result refused = client.Post("/form", std::vector<Item>());
  CHECK(absl::IsInvalidArgument(ResultTraits<httplib::Result>::StatusOf(refused)));
  CHECK(server.requests() == 2);
}

TEST_CASE("a request is sent as it is, with the defaults that it lacks") {
  std::vector<Request> seen;
  HttplibClient client{StandardClient([&](const Request& request) {
    seen.push_back(request);
    return absl::StatusOr<Response>(Response{.status = 200});
  })};
  const auto header = [&](const char* name) {
    return std::string(seen.back().headers.Find(name).value_or("none"));
  };
  httplib::Request request = test::MakeRequest("PURGE", "/x", "body");
  CHECK(client.send(request));
  CHECK(seen.back().method == "PURGE");
  CHECK(seen.back().target == "/x");
  CHECK(seen.back().body == "body");
  CHECK(header("Authorization") == "none");

  client.set_default_headers({{"X", "1"}, {"X", "2"}, {"Y", "3"}});
  client.set_basic_auth("Aladdin", "open sesame");
  request.headers.emplace("y", "4");
  const httplib::Result result = client.send(request);
  CHECK(seen.back().headers.Count("X") == 2);
  CHECK(seen.back().headers.Count("Y") == 1);
  CHECK(header("Y") == "4");
  CHECK(header("Authorization") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  CHECK(result.has_request_header("Authorization"));

  client.set_bearer_token_auth("t");
  CHECK(client.Get("/"));
  CHECK(header("Authorization") == "Bearer t");
  CHECK(client.Get("/", {{"authorization", "mine"}}));
  CHECK(header("Authorization") == "mine");
  CHECK(seen.back().headers.Count("Authorization") == 1);
  client.set_bearer_token_auth("");
  CHECK(client.Get("/"));
  CHECK(header("Authorization") == "none");
}

TEST_CASE("a rejection is a result without a response, which still has its status") {
  int ran = 0;
  HttplibClient client{StandardClient(
      [&](const Request&) {
        ++ran;
        return absl::StatusOr<Response>(Response{.status = 200});
      },
      {.bulkhead = {.limit = 1, .name = "orders"}})};
  const auto permit = client.standard_client().semaphore().TryAcquire();
  const httplib::Result refused = client.Get("/");
  CHECK_FALSE(refused);
  CHECK(refused.error() == httplib::Error::Connection);
  const absl::Status status = ResultTraits<httplib::Result>::StatusOf(refused);
  CHECK(status.code() == absl::StatusCode::kResourceExhausted);
  REQUIRE(RejectionOf(status).has_value());
  CHECK(RejectionOf(status)->name == "orders");
  CHECK(ran == 0);
}

TEST_CASE("an error of the transport has the error that cpp-httplib gives it") {
  using httplib::Error;
  const auto error_of = [](const absl::Status& status) {
    const HttplibClient client{
        StandardClient([&](const Request&) { return absl::StatusOr<Response>(status); },
                       {.retry = {.max_attempts = 1}})};
    const httplib::Result result = client.Get("/");
    CHECK(ResultTraits<httplib::Result>::StatusOf(result) == status);
    return result.error();
  };
  const auto of_kind = [&](TransportError kind) {
    return error_of(WithTransportError(absl::UnavailableError("no"), kind));
  };
  CHECK(of_kind(TransportError::kConnect) == Error::Connection);
  CHECK(of_kind(TransportError::kTls) == Error::SSLConnection);
  CHECK(of_kind(TransportError::kCertificate) == Error::SSLServerVerification);
  CHECK(of_kind(TransportError::kOutcomeUnknown) == Error::Read);
  CHECK(of_kind(TransportError::kMalformed) == Error::Read);
  CHECK(of_kind(TransportError::kRedirect) == Error::ExceedRedirectCount);
  CHECK(of_kind(TransportError::kRequest) == Error::Unknown);
  CHECK(error_of(WithTransportError(absl::DeadlineExceededError("late"),
                                    TransportError::kConnect)) == Error::ConnectionTimeout);
  CHECK(error_of(WithTransportError(absl::CancelledError("no"), TransportError::kOutcomeUnknown)) ==
        Error::Canceled);
}

TEST_CASE("the options of the standard client apply: retries, and redirects where they are on") {
  TestServer server;
  std::atomic<int> asked = 0;
  server.Get("/old", [&](const httplib::Request&, httplib::Response& response) {
    response.status = 503;
    if (++asked > 1) response.set_redirect("/new");
  });
  server.Get("/new", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("page", "text/plain");
  });
  server.Start();
  const HttplibClient client("http://" + server.Host(), {.redirects = {}});
  CHECK(BodyOf(client.Get("/old")) == "page");
  CHECK(server.requests() == 3);
}

}  // namespace
}  // namespace holdfast::http::httplib_client_test
