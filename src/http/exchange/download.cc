#include "src/http/exchange/download.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/http/transport_error.h"

namespace holdfast::http::internal {
namespace {

constexpr std::string_view kTooLong = "the body is longer than the limit";
constexpr std::uint64_t kMostReserved = std::uint64_t{1} << 20;
constexpr int kPartsAtOnce = 64;  // of decoded bytes, which are a MiB

// Which body a receiver gets is known with the head; the reader's bound is set before.
wire::Limits LimitsOf(const Request& request, wire::Limits limits) {
  if (request.receiver && wire::Validate(limits).ok()) {
    limits.body = std::numeric_limits<std::int64_t>::max();
  }
  return limits;
}

Headers HeadersOf(std::span<const wire::Field> fields) {
  Headers headers;
  headers.Reserve(fields.size());
  for (const wire::Field& field : fields) {
    headers.Add(std::string(field.name), std::string(field.value));
  }
  return headers;
}

Response HeadOf(const wire::ResponseReader& reader) {
  return {.status = reader.status(),
          .reason = std::string(reader.reason()),
          .minor_version = reader.minor_version(),
          .headers = HeadersOf(reader.fields())};
}

// Several fields of a name are one list (RFC 9110, 5.3).
std::string CodingsOf(std::span<const wire::Field> fields) {
  std::string list;
  for (const wire::Field& field : fields) {
    if (!wire::EqualsIgnoringCase(field.name, "Content-Encoding")) continue;
    absl::StrAppend(&list, list.empty() ? "" : ", ", holdfast::internal::ToAbsl(field.value));
  }
  return list;
}

}  // namespace

absl::Status MalformedResponse(std::string_view why) {
  return WithTransportError(absl::DataLossError(absl::StrCat("the response is malformed: ",
                                                             holdfast::internal::ToAbsl(why))),
                            TransportError::kMalformed);
}

Download::Download(const Request& request, const DownloadOptions& options)
    : request_(request),
      most_(options.limits.body),
      decode_(options.decode),
      reader_(LimitsOf(request, options.limits)) {
  reader_.Expect(request.method);
}

Download::Event Download::Next(std::string_view& bytes) {
  if (std::exchange(paused_, false) && !Resume()) return Event::kFailed;
  for (;;) {
    if (paused_) return Event::kPaused;
    switch (reader_.Next(bytes)) {
      case wire::Event::kNeedMore:
        return Event::kNeedMore;
      case wire::Event::kHead:
        return reader_.interim() ? OnInterim() : OnHead();
      case wire::Event::kBody:
        if (!OnBody(reader_.body())) return Event::kFailed;
        break;
      case wire::Event::kEnd:
        return OnEnd();
      case wire::Event::kFault:
        return Malformed(reader_.fault().text);
    }
  }
}

Download::Event Download::Close() {
  if (!has_head_ || reader_.Close() != wire::Event::kEnd) return Event::kNeedMore;
  return OnEnd();
}

Download::Event Download::OnInterim() {
  if (++interim_ > kMostInterimResponses) return Malformed("too many interim responses came");
  if (request_.on_interim) request_.on_interim(HeadOf(reader_));
  return Event::kInterim;
}

Download::Event Download::OnHead() {
  has_head_ = true;
  response_ = HeadOf(reader_);
  to_receiver_ = request_.receiver && IsForReceiver(reader_.status());
  const bool has_length = reader_.framing() == wire::Framing::kLength;
  if (has_length && !to_receiver_ && reader_.length() > most_) return Malformed(kTooLong);
  FindDecoder();
  if (has_length && !to_receiver_) {
    response_.body.reserve(static_cast<std::size_t>(std::min(reader_.length(), kMostReserved)));
  }
  if (request_.on_head && !request_.on_head(response_)) return Cancelled();
  return Event::kHead;
}

// A part of a representation is no coding by itself (RFC 9110, 14.2: ranges are of the encoded
// one).
void Download::FindDecoder() {
  using wire::Framing;
  const bool has_body =
      reader_.framing() != Framing::kNone && reader_.framing() != Framing::kTunnel;
  const bool partial = reader_.status() == 206 || response_.headers.Has("Content-Range");
  if (!decode_ || !has_body || partial) return;
  const std::string codings = CodingsOf(reader_.fields());
  if (codings.empty()) return;
  decoder_ = MakeContentDecoder(codings);
  if (!decoder_) return;
  response_.headers.Remove("Content-Encoding");
  response_.headers.Remove("Content-Length");
}

// The reader does not bound a body when there is a receiver, which gets only some.
bool Download::OnBody(std::string_view part) {
  const bool bounded = !to_receiver_;
  const std::uint64_t room = bounded ? most_ - taken_ : part.size();
  const auto fits = static_cast<std::size_t>(std::min<std::uint64_t>(room, part.size()));
  if (fits > 0 && !Take(part.substr(0, fits))) return false;
  if (fits == part.size()) return Report();
  Malformed(kTooLong);
  return false;
}

bool Download::Take(std::string_view part) {
  taken_ += part.size();
  return decoder_ ? Decode(part) : Deliver(part);
}

bool Download::Resume() {
  if (!held_.empty() && !Deliver(std::exchange(held_, {}))) return false;
  return paused_ || !decoder_ || Decode(std::exchange(encoded_, {}));
}

bool Download::Decode(std::string_view encoded) {
  for (int parts = 0; parts < kPartsAtOnce && !paused_; ++parts) {
    switch (decoder_->Decode(encoded)) {
      case DecodeResult::kPart:
        if (!decoder_->part().empty() && !Deliver(decoder_->part())) return false;
        break;
      case DecodeResult::kOk:
        return true;
      case DecodeResult::kMalformed:
        Malformed("the body is not of the coding that Content-Encoding names");
        return false;
    }
  }
  paused_ = true;
  encoded_ = encoded;
  return true;
}

bool Download::Deliver(std::string_view part) {
  if (to_receiver_) {
    handed_on_ = true;
    const BodyAnswer answer = request_.receiver(part);
    if (answer.cancels()) {
      Cancelled();
      return false;
    }
    if (answer.later()) {
      paused_ = true;
      held_ = part;
    } else {
      received_ += part.size();
    }
    return true;
  }
  if (part.size() > most_ - response_.body.size()) {
    Malformed("the decoded body is longer than the limit");
    return false;
  }
  response_.body.append(part);
  return true;
}

bool Download::Report() {
  if (!request_.on_download) return true;
  std::optional<std::uint64_t> total;
  if (reader_.framing() == wire::Framing::kLength) total = reader_.length();
  if (request_.on_download(taken_, total)) return true;
  Cancelled();
  return false;
}

// Without a byte nothing was encoded, whatever the fields say.
Download::Event Download::OnEnd() {
  if (decoder_ && taken_ > 0 && !decoder_->Complete()) {
    failure_ = absl::UnavailableError("the body of the response ends within its coding");
    return Event::kFailed;
  }
  response_.trailers = HeadersOf(reader_.trailers());
  return Event::kEnd;
}

Download::Event Download::Malformed(std::string_view why) {
  failure_ = MalformedResponse(why);
  return Event::kFailed;
}

Download::Event Download::Cancelled() {
  failure_ = absl::CancelledError("a callback of the request refused to go on");
  return Event::kFailed;
}

}  // namespace holdfast::http::internal
