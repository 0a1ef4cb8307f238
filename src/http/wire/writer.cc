#include "holdfast/http/wire/writer.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>

#include "holdfast/base/internal/string_view.h"
#include "src/http/wire/grammar.h"

namespace holdfast::http::wire {
namespace {

using holdfast::internal::ToAbsl;

template <class... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("HTTP: ", parts...));
}

absl::Status CheckField(const Field& field) {
  if (!IsToken(field.name)) return Refuse("a field has no valid name");
  if (!OnlyOf(kTextBytes, field.value)) {
    return Refuse("the value of ", ToAbsl(field.name), " has a control character");
  }
  return absl::OkStatus();
}

// What the head says of itself, against which fields of the same names are held.
struct Truth {
  std::optional<std::string_view> host;  // of a request
  const BodyPlan& body;
  bool close;
};

enum class Part : signed char { kKept, kLeftOut };

// Connection may list names of fields that end here; what it says of the connection is the head's.
absl::Status JudgeConnection(std::string_view value, const Truth& truth) {
  std::optional<std::string_view> list = value;
  while (const auto element = NextElement(list)) {
    if (EqualsIgnoringCase(*element, "close") && !truth.close) {
      return Refuse("Connection says close, and the head does not");
    }
    if (EqualsIgnoringCase(*element, "keep-alive") && truth.close) {
      return Refuse("Connection says keep-alive, and the head says close");
    }
    // The next hop would take away what frames and routes the message.
    for (const std::string_view name : {"Content-Length", "Transfer-Encoding", "Host"}) {
      if (EqualsIgnoringCase(*element, name)) {
        return Refuse("Connection may not name ", ToAbsl(name));
      }
    }
  }
  return absl::OkStatus();
}

bool SaysOnlyHowLong(std::string_view value) {
  std::optional<std::string_view> list = value;
  while (const auto element = NextElement(list)) {
    if (!EqualsIgnoringCase(*element, "close") && !EqualsIgnoringCase(*element, "keep-alive")) {
      return false;
    }
  }
  return true;
}

// Whether a field is written, or left out since the head's own members say the same.
absl::Status Judge(const Field& field, const Truth& truth, Part& part) {
  part = Part::kLeftOut;
  if (truth.host && EqualsIgnoringCase(field.name, "Host")) {
    if (field.value != *truth.host) return Refuse("a field Host contradicts the host");
  } else if (EqualsIgnoringCase(field.name, "Content-Length")) {
    const auto length = ParseLength(field.value);
    if (truth.body.framing != Framing::kLength || length != truth.body.length) {
      return Refuse("a field Content-Length contradicts the body");
    }
  } else if (EqualsIgnoringCase(field.name, "Transfer-Encoding")) {
    if (truth.body.framing != Framing::kChunked || !EqualsIgnoringCase(field.value, "chunked")) {
      return Refuse("a field Transfer-Encoding contradicts the body");
    }
  } else if (EqualsIgnoringCase(field.name, "Connection")) {
    if (!SaysOnlyHowLong(field.value)) part = Part::kKept;
    return JudgeConnection(field.value, truth);
  } else {
    part = Part::kKept;
  }
  return absl::OkStatus();
}

void Append(const Field& field, std::string& bytes) {
  absl::StrAppend(&bytes, ToAbsl(field.name), ": ", ToAbsl(field.value), "\r\n");
}

// The fields, then what the head's members say.
absl::Status AppendFields(std::span<const Field> fields, const Truth& truth, std::string& bytes) {
  bool says_close = false;
  if (truth.host) Append({.name = "Host", .value = *truth.host}, bytes);
  for (const Field& field : fields) {
    if (absl::Status status = CheckField(field); !status.ok()) return status;
    Part part = Part::kKept;
    if (absl::Status status = Judge(field, truth, part); !status.ok()) return status;
    if (part == Part::kLeftOut) continue;
    Append(field, bytes);
    says_close = says_close || (EqualsIgnoringCase(field.name, "Connection") &&
                                HasToken({&field, 1}, "Connection", "close"));
  }
  if (truth.body.framing == Framing::kLength) {
    absl::StrAppend(&bytes, "Content-Length: ", truth.body.length, "\r\n");
  } else if (truth.body.framing == Framing::kChunked) {
    bytes += "Transfer-Encoding: chunked\r\n";
  }
  if (truth.close && !says_close) bytes += "Connection: close\r\n";
  bytes += "\r\n";
  return absl::OkStatus();
}

// Appends what `write` does, or nothing if that fails.
template <class Write>
absl::Status AllOrNothing(std::string& bytes, Write write) {
  const std::size_t before = bytes.size();
  absl::Status status = write();
  if (!status.ok()) bytes.resize(before);
  return status;
}

absl::Status CheckResponse(const ResponseHead& head) {
  if (head.status < 100 || head.status > 999) {
    return Refuse("a status must be in [100, 999], not ", head.status);
  }
  if (!OnlyOf(kTextBytes, head.reason)) return Refuse("the reason has a control character");
  if (head.body.framing == Framing::kTunnel) return Refuse("a body can be no tunnel");
  const bool tunnel = head.to_connect && head.status / 100 == 2;
  const bool bare = head.status < 200 || head.status == 204 || tunnel;
  if (bare && head.body.framing != Framing::kNone) {
    return Refuse("a response with status ", head.status, " has no body");
  }
  if (head.status == 304 && head.body.framing == Framing::kChunked) {
    return Refuse("a response with status 304 has no body");
  }
  if (!bare && head.status != 304 && !head.to_head && head.body.framing == Framing::kNone) {
    return Refuse("a response with status ", head.status,
                  " needs a body, if only one of length 0: without a length it lasts until the "
                  "connection ends");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteHead(const RequestHead& head, std::string& bytes) {
  if (!IsToken(head.method)) return Refuse("the method is malformed");
  if (!IsTarget(head.method, head.target)) return Refuse("the target is malformed");
  if (!IsAuthority(head.host)) return Refuse("the host is malformed");
  BodyPlan body = head.body;
  if (body.framing == Framing::kUntilClose || body.framing == Framing::kTunnel) {
    return Refuse("the body of a request has a length or is chunked");
  }
  const bool has_body =
      body.framing == Framing::kChunked || (body.framing == Framing::kLength && body.length > 0);
  if (has_body && head.method == "CONNECT") return Refuse("CONNECT has no body");
  const bool wants_length = head.method == "POST" || head.method == "PUT" || head.method == "PATCH";
  if (body.framing == Framing::kNone && wants_length) body = BodyPlan::Length(0);
  return AllOrNothing(bytes, [&] {
    absl::StrAppend(&bytes, ToAbsl(head.method), " ", ToAbsl(head.target), " HTTP/1.1\r\n");
    return AppendFields(head.fields, {.host = head.host, .body = body, .close = head.close}, bytes);
  });
}

// A body that lasts until the connection ends says so.
absl::Status WriteHead(const ResponseHead& head, std::string& bytes) {
  if (absl::Status status = CheckResponse(head); !status.ok()) return status;
  const bool close = head.close || (head.body.framing == Framing::kUntilClose && !head.to_head);
  return AllOrNothing(bytes, [&] {
    absl::StrAppend(&bytes, "HTTP/1.1 ", head.status, " ", ToAbsl(head.reason), "\r\n");
    return AppendFields(head.fields, {.host = std::nullopt, .body = head.body, .close = close},
                        bytes);
  });
}

void WriteChunk(std::string_view data, std::string& bytes) {
  if (data.empty()) return;
  absl::StrAppend(&bytes, absl::Hex(data.size()), "\r\n", ToAbsl(data), "\r\n");
}

absl::Status WriteLastChunk(std::span<const Field> trailers, std::string& bytes) {
  constexpr std::string_view kNever[] = {
      "Connection", "Content-Encoding", "Content-Length",   "Content-Type",
      "Host",       "Trailer",          "Transfer-Encoding"};
  return AllOrNothing(bytes, [&]() -> absl::Status {
    bytes += "0\r\n";
    for (const Field& field : trailers) {
      if (absl::Status status = CheckField(field); !status.ok()) return status;
      const auto is = [&](std::string_view name) { return EqualsIgnoringCase(field.name, name); };
      if (std::ranges::any_of(kNever, is)) {
        return Refuse(ToAbsl(field.name), " may not be in a trailer");
      }
      Append(field, bytes);
    }
    bytes += "\r\n";
    return absl::OkStatus();
  });
}

}  // namespace holdfast::http::wire
