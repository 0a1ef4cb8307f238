// What the readers and writers of HTTP/1.1 have in common: fields, framing, limits and faults.
//
//   const holdfast::http::wire::Field fields[] = {{.name = "Accept", .value = "text/html"}};
//   const auto accept = holdfast::http::wire::FindField(fields, "accept");   // "text/html"
#ifndef HOLDFAST_HTTP_WIRE_MESSAGE_H_
#define HOLDFAST_HTTP_WIRE_MESSAGE_H_

#include <absl/status/status.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace holdfast::http::wire {

// A field line, without the blanks around its value. The views are into the memory of whoever made
// it.
struct Field {
  std::string_view name;
  std::string_view value;

  friend bool operator==(const Field&, const Field&) = default;
};

// Names of fields, schemes and most tokens are equal whatever the case of their ASCII letters.
bool EqualsIgnoringCase(std::string_view a, std::string_view b);

// The value of the first field of that name; nullopt if there is none.
std::optional<std::string_view> FindField(std::span<const Field> fields, std::string_view name);

// Whether a field of that name has `token` in its comma-separated list (RFC 9110, 5.6.1).
bool HasToken(std::span<const Field> fields, std::string_view name, std::string_view token);

// How a body ends (RFC 9112, 6.3).
enum class Framing : signed char {
  kNone,        // there is none
  kLength,      // after Content-Length bytes
  kChunked,     // with its last chunk
  kUntilClose,  // with the connection; responses only
  kTunnel,      // the connection is no HTTP any more: after 101, and 2xx to CONNECT
};

// What a reader takes. A message beyond a limit is a fault, found as early as the bytes tell. A
// trailer may be as long as a head.
struct Limits {
  std::size_t head = std::size_t{64} << 10;       // bytes of start line and fields, 256 to 2^24
  std::size_t fields = 1000;                      // lines of a head or a trailer, 1 to 100,000
  std::uint64_t body = std::uint64_t{100} << 20;  // bytes, without what chunks add; 0 to 2^63 - 1
};

absl::Status Validate(const Limits& limits);

// Why a message is refused: the status that a server answers, and a sentence (a string literal).
struct Fault {
  int status = 400;  // 400, 413, 414, 431, 501 or 505
  std::string_view text = {};
};

}  // namespace holdfast::http::wire

#endif  // HOLDFAST_HTTP_WIRE_MESSAGE_H_
