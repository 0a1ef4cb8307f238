#include "holdfast/metrics_http/otlp_push_options.h"

#include <zlib.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>

#include "holdfast/metrics_http/otlp_push.h"
#include "src/metrics_http/gzip.h"
#include "src/metrics_http/otlp_push_exchange.h"
#include "test/metrics_http/receiver.h"
#include "test/support/catch.h"

namespace holdfast::otlp_push_options_test {
namespace {

using namespace std::chrono_literals;
using test::ContainsSubstring;

TEST_CASE("the defaults are valid, and each option has a range") {
  CHECK(Validate(OtlpPushOptions()).ok());
  const std::pair<OtlpPushOptions, std::string> cases[] = {
      {{.endpoint = "localhost:4318"}, "endpoint must be http[s]://"},
      {{.endpoint = "ftp://localhost/v1"}, "endpoint must be http[s]://"},
      {{.endpoint = "http://user:word@localhost/v1"}, "user or a password"},
      {{.endpoint = "http://localhost:99999/"}, "port"},
      {{.endpoint = ""}, "endpoint"},
      {{.endpoint = "http://localhost/a b"}, "percent-encoded"},
      {{.endpoint = "http://localhost/#top"}, "percent-encoded"},
      {{.interval = 99ms}, "interval must be at least 100 ms"},
      {{.timeout = 9ms}, "timeout must be at least 10 ms"},
      {{.headers = {{"content-TYPE", "text/plain"}}}, "must not describe the body"},
      {{.headers = {{"Content-Length", "1"}}}, "must not describe the body"},
      {{.headers = {{"a b", "1"}}}, "a name or a value that is none"},
      {{.headers = {{"a", "1\r\nb: 2"}}}, "a name or a value that is none"},
      {{.max_body = 0}, "max_body must be at least 1"},
      {{.transport = {.max_connections = 0}}, "max_connections"}};
  for (const auto& [options, sentence] : cases) {
    const absl::Status status = Validate(options);
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK_THAT(std::string(status.message()), ContainsSubstring(sentence));
    CHECK_THROWS_AS(OtlpPush(test::SomeMetrics(), options), std::invalid_argument);
  }
  CHECK_THROWS_AS(OtlpPush(nullptr, {.interval = Duration::max()}), std::invalid_argument);
}

TEST_CASE("an endpoint is an origin and a target") {
  const auto split = [](std::string_view url) {
    const internal::OtlpEndpoint endpoint = internal::SplitEndpoint(url);
    return endpoint.origin + " " + endpoint.target;
  };
  CHECK(split("http://localhost:4318/v1/metrics") == "http://localhost:4318 /v1/metrics");
  CHECK(split("https://[::1]:4318/a/b?c=/d") == "https://[::1]:4318 /a/b?c=/d");
  CHECK(split("https://a") == "https://a /");
  CHECK(split("https://a?b=c") == "https://a /?b=c");
  CHECK(split("a/b") == "a /b");
}

std::string Inflated(const std::string& bytes) {
  z_stream stream = {};
  REQUIRE(inflateInit2(&stream, 15 + 16) == Z_OK);
  std::string text(std::size_t{4} << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  CHECK(inflate(&stream, Z_FINISH) == Z_STREAM_END);
  CHECK(stream.avail_in == 0);
  text.resize(text.size() - stream.avail_out);
  inflateEnd(&stream);
  return text;
}

TEST_CASE("a compressed body is what it was") {
  std::mt19937 random(7);
  for (const std::size_t size : {0, 1, 65535, 65536, 65537, 1'000'000}) {
    std::string noise(size, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    CHECK(Inflated(internal::Gzip(noise)) == noise);
    CHECK(Inflated(internal::Gzip(std::string(size, 'x'))) == std::string(size, 'x'));
  }
  const OtlpPushOptions options = {.gzip = true};
  const http::Request request = internal::OtlpRequest(options, "{}");
  CHECK(request.headers.Find("Content-Encoding") == "gzip");
  CHECK(Inflated(request.body) == "{}");
}

}  // namespace
}  // namespace holdfast::otlp_push_options_test
