// The requests of smuggling.json as a program would make them that passes on what it was given, and
// what a client may do with them: refuse one before it connects, or send what a strict server reads
// as this one request.
#ifndef HOLDFAST_TEST_HTTP_SMUGGLED_H_
#define HOLDFAST_TEST_HTTP_SMUGGLED_H_

#include <absl/status/status.h>
#include <absl/strings/str_split.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <semaphore>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/http/message.h"
#include "holdfast/http/transport_error.h"
#include "holdfast/http/wire/reader.h"
#include "test/http/fault_server.h"
#include "test/http/wire/cases.h"
#include "test/support/catch.h"

namespace holdfast::test {

struct Smuggled {
  std::string id;
  http::Request request;
};

// The line's words without a rule, each header as its line has it, and all that follows as the
// body.
inline http::Request TakenApart(std::string_view bytes) {
  const auto cut = [](std::string_view& text, std::string_view at) {
    const std::size_t end = text.find(at);
    const std::string taken(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + at.size());
    return taken;
  };
  http::Request request;
  while (bytes.starts_with("\r\n")) bytes.remove_prefix(2);
  const std::string line = cut(bytes, "\r\n");
  std::string_view rest = line;
  request.method = cut(rest, " ");
  request.target = rest.substr(0, rest.rfind(" HTTP/"));
  for (std::string header = cut(bytes, "\r\n"); !header.empty(); header = cut(bytes, "\r\n")) {
    std::string_view value = header;
    const std::string name = cut(value, ":");
    if (value.starts_with(' ')) value.remove_prefix(1);
    request.headers.Add(name, std::string(value));
  }
  request.body = bytes;
  return request;
}

inline std::vector<Smuggled> SmuggledRequests() {
  std::vector<Smuggled> all;
  for (const nlohmann::json& one : http::wire::Cases("smuggling.json")) {
    all.push_back({.id = one["id"], .request = TakenApart(http::wire::Bytes(one["bytes"]))});
  }
  return all;
}

// Reads one request, strictly, answers it, and then reads what should not be there.
class StrictServer {
 public:
  std::string Url() const { return "http://" + server_.Host(); }
  int accepted() const { return server_.accepted(); }
  // Once, after one was answered: "method target|body" of it, with "fault" and "more" where a
  // server is left with a doubt. Waits for the end of the connection, before which there may be
  // more.
  std::vector<std::string> TakeRequests() {
    served_.acquire();
    return read_.messages();
  }

 private:
  void Serve(const Peer& peer) {
    Read(peer);
    served_.release();
  }

  void Read(const Peer& peer) {
    http::wire::RequestReader reader({.head = std::size_t{1} << 17, .fields = 1000});
    std::array<char, 4096> buffer;
    std::string seen;
    for (bool over = false; !over;) {
      const ssize_t got = ::recv(peer.fd(), buffer.data(), buffer.size(), 0);
      if (got <= 0) return;
      std::string_view bytes(buffer.data(), static_cast<std::size_t>(got));
      over = Take(reader, bytes, seen);
      if (over && !bytes.empty()) seen += " more";
    }
    read_.Add(seen);
    peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    if (::recv(peer.fd(), buffer.data(), buffer.size(), 0) > 0) read_.Add("more");
  }

  // Whether the request is over.
  static bool Take(http::wire::RequestReader& reader, std::string_view& bytes, std::string& seen) {
    using http::wire::Event;
    for (;;) {
      switch (reader.Next(bytes)) {
        case Event::kNeedMore:
          return false;
        case Event::kHead:
          seen += std::string(reader.method()) + " " + std::string(reader.target()) + "|";
          break;
        case Event::kBody:
          seen += reader.body();
          break;
        case Event::kFault:
          seen += " fault";
          return true;
        case Event::kEnd:
          return true;
      }
    }
  }

  Recorder read_;
  std::binary_semaphore served_{0};
  FaultServer server_{[this](const Peer& peer) { Serve(peer); }};
};

// As StrictServer puts it.
inline std::string AsMeant(const http::Request& request) {
  return request.method + " " + request.target + "|" + request.body;
}

// Whether a client may send the case's request; all others are refused before it connects. Of those
// that may be sent some lost on the way to a Request what was wrong with them: the version of the
// line, or the empty lines before it.
inline bool MayBeSent(const std::string& id) {
  static const std::set<std::string> sent = absl::StrSplit(
      "plain-get plain-post cl-dup-same te-underscore bare-lf no-colon line-trailing-space "
      "line-no-version target-fragment method-unknown version-1.2 version-2.0 version-1.10 "
      "version-0.9 host-missing-10 host-dup-same host-empty leading-crlf leading-crlf-3 "
      "head-body expect-other hop-listed hop-xff xff-spoof path-2f path-dots path-badpct "
      "path-query-raw header-70k headers-200 target-9k pipelined",
      ' ');
  return sent.contains(id);
}

// What a client makes of a case with that server: sent as meant, or refused before it connects.
inline void CheckNotSmuggled(const std::string& id, const http::Request& request,
                             const absl::Status& status, StrictServer& server) {
  CAPTURE(status.ToString());
  CHECK(status.ok() == MayBeSent(id));
  if (status.ok()) {
    CHECK(server.TakeRequests() == std::vector{AsMeant(request)});
  } else {
    CHECK(status.code() == absl::StatusCode::kInvalidArgument);
    CHECK(http::TransportErrorOf(status) == http::TransportError::kRequest);
    CHECK(server.accepted() == 0);
  }
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_SMUGGLED_H_
