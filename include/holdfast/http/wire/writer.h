// Writes messages of HTTP/1.1 whose framing is right, or says why it does not (RFC 9112).
//
//   std::string bytes;
//   absl::Status status = holdfast::http::wire::WriteHead(
//       {.method = "GET", .target = "/status", .host = "example.org"}, bytes);
#ifndef HOLDFAST_HTTP_WIRE_WRITER_H_
#define HOLDFAST_HTTP_WIRE_WRITER_H_

#include <absl/status/status.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "holdfast/http/wire/message.h"

namespace holdfast::http::wire {

// The body that follows a head.
struct BodyPlan {
  Framing framing = Framing::kNone;  // kNone, kLength, kChunked; of a response also kUntilClose
  std::uint64_t length = 0;          // of kLength

  static BodyPlan Length(std::uint64_t length) { return {Framing::kLength, length}; }
  static BodyPlan Chunked() { return {Framing::kChunked, 0}; }
};

struct RequestHead {
  std::string_view method;
  std::string_view target;  // as RequestReader::target
  std::string_view host;    // the value of Host; empty: an empty one is sent
  std::span<const Field> fields = {};
  BodyPlan body = {};
  bool close = false;  // "Connection: close": the connection is to end with this exchange
};

struct ResponseHead {
  int status = 200;              // 100 to 999
  std::string_view reason = {};  // may be empty
  std::span<const Field> fields = {};
  BodyPlan body = {};
  bool close = false;
  bool to_head = false;  // the request was HEAD: the head says what a body would be, and none comes
  bool to_connect = false;  // it was CONNECT: after 2xx the connection is a tunnel
};

// Append a head to `bytes`. The framing is the writer's: Content-Length, Transfer-Encoding, Host
// and "Connection: close" come from the head's own members. Fields of these names are left out
// where they say the same. kInvalidArgument, with nothing appended, where they contradict, for
// names and values that are none (a line break in a value would be another field), for a target
// that does not go with the method, and for a body where none may be. A request that says kNone has
// "Content-Length: 0" if its method is POST, PUT or PATCH (RFC 9110, 8.6).
absl::Status WriteHead(const RequestHead& head, std::string& bytes);
absl::Status WriteHead(const ResponseHead& head, std::string& bytes);

// Append a part of a chunked body; nothing for no data, which would end it.
void WriteChunk(std::string_view data, std::string& bytes);
// Append its end. kInvalidArgument, with nothing appended, for fields that are none or may not be
// in a trailer, since they frame or route (RFC 9110, 6.5.1).
absl::Status WriteLastChunk(std::span<const Field> trailers, std::string& bytes);

}  // namespace holdfast::http::wire

#endif  // HOLDFAST_HTTP_WIRE_WRITER_H_
