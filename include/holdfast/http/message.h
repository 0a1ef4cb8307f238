// An HTTP request as its caller makes it, and the response to it.
//
//   holdfast::http::Request request = {.method = "PUT", .target = "/orders/7"};
//   request.headers.Set("Content-Type", "application/json");
//   request.body = "{}";
#ifndef HOLDFAST_HTTP_MESSAGE_H_
#define HOLDFAST_HTTP_MESSAGE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "holdfast/http/headers.h"

namespace holdfast::http {

struct Response {
  int status = 0;           // 100 to 999
  std::string reason = {};  // may be empty
  int minor_version = 1;    // of HTTP/1
  Headers headers = {};
  std::string body = {};
  Headers trailers = {};  // of a chunked body; apart, since they may not change what a head says
};

// Appends the next part of a body, from `offset` on, to `bytes`, which is empty. Appends nothing:
// the body is over. False: the request is cancelled. It is asked only when all that it gave before
// is written, so it never runs ahead of the server. It may block, and then nothing is received in
// the meantime.
using BodySender = std::function<bool(std::uint64_t offset, std::string& bytes)>;

// Takes the next part of a body, which is not empty. False: the request is cancelled.
using BodyReceiver = std::function<bool(std::string_view part)>;

// How many bytes of a body have been moved, as they are on the wire but for what chunks add;
// nullopt where the whole is unknown. False: the request is cancelled.
using BodyProgress = std::function<bool(std::uint64_t done, std::optional<std::uint64_t> total)>;

// Whether a response of that status is an answer, whose body a receiver gets. After the others the
// request may be sent again, and a receiver that writes a file would get the body of a failure in
// it: 408, 425, 429 and all from 500 up but 501.
constexpr bool IsForReceiver(int status) {
  const bool failure = status == 408 || status == 425 || status == 429 || status >= 500;
  return !failure || status == 501;
}

// Callbacks run in the thread that makes the exchange, one at a time. One that throws ends the
// exchange, and the exception passes to the caller.
struct Request {
  std::string method = "GET";  // case counts
  std::string target = "/";    // "/path?query", percent-encoded; "*" for OPTIONS
  // Content-Length and Transfer-Encoding come from the body: fields that contradict it are refused.
  // Host is that of the URL unless it is here. With "Expect: 100-continue" the body is held back
  // until the server asks for it or the time for that is over; without a body the field is left
  // out.
  Headers headers = {};
  std::string body = {};

  // Instead of `body`. With a length, other bytes than so many are an error (kRequest), and the
  // connection is closed. Without, the body is chunked.
  BodySender sender = {};
  std::optional<std::uint64_t> sender_length = {};
  // Of a chunked body: asked once, when the sender said that the body is over.
  std::function<Headers()> trailers = {};

  // Gets the body of a response that IsForReceiver, decoded, without a bound. The body of another
  // one is in Response::body, bounded, as it is without a receiver.
  BodyReceiver receiver = {};
  // The response without its body, before the receiver gets a part. False: the request is
  // cancelled.
  std::function<bool(const Response&)> on_head = {};
  // Each response with a status from 100 to 199 but 101, which come before the one that counts.
  std::function<void(const Response&)> on_interim = {};
  BodyProgress on_upload = {};
  BodyProgress on_download = {};
};

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_MESSAGE_H_
