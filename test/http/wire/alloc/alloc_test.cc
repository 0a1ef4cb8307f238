// What the readers and the writer of HTTP/1.1 allocate: nothing, once they have had one message as
// long.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "holdfast/http/wire/reader.h"
#include "holdfast/http/wire/writer.h"
#include "test/support/allocations.h"
#include "test/support/catch.h"

namespace holdfast::http::wire {
namespace {

using testing::allocations;

// As long as a head's buffer is at first.
std::string Head(std::string head) {
  for (int i = 0; i < 20; ++i) head += "X-Name-" + std::to_string(i) + ": a value, and another\r\n";
  head += "X-Long: ";
  head.append(4096 - head.size() - 4, 'x');
  return head + "\r\n\r\n";
}

struct Read {
  std::int64_t allocated = 0;
  std::size_t fields = 0;
  std::size_t body = 0;
  bool complete = false;
};

template <class R>
Read ReadIn(R& reader, std::string_view bytes, std::size_t piece, bool close = false) {
  Read read;
  const std::int64_t before = allocations;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) {
    std::string_view rest = bytes.substr(0, piece);
    for (Event event = reader.Next(rest); event != Event::kNeedMore; event = reader.Next(rest)) {
      if (event == Event::kHead) read.fields = reader.fields().size();
      if (event == Event::kBody) read.body += reader.body().size();
      read.complete = event == Event::kEnd;
      if (event == Event::kFault) break;
    }
  }
  if (close) read.complete = reader.Close() == Event::kEnd;
  read.allocated = allocations - before;
  return read;
}

TEST_CASE("a reader of requests allocates nothing once it has read one") {
  const std::string request = Head(
                                  "POST /a/target/that/is/no/short/string HTTP/1.1\r\nHost: h\r\n"
                                  "Content-Length: 5\r\n") +
                              "hello";
  RequestReader reader;
  CHECK(ReadIn(reader, request, request.size()).complete);
  for (const std::size_t piece : {request.size(), std::size_t{1}, std::size_t{100}}) {
    const Read read = ReadIn(reader, request, piece);
    CHECK(read.complete);
    CHECK(read.fields == 23);
    CHECK(read.body == 5);
    CHECK(read.allocated == 0);
  }
}

TEST_CASE("a reader of responses allocates nothing once it has read one, interim ones included") {
  const std::string response =
      "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n" +
      Head("HTTP/1.1 200 A reason that is no short string\r\nTransfer-Encoding: chunked\r\n") +
      "5;extension\r\nhello\r\n5\r\nhello\r\n0\r\nX-Trailer: a value that is no short "
      "string\r\n\r\n";
  ResponseReader reader;
  reader.Expect("GET");
  CHECK(ReadIn(reader, response, response.size()).complete);
  for (const std::size_t piece : {response.size(), std::size_t{1}, std::size_t{100}}) {
    reader.Expect("GET");
    const Read read = ReadIn(reader, response, piece);
    CHECK(read.complete);
    CHECK(read.fields == 22);
    CHECK(read.body == 10);
    CHECK(read.allocated == 0);
  }
}

TEST_CASE("a long body is allocated no memory for, whatever ends it") {
  const std::string body(1 << 20, 'x');
  const auto read = [&body](const std::string& head, bool chunk, bool close) {
    std::string bytes = "HTTP/1.1 200 OK\r\n" + head + "\r\n";
    if (chunk) {
      WriteChunk(body, bytes);
      CHECK(WriteLastChunk({}, bytes).ok());
    } else {
      bytes += body;
    }
    ResponseReader reader;
    reader.Expect("GET");
    return ReadIn(reader, bytes, 16 << 10, close);
  };
  for (const Read& one :
       {read("Content-Length: 1048576\r\n", false, false),
        read("Transfer-Encoding: chunked\r\n", true, false), read("", false, true)}) {
    CHECK(one.complete);
    CHECK(one.body == body.size());
    CHECK(one.allocated == 0);
  }
}

TEST_CASE("a reader has room for a usual head, and none for a trailer") {
  const std::int64_t before = allocations;
  const ResponseReader reader;
  CHECK(allocations - before == 3);  // the text, where the fields are in it, and the fields
}

TEST_CASE("a message that is refused allocates nothing") {
  RequestReader reader;
  const Read read = ReadIn(reader, "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 7);
  CHECK(reader.fault().status == 400);
  CHECK(read.allocated == 0);
}

TEST_CASE("a head and chunks are written without another allocation where there is room for them") {
  const Field fields[] = {{.name = "Accept", .value = "application/json"},
                          {.name = "X-Request-Id", .value = "a value that is no short string"}};
  const RequestHead head{.method = "POST",
                         .target = "/a/target/that/is/no/short/string",
                         .host = "api.example.org",
                         .fields = fields,
                         .body = BodyPlan::Chunked()};
  std::string bytes;
  bytes.reserve(1024);
  const std::int64_t before = allocations;
  const bool wrote = WriteHead(head, bytes).ok();
  WriteChunk("hello", bytes);
  const bool ended = WriteLastChunk({}, bytes).ok();
  CHECK(allocations == before);
  CHECK(wrote);
  CHECK(ended);
}

}  // namespace
}  // namespace holdfast::http::wire
