#include "src/http/exchange/exchange.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "holdfast/base/internal/string_view.h"

namespace holdfast::http::internal {

Exchange::Exchange(const Request& request, const ExchangeOptions& options)
    : request_(request), upload_(request, options.upload), download_(request, options.download) {
  if (!upload_.status().ok()) Fail(upload_.status());
}

std::span<const std::string_view> Exchange::ToWrite() {
  if (done_) return {};
  const std::span<const std::string_view> parts = upload_.Next();
  if (!upload_.status().ok()) Fail(upload_.status());
  return parts;
}

void Exchange::Wrote(std::size_t bytes) {
  upload_.Wrote(bytes);
  if (done_ || !request_.on_upload) return;
  const std::uint64_t written = upload_.written();
  if (written == reported_) return;
  reported_ = written;
  if (!request_.on_upload(written, upload_.length())) {
    Fail(absl::CancelledError("a callback of the request refused to go on"));
  }
}

void Exchange::WriteFailed(std::string_view why) {
  upload_.Stop();
  write_failed_ = true;
  write_error_ = why;
}

void Exchange::Received(std::string_view bytes) {
  if (bytes.empty()) return;
  answered_ = true;
  if (done_) return AddBehind(bytes);
  if (!upload_.given()) return Fail(MalformedResponse("it came before the request"));
  if (has_more()) {
    untaken_ += bytes;
  } else {
    TakeIn(bytes);
  }
}

bool Exchange::TakeMore() {
  const std::uint64_t before = download_.received();
  TakeIn(std::exchange(untaken_, {}));
  if (loss_ && !has_more()) {
    const Loss loss = *std::move(loss_);
    loss_.reset();
    Lose(loss.orderly, loss.why);
  }
  return done_ || !download_.held() || download_.received() > before;
}

void Exchange::TakeIn(std::string_view bytes) {
  while (!done_) {
    switch (download_.Next(bytes)) {
      case Download::Event::kNeedMore:
        return;
      case Download::Event::kInterim:
        if (download_.status() == 100) upload_.Go();
        break;
      case Download::Event::kHead:
        OnHead();
        break;
      case Download::Event::kPaused:
        untaken_ = bytes;
        return;
      case Download::Event::kEnd:
        return Complete(bytes);
      case Download::Event::kFailed:
        return Fail(download_.failure());
    }
  }
}

// A server that answers with success may read on while it does: one that echoes, say. Any other
// answer says that it does not want the rest.
void Exchange::OnHead() {
  if (download_.framing() == wire::Framing::kTunnel) {
    if (download_.status() == 101 && !upload_.asks_upgrade()) {
      return Fail(MalformedResponse("it switches to a protocol that was not asked for"));
    }
    if (!upload_.all_given()) {
      return Fail(MalformedResponse("it switches to another protocol before the request is sent"));
    }
  }
  if (download_.status() >= 300 || upload_.holds()) upload_.Stop();
}

void Exchange::Complete(std::string_view behind) {
  done_ = true;
  AddBehind(behind);
}

void Exchange::AddBehind(std::string_view bytes) {
  if (framing() == wire::Framing::kTunnel) {
    rest_ += bytes;
  } else if (!bytes.empty()) {
    surplus_ = true;
  }
}

void Exchange::Lose(bool orderly, std::string_view why) {
  ended_ = true;
  if (done_) return;
  if (has_more()) {
    loss_ = {.orderly = orderly, .why = std::string(why)};
    return;
  }
  if (orderly) {
    switch (download_.Close()) {
      case Download::Event::kEnd:
        return Complete({});
      case Download::Event::kFailed:
        return Fail(download_.failure());
      case Download::Event::kNeedMore:
      case Download::Event::kInterim:
      case Download::Event::kHead:
      case Download::Event::kPaused:
        break;
    }
  }
  if (why.empty()) why = write_error_;
  Fail(absl::UnavailableError(absl::StrCat(WhatWasLost(orderly), why.empty() ? "" : ": ",
                                           holdfast::internal::ToAbsl(why))));
}

std::string Exchange::WhatWasLost(bool orderly) const {
  const absl::string_view how =
      orderly ? "the server closed the connection " : "the connection was lost ";
  if (!upload_.given()) return absl::StrCat(how, "before the request was sent");
  if (answered_) return absl::StrCat(how, "within the response");
  return absl::StrCat(how, upload_.done() || upload_.waits() ? "before a response came"
                                                             : "while the request was sent");
}

void Exchange::Interrupted(Interruption why) {
  if (done_) return;
  switch (why) {
    case Interruption::kDeadline:
      return Fail(absl::DeadlineExceededError("no answer before the call's deadline"));
    case Interruption::kCancelled:
      return Fail(absl::CancelledError("the caller stopped the call"));
    case Interruption::kReadTimeout:
      if (download_.held()) {
        return Fail(
            absl::CancelledError("the request's receiver took no byte within the read timeout"));
      }
      return Fail(absl::UnavailableError("no byte of the response came within the read timeout"));
    case Interruption::kWriteTimeout:
      if (download_.has_head()) return WriteFailed();
      if (upload_.stalls()) {
        return Fail(
            absl::CancelledError("the request's sender gave no byte within the write timeout"));
      }
      return Fail(absl::UnavailableError(
          "the server took no byte of the request within the write timeout"));
  }
}

bool Exchange::may_keep() const {
  return done_ && failure_.ok() && download_.keeps_alive() && !upload_.closes() && upload_.done() &&
         !surplus_ && !ended_ && !write_failed_;
}

void Exchange::Fail(absl::Status status) {
  done_ = true;
  if (!TransportErrorOf(status)) status = WithTransportError(std::move(status), HowFar());
  failure_ = std::move(status);
}

TransportError Exchange::HowFar() const {
  if (!upload_.given()) return TransportError::kConnect;
  return download_.handed_on() ? TransportError::kPartialResponse : TransportError::kOutcomeUnknown;
}

absl::StatusOr<Response> Exchange::TakeResult() {
  if (!failure_.ok()) return failure_;
  return std::move(download_.response());
}

}  // namespace holdfast::http::internal
