// An HTTP request as its caller makes it, and the response to it.
//
//   holdfast::http::Request request = {.method = "PUT", .target = "/orders/7"};
//   request.headers.Set("Content-Type", "application/json");
//   request.body = "{}";
#ifndef HOLDFAST_HTTP_MESSAGE_H_
#define HOLDFAST_HTTP_MESSAGE_H_

#include <absl/status/statusor.h>

#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

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

// What a BodySender or a BodyReceiver returns. True: the request goes on. False: it is cancelled.
class BodyAnswer {
 public:
  constexpr BodyAnswer(bool goes_on)  // NOLINT(google-explicit-constructor)
      : kind_(goes_on ? Kind::kGoOn : Kind::kCancel) {}

  // Not now: a sender has nothing, or a receiver did not take the part. The sender is asked again
  // for the same offset, and the receiver is given the same bytes again, after about 1 ms, in which
  // the exchange looks at the time and at a stop, and moves the bytes of the other direction. A
  // sender that has nothing for as long as the write timeout cancels the exchange (kCancelled, for
  // which no policy blames the server), and so does a receiver that takes nothing for as long as
  // the read timeout, in which nothing of the request is written either.
  static constexpr BodyAnswer Later() { return BodyAnswer(Kind::kLater); }

  constexpr bool cancels() const { return kind_ == Kind::kCancel; }
  constexpr bool later() const { return kind_ == Kind::kLater; }

 private:
  enum class Kind : signed char { kGoOn, kLater, kCancel };
  constexpr explicit BodyAnswer(Kind kind) : kind_(kind) {}

  Kind kind_;
};

// Appends the next part of a body, from `offset` on, to `bytes`, which is empty. Appends nothing
// and returns true: the body is over. It is asked only when all that it gave before is written, so
// it never runs ahead of the server. It may block, and then nothing is received in the meantime; of
// an AsyncTransport it then holds up a thread of the context.
//
// One with a length may be asked from offset 0 again, when the request is sent again, and then has
// to give the same bytes. One without a length is used up once it was asked.
using BodySender = std::function<BodyAnswer(std::uint64_t offset, std::string& bytes)>;

// Takes the next part of a body, 1 byte to 16 KiB, or none of it (BodyAnswer::Later); then nothing
// more is read from the server, which waits in its turn. It may block as a sender may.
using BodyReceiver = std::function<BodyAnswer(std::string_view part)>;

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

// Callbacks run in the thread that makes the exchange (of an AsyncTransport in the call's strand),
// one at a time. One that throws ends the exchange, and the exception passes to the caller or
// handler.
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
  // The response without its body, whatever its status, before the receiver gets a part. False: the
  // request is cancelled, and not sent again: return true for a failure that Retry may repeat.
  std::function<bool(const Response&)> on_head = {};
  // Each response with a status from 100 to 199 but 101, which come before the one that counts.
  std::function<void(const Response&)> on_interim = {};
  BodyProgress on_upload = {};
  BodyProgress on_download = {};
};

// Makes the requests of another library, or of a program's own, requests for Transport and
// StandardClient. Specialize it for such a type, as holdfast/http/httplib.h does for those of
// cpp-httplib:
//   Response      what a call with such a request returns, in an absl::StatusOr
//   ToRequest     the Request to be sent, or an absl::StatusOr of one: another status refuses the
//                 request, and is what the call returns. The Request may refer to its argument,
//                 which lives as long as the call, and may be sent several times
//   FromResponse  takes the http::Response&&
// So that policies know such requests and responses, specialize RequestTraits
// (call/repeatability.h) and ResponseTraits (http/result.h) as well.
template <class T>
struct MessageTraits;

template <class T>
concept HasMessageTraits = requires(const T& request, Response&& response) {
  { MessageTraits<T>::ToRequest(request) } -> std::convertible_to<absl::StatusOr<Request>>;
  {
    MessageTraits<T>::FromResponse(std::move(response))
  } -> std::convertible_to<typename MessageTraits<T>::Response>;
};

namespace internal {

// Has `send` answer `request` as one of our own.
template <HasMessageTraits T, class Send>
absl::StatusOr<typename MessageTraits<T>::Response> SendForeign(const T& request,
                                                                const Send& send) {
  const absl::StatusOr<Request> own = MessageTraits<T>::ToRequest(request);
  if (!own.ok()) return own.status();
  absl::StatusOr<Response> response = send(*own);
  if (!response.ok()) return std::move(response).status();
  return MessageTraits<T>::FromResponse(*std::move(response));
}

}  // namespace internal

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_MESSAGE_H_
