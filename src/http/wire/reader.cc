#include "holdfast/http/wire/reader.h"

#include <algorithm>
#include <optional>

#include "holdfast/base/internal/validate.h"
#include "src/http/wire/grammar.h"

namespace holdfast::http::wire {

Reader::Reader(const Limits& limits)
    : limits_(holdfast::internal::Validated(limits)), head_(limits_), trailer_(limits_) {
  head_.Reserve();
}

void Reader::BeginMessage() {
  phase_ = Phase::kHead;
  head_.Begin(/*has_start_line=*/true, empty_lines());
  trailer_.Begin(/*has_start_line=*/false, 0);
  minor_version_ = 1;
  framing_ = Framing::kNone;
  keeps_alive_ = true;
  length_ = 0;
  body_ = {};
}

Event Reader::Next(std::string_view& bytes) {
  switch (phase_) {
    case Phase::kOver:
      if (bytes.empty()) return Event::kNeedMore;
      BeginMessage();
      return ReadHead(bytes);
    case Phase::kHead:
      return ReadHead(bytes);
    case Phase::kBody:
      return ReadBody(bytes);
    case Phase::kTrailer:
      return ReadTrailer(bytes);
    case Phase::kFault:
      break;
  }
  return Event::kFault;
}

Event Reader::ReadHead(std::string_view& bytes) {
  for (;;) {
    switch (head_.Add(bytes)) {
      case FieldBlock::Result::kMore:
        if (!head_.has_start_line() && !CanStart(head_.start_line())) return Fail(fault_);
        return Event::kNeedMore;
      case FieldBlock::Result::kStartLine:
        if (!ReadStart(head_.start_line())) return Fail(fault_);
        break;
      case FieldBlock::Result::kDone:
        if (!JudgeHead()) return Fail(fault_);
        left_ = framing_ == Framing::kLength ? length_ : limits_.body;
        if (framing_ == Framing::kChunked) chunks_.Begin(limits_);
        phase_ = interim() ? Phase::kOver : Phase::kBody;
        return Event::kHead;
      case FieldBlock::Result::kFault:
        if (!head_.has_start_line() && !CanStart(head_.start_line())) return Fail(fault_);
        return Fail(head_.fault());
    }
  }
}

Event Reader::ReadBody(std::string_view& bytes) {
  if (framing_ == Framing::kChunked) return ReadChunk(bytes);
  const bool ends = framing_ != Framing::kUntilClose;
  if (ends && (framing_ != Framing::kLength || left_ == 0)) return End();
  if (bytes.empty()) return Event::kNeedMore;
  if (left_ == 0) {
    Refuse(413, "the body is longer than the limit");
    return Fail(fault_);
  }
  const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
  body_ = bytes.substr(0, length);
  bytes.remove_prefix(length);
  left_ -= length;
  return Event::kBody;
}

Event Reader::ReadChunk(std::string_view& bytes) {
  switch (chunks_.Next(bytes, body_)) {
    case ChunkDecoder::Result::kMore:
      return Event::kNeedMore;
    case ChunkDecoder::Result::kData:
      return Event::kBody;
    case ChunkDecoder::Result::kLast:
      break;
    case ChunkDecoder::Result::kFault:
      return Fail(chunks_.fault());
  }
  phase_ = Phase::kTrailer;
  return ReadTrailer(bytes);
}

Event Reader::ReadTrailer(std::string_view& bytes) {
  switch (trailer_.Add(bytes)) {
    case FieldBlock::Result::kDone:
      return End();
    case FieldBlock::Result::kFault:
      return Fail(trailer_.fault());
    case FieldBlock::Result::kMore:
    case FieldBlock::Result::kStartLine:
      break;
  }
  return Event::kNeedMore;
}

Event Reader::End() {
  phase_ = framing_ == Framing::kTunnel ? Phase::kBody : Phase::kOver;
  return Event::kEnd;
}

Event Reader::Close() {
  if (phase_ == Phase::kFault) return Event::kFault;
  const bool ended = phase_ == Phase::kBody &&
                     (framing_ == Framing::kUntilClose || framing_ == Framing::kTunnel ||
                      framing_ == Framing::kNone || (framing_ == Framing::kLength && left_ == 0));
  if ((phase_ == Phase::kOver && !interim()) || (phase_ == Phase::kHead && !begun()) || ended) {
    phase_ = Phase::kOver;
    return Event::kEnd;
  }
  Refuse(400, "the connection ends within a message");
  return Fail(fault_);
}

Event Reader::Fail(const Fault& fault) {
  fault_ = fault;
  phase_ = Phase::kFault;
  return Event::kFault;
}

bool Reader::Refuse(int status, std::string_view text) {
  fault_ = {.status = status, .text = text};
  return false;
}

// "HTTP/1.1"; a later minor version is read as 1 (RFC 9110, 2.5).
bool Reader::SetVersion(std::string_view text) {
  const auto is_digit = [](char byte) { return byte >= '0' && byte <= '9'; };
  if (text.size() != 8 || !text.starts_with("HTTP/") || !is_digit(text[5]) || text[6] != '.' ||
      !is_digit(text[7])) {
    return Refuse(400, "the version is malformed");
  }
  if (text[5] != '1') return Refuse(505, "the version is not HTTP/1");
  minor_version_ = text[7] == '0' ? 0 : 1;
  return true;
}

// What does not end with chunked, or has it twice, is malformed; another coding before it is one
// that nobody here undoes (RFC 9112, 6.1 and 6.3).
bool Reader::CheckCoding(std::string_view coding) {
  std::optional<std::string_view> list = coding;
  bool chunked = false;
  while (const auto element = NextElement(list)) {
    if (element->empty()) return Refuse(400, "Transfer-Encoding has an empty element");
    if (chunked) return Refuse(400, "Transfer-Encoding goes on after \"chunked\"");
    chunked = EqualsIgnoringCase(*element, "chunked");
  }
  if (!chunked) return Refuse(400, "Transfer-Encoding does not end with \"chunked\"");
  return EqualsIgnoringCase(coding, "chunked") ||
         Refuse(501, "Transfer-Encoding is not exactly \"chunked\"");
}

// RFC 9112, 6.1 to 6.3, without a choice that another reader could make in another way.
bool Reader::FrameByFields() {
  std::optional<std::string_view> coding;
  std::optional<std::uint64_t> length;
  for (const Field& field : fields()) {
    if (EqualsIgnoringCase(field.name, "Transfer-Encoding")) {
      if (coding) return Refuse(400, "there is more than one Transfer-Encoding");
      coding = field.value;
    } else if (EqualsIgnoringCase(field.name, "Content-Length")) {
      std::optional<std::string_view> list = field.value;
      while (const auto element = NextElement(list)) {
        const std::optional<std::uint64_t> said = ParseLength(*element);
        if (!said) return Refuse(400, "Content-Length is no length");
        if (length && *length != *said) return Refuse(400, "two Content-Lengths differ");
        length = said;
      }
    }
  }
  if (coding) {
    if (length) return Refuse(400, "there are both Transfer-Encoding and Content-Length");
    if (minor_version_ == 0) return Refuse(400, "HTTP/1.0 has no Transfer-Encoding");
    if (!CheckCoding(*coding)) return false;
    framing_ = Framing::kChunked;
  } else if (length) {
    framing_ = Framing::kLength;
    length_ = *length;
  }
  const bool close = HasToken(fields(), "Connection", "close");
  keeps_alive_ = !close && (minor_version_ > 0 || HasToken(fields(), "Connection", "keep-alive"));
  return true;
}

}  // namespace holdfast::http::wire
