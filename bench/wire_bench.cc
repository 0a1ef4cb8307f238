// The readers of HTTP/1.1 against http-parser and Boost.Beast's parser, where those are: a small
// request, a response with twelve fields, and a chunked body. Each makes of the bytes what a caller
// needs: the names and values of the fields, and the parts of the body.
#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "holdfast/http/wire/reader.h"

#ifdef HOLDFAST_BENCH_HTTP_PARSER
#include <http_parser.h>
#endif
#ifdef HOLDFAST_BENCH_BEAST
#include <boost/beast/http/basic_parser.hpp>
#endif

namespace {

constexpr std::string_view kRequest =
    "GET /v1/items/42?fields=name,price HTTP/1.1\r\n"
    "Host: api.example.org\r\n"
    "User-Agent: holdfast\r\n"
    "Accept: application/json\r\n"
    "Accept-Encoding: gzip\r\n"
    "\r\n";

constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\n"
    "Date: Mon, 06 Jul 2026 10:00:00 GMT\r\n"
    "Server: nginx\r\n"
    "Content-Type: application/json; charset=utf-8\r\n"
    "Content-Length: 16\r\n"
    "Connection: keep-alive\r\n"
    "Vary: Accept-Encoding\r\n"
    "ETag: \"33a64df551425fcc55e4d42a148795d9f25f89d4\"\r\n"
    "Cache-Control: private, max-age=60\r\n"
    "X-Request-Id: 7b6c2d9e-0f1a-4c7e-9b61-2f5e8f0a9d13\r\n"
    "X-RateLimit-Remaining: 4999\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Strict-Transport-Security: max-age=63072000; includeSubDomains\r\n"
    "\r\n"
    "{\"answer\": \"42\"}";

// Sixteen chunks of 1 KiB.
const std::string& ChunkedResponse() {
  static const std::string response = [] {
    std::string bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 16; ++i) bytes += "400\r\n" + std::string(1024, 'x') + "\r\n";
    return bytes + "0\r\n\r\n";
  }();
  return response;
}

// What a parser says of a message: the bytes of its fields and of its body.
struct Seen {
  std::size_t fields = 0;
  std::size_t body = 0;
};

// Reads a message again and again; complains if not all of it is seen.
template <class Read>
void Loop(benchmark::State& state, std::string_view bytes, std::size_t body, Read read) {
  for (auto _ : state) {
    Seen seen;
    const bool complete = read(bytes, seen);
    if (!complete || seen.body != body || seen.fields == 0) {
      state.SkipWithError("the message is not understood");
      break;
    }
    benchmark::DoNotOptimize(seen);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes.size()));
}

template <class Reader>
bool ReadByOurs(Reader& reader, std::string_view bytes, Seen& seen) {
  using holdfast::http::wire::Event;
  for (;;) {
    switch (reader.Next(bytes)) {
      case Event::kHead:
        for (const auto& field : reader.fields()) {
          seen.fields += field.name.size() + field.value.size();
        }
        break;
      case Event::kBody:
        seen.body += reader.body().size();
        break;
      case Event::kEnd:
        return true;
      case Event::kNeedMore:
      case Event::kFault:
        return false;
    }
  }
}

void WireRequest(benchmark::State& state) {
  holdfast::http::wire::RequestReader reader;
  Loop(state, kRequest, 0,
       [&](std::string_view bytes, Seen& seen) { return ReadByOurs(reader, bytes, seen); });
}
BENCHMARK(WireRequest);

void ReadResponses(benchmark::State& state, std::string_view bytes, std::size_t body) {
  holdfast::http::wire::ResponseReader reader;
  Loop(state, bytes, body, [&](std::string_view message, Seen& seen) {
    reader.Expect("GET");
    return ReadByOurs(reader, message, seen);
  });
}
void WireResponse(benchmark::State& state) { ReadResponses(state, kResponse, 16); }
void WireChunks(benchmark::State& state) { ReadResponses(state, ChunkedResponse(), 16 << 10); }
BENCHMARK(WireResponse);
BENCHMARK(WireChunks);

#ifdef HOLDFAST_BENCH_HTTP_PARSER

// It holds nothing: a caller whose bytes come in pieces would have to put a field together.
void ReadByHttpParser(benchmark::State& state, http_parser_type type, std::string_view bytes,
                      std::size_t body) {
  struct Told {
    Seen* seen = nullptr;
    bool complete = false;
  };
  static const auto of = [](http_parser* parser) -> Told& {
    return *static_cast<Told*>(parser->data);
  };
  http_parser_settings settings;
  http_parser_settings_init(&settings);
  const http_data_cb field = [](http_parser* parser, const char*, std::size_t size) {
    of(parser).seen->fields += size;
    return 0;
  };
  settings.on_header_field = field;
  settings.on_header_value = field;
  settings.on_body = [](http_parser* parser, const char*, std::size_t size) {
    of(parser).seen->body += size;
    return 0;
  };
  settings.on_message_complete = [](http_parser* parser) {
    of(parser).complete = true;
    return 0;
  };
  http_parser parser;
  http_parser_init(&parser, type);
  Loop(state, bytes, body, [&](std::string_view message, Seen& seen) {
    Told told{.seen = &seen};
    parser.data = &told;
    return http_parser_execute(&parser, &settings, message.data(), message.size()) ==
               message.size() &&
           told.complete;
  });
}
void HttpParserRequest(benchmark::State& state) {
  ReadByHttpParser(state, HTTP_REQUEST, kRequest, 0);
}
void HttpParserResponse(benchmark::State& state) {
  ReadByHttpParser(state, HTTP_RESPONSE, kResponse, 16);
}
void HttpParserChunks(benchmark::State& state) {
  ReadByHttpParser(state, HTTP_RESPONSE, ChunkedResponse(), 16 << 10);
}
BENCHMARK(HttpParserRequest);
BENCHMARK(HttpParserResponse);
BENCHMARK(HttpParserChunks);

#endif
#ifdef HOLDFAST_BENCH_BEAST

template <bool request>
class BeastReader final : public boost::beast::http::basic_parser<request> {
 public:
  explicit BeastReader(Seen& seen) : seen_(seen) { this->eager(true); }

 private:
  using View = boost::beast::string_view;
  using Error = boost::beast::error_code;

  void on_request_impl(boost::beast::http::verb, View, View, int, Error&) override {}
  void on_response_impl(int, View, int, Error&) override {}
  void on_field_impl(boost::beast::http::field, View name, View value, Error&) override {
    seen_.fields += name.size() + value.size();
  }
  void on_header_impl(Error&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Error&) override {}
  std::size_t on_body_impl(View body, Error&) override {
    seen_.body += body.size();
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, View, Error&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, View body, Error&) override {
    seen_.body += body.size();
    return body.size();
  }
  void on_finish_impl(Error&) override {}

  Seen& seen_;
};

// One parser reads one message.
template <bool request>
void ReadByBeast(benchmark::State& state, std::string_view bytes, std::size_t body) {
  Loop(state, bytes, body, [](std::string_view message, Seen& seen) {
    BeastReader<request> reader(seen);
    boost::beast::error_code error;
    while (!error && !reader.is_done() && !message.empty()) {
      message.remove_prefix(reader.put(boost::asio::buffer(message.data(), message.size()), error));
    }
    return reader.is_done();
  });
}
void BeastRequest(benchmark::State& state) { ReadByBeast<true>(state, kRequest, 0); }
void BeastResponse(benchmark::State& state) { ReadByBeast<false>(state, kResponse, 16); }
void BeastChunks(benchmark::State& state) {
  ReadByBeast<false>(state, ChunkedResponse(), 16 << 10);
}
BENCHMARK(BeastRequest);
BENCHMARK(BeastResponse);
BENCHMARK(BeastChunks);

#endif

}  // namespace
