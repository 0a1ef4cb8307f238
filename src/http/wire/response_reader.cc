#include <algorithm>
#include <cstddef>

#include "holdfast/http/wire/reader.h"
#include "src/http/wire/grammar.h"

namespace holdfast::http::wire {
namespace {

constexpr std::string_view kBegin = "HTTP/1.";
constexpr std::string_view kNoHttp = "the response does not begin with HTTP/1";

}  // namespace

void ResponseReader::Expect(std::string_view method) {
  to_head_ = method == "HEAD";
  to_connect_ = method == "CONNECT";
  status_ = 0;
}

// What is no HTTP is refused before its line ends, which it may never do.
bool ResponseReader::CanStart(std::string_view begin) {
  const std::size_t length = std::min(begin.size(), kBegin.size());
  return begin.substr(0, length) == kBegin.substr(0, length) || Refuse(400, kNoHttp);
}

// "HTTP/1.1 200 OK"; the reason may be missing, with its blank or without (RFC 9112, 4).
bool ResponseReader::ReadStart(std::string_view line) {
  if (!line.starts_with(kBegin)) return Refuse(400, kNoHttp);
  if (!SetVersion(line.substr(0, 8))) return false;
  line.remove_prefix(8);
  const auto is_digit = [](char byte) { return byte >= '0' && byte <= '9'; };
  if (line.size() < 4 || line[0] != ' ' || !std::ranges::all_of(line.substr(1, 3), is_digit) ||
      line[1] == '0' || (line.size() > 4 && line[4] != ' ')) {
    return Refuse(400, "the status line is malformed");
  }
  status_ = (line[1] - '0') * 100 + (line[2] - '0') * 10 + (line[3] - '0');
  reason_ = line.substr(std::min<std::size_t>(line.size(), 5));
  return OnlyOf(kTextBytes, reason_) || Refuse(400, "the reason has a control character");
}

bool ResponseReader::JudgeHead() {
  if (!FrameByFields()) return false;
  const bool tunnel = status_ == 101 || (to_connect_ && status_ / 100 == 2);
  if (tunnel) {
    SetFraming(Framing::kTunnel);
  } else if (to_head_ || status_ < 200 || status_ == 204 || status_ == 304) {
    SetFraming(Framing::kNone);
  } else if (framing() == Framing::kNone) {
    SetFraming(Framing::kUntilClose);
  } else if (framing() == Framing::kLength && length() > limits().body) {
    return Refuse(413, "the body is longer than the limit");
  }
  if (framing() == Framing::kUntilClose || tunnel) SetKeepsAlive(false);
  return true;
}

}  // namespace holdfast::http::wire
