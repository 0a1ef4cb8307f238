// One request and its response on one connection, without I/O and without a clock.
#ifndef HOLDFAST_SRC_HTTP_EXCHANGE_EXCHANGE_H_
#define HOLDFAST_SRC_HTTP_EXCHANGE_EXCHANGE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "holdfast/http/message.h"
#include "holdfast/http/transport_error.h"
#include "holdfast/http/wire/message.h"
#include "src/http/exchange/download.h"
#include "src/http/exchange/upload.h"

namespace holdfast::http::internal {

struct ExchangeOptions {
  UploadOptions upload = {};
  DownloadOptions download = {};
};

// Decides; a driver moves the bytes and tells it what happens. Both at once: a server may answer
// before it has the whole request. For example, with a stream that blocks:
//
//   while (!exchange.done()) {
//     if (exchange.wants_write()) exchange.Wrote(stream.Write(exchange.ToWrite()));
//     else exchange.Received(stream.Read());
//   }
//   if (exchange.may_keep()) pool.Return(stream);
//   return exchange.TakeResult();
//
// A response that comes before the request is wholly written: if it is no success, or the body is
// held back, nothing more of the request is written. In any case the exchange ends with the
// response.
//
// Errors. The messages give the reason; the driver adds the origin.
//   kInvalidArgument   kRequest: the request is refused, before anything is given to be written; or
//                      its sender gave another length than it said
//   kUnavailable       the connection ended or was lost before the response was whole, or a timeout
//   kDeadlineExceeded, kCancelled   the driver or a callback of the request ended the exchange, or
//   a
//                      callback said "later" for as long as a timeout
//   kDataLoss          kMalformed: what came is no response, or beyond a bound
// The kind of the others says how far the request came: kConnect, if nothing was given to be
// written; kPartialResponse, if the receiver was given something; else kOutcomeUnknown.
//
// One thread at a time. An exception of a callback passes through; the object is then only to be
// destroyed, and the connection closed.
class Exchange {
 public:
  enum class Interruption : signed char { kDeadline, kCancelled, kReadTimeout, kWriteTimeout };

  // `request` must stay as it is and where it is. A request that is refused is done at once. Throws
  // std::invalid_argument for limits that wire::Validate refuses.
  Exchange(const Request& request, const ExchangeOptions& options);
  Exchange(Request&& request, const ExchangeOptions& options) = delete;
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  bool done() const { return done_; }  // nothing is to be written or read any more
  bool wants_write() const { return !done_ && upload_.wants(); }
  bool wants_read() const { return !done_ && !has_more(); }

  // Up to two parts to be written, in this order and as soon as possible; none if there is nothing
  // now. They live until the next call of ToWrite or Wrote: not to be called while they are being
  // written. Asks the request's sender, if all that was given is written. None although the
  // exchange wants to write: the sender has nothing now, and the driver asks again after a pause.
  std::span<const std::string_view> ToWrite();
  // So many bytes of that are written; also after the end of an exchange that ended meanwhile.
  void Wrote(std::size_t bytes);
  // The peer takes no more. What has come and comes may be an answer: the driver reads on.
  void WriteFailed(std::string_view why = {});

  // Bytes came. Also after the end: they are surplus, or belong to a tunnel.
  void Received(std::string_view bytes);
  // Not all that came is taken in: decoding it may take long, and the driver looks at the time in
  // between; or the receiver did not take it. Nothing is read meanwhile.
  bool has_more() const { return !done_ && download_.paused(); }
  // False: nothing was taken.
  bool TakeMore();
  // The receiver takes nothing now, and the driver calls TakeMore after a pause.
  bool held() const { return !done_ && download_.held(); }
  // The peer sends no more: and said so (FIN; with TLS close_notify), or not (RST; TLS without). If
  // not all that came is taken in, that has its effect afterwards.
  void PeerEnded() { Lose(/*orderly=*/true, {}); }
  void PeerCut(std::string_view why = {}) { Lose(/*orderly=*/false, why); }

  // The driver ends the exchange; without effect if it is done. After the head of an answer a write
  // timeout is only a failed write, since that server may have no use for the rest: the driver asks
  // done().
  void Interrupted(Interruption why);

  // With "Expect: 100-continue": all but the body is written, and a time begins after which the
  // driver calls SendBody, whether the server asked for the body or not (RFC 9110, 10.1.1).
  bool holds_body() const { return !done_ && upload_.waits(); }
  void SendBody() { upload_.Go(); }

  // A request of which nothing was given to be written may be sent on another connection by all
  // means, and one that got not a byte of an answer if it may be sent twice.
  bool handed_out() const { return upload_.given(); }
  bool answered() const { return answered_; }

  // Of the response, whatever becomes of the rest of it, and the version of HTTP/1 that it is in.
  // 0: its head has not come.
  int status() const { return download_.has_head() ? download_.status() : 0; }
  int minor_version() const { return download_.minor_version(); }

  // After the end, when nothing is being written any more: whether the connection may serve another
  // request. Both sides would keep it, the request is wholly written and the response wholly read,
  // and nothing came behind it.
  bool may_keep() const;

  // After the end, with a response. kTunnel: the connection now belongs to who asked for the
  // tunnel, and rest() is the first that came over it.
  wire::Framing framing() const {
    return done_ && failure_.ok() ? download_.framing() : wire::Framing::kNone;
  }
  const std::string& rest() const { return rest_; }

  // Once, after the end.
  absl::StatusOr<Response> TakeResult();

 private:
  void TakeIn(std::string_view bytes);
  void OnHead();
  void Complete(std::string_view behind);
  void AddBehind(std::string_view bytes);
  void Lose(bool orderly, std::string_view why);
  void Fail(absl::Status status);
  TransportError HowFar() const;
  std::string WhatWasLost(bool orderly) const;

  const Request& request_;
  Upload upload_;
  Download download_;
  absl::Status failure_;
  bool done_ = false;
  bool answered_ = false;
  bool surplus_ = false;
  bool ended_ = false;  // the peer sends no more
  struct Loss {
    bool orderly;
    std::string why;
  };
  std::optional<Loss> loss_;   // that, where not all that came was taken in
  bool write_failed_ = false;  // it takes no more
  std::string write_error_;
  std::uint64_t reported_ = 0;  // to on_upload
  std::string rest_;
  std::string untaken_;  // what came behind what is being decoded
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_EXCHANGE_EXCHANGE_H_
