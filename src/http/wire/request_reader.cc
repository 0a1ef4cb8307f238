#include <algorithm>
#include <cstddef>

#include "holdfast/http/wire/reader.h"
#include "src/http/wire/grammar.h"

namespace holdfast::http::wire {
namespace {

// Of a method that comes byte by byte only as much is looked at again each time.
constexpr std::size_t kLookedAt = 32;

}  // namespace

bool RequestReader::CanStart(std::string_view begin) {
  begin = begin.substr(0, kLookedAt);
  // The CR may be that of an empty line, or of one without a blank.
  return OnlyOf(kTokenBytes, begin.substr(0, begin.find_first_of(" \r"))) ||
         Refuse(400, "the method is malformed");
}

bool RequestReader::ReadStart(std::string_view line) {
  if (!CanStart(line)) return false;
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) {
    return Refuse(400, "the request line does not have three parts");
  }
  method_ = line.substr(0, first);
  target_ = line.substr(first + 1, last - first - 1);
  if (!IsToken(method_)) return Refuse(400, "the method is malformed");
  return SetVersion(line.substr(last + 1)) && CheckTarget();
}

bool RequestReader::CheckTarget() {
  return IsTarget(method_, target_) || Refuse(400, "the target is malformed");
}

// RFC 9112, 3.2: exactly one in HTTP/1.1.
bool RequestReader::CheckHost() {
  const auto is_host = [](const Field& field) { return EqualsIgnoringCase(field.name, "Host"); };
  const auto hosts = std::ranges::count_if(fields(), is_host);
  if (hosts > 1) return Refuse(400, "there is more than one Host");
  if (hosts == 0) return minor_version() == 0 || Refuse(400, "Host is missing");
  return IsAuthority(FindField(fields(), "Host").value_or("")) || Refuse(400, "Host is malformed");
}

bool RequestReader::JudgeHead() {
  if (!CheckHost() || !FrameByFields()) return false;
  // RFC 9110, 9.3.6. What follows is for the other end of the tunnel, and some readers ignore a
  // length.
  const bool has_body =
      framing() == Framing::kChunked || (framing() == Framing::kLength && length() > 0);
  if (has_body && method_ == "CONNECT") return Refuse(400, "CONNECT has no body");
  if (framing() == Framing::kLength && length() > limits().body) {
    return Refuse(413, "the body is longer than the limit");
  }
  return true;
}

}  // namespace holdfast::http::wire
