// What a parser makes of one message, so that what two of them make can be compared.
#ifndef HOLDFAST_TEST_HTTP_WIRE_PEER_H_
#define HOLDFAST_TEST_HTTP_WIRE_PEER_H_

#include <absl/strings/str_cat.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "holdfast/http/wire/reader.h"
#include "test/http/wire/trace.h"

namespace holdfast::http::wire {

// What comes over a connection, from its beginning.
struct Sent {
  bool response = false;
  std::string_view bytes;
  std::string_view method = "GET";  // of the request, to a response
  bool close = false;               // the peer sends no more
};

struct Understood {
  enum class End : signed char { kCut, kComplete, kRefused };

  End end = End::kCut;
  std::string why = {};       // of kRefused
  std::string start = {};     // "GET /x", "200 OK"
  int minor_version = 1;      // of HTTP/1: 0, or 1 for all others
  std::string fields = {};    // " [Host=a]", in their order
  std::string body = {};      // without what chunks add
  std::string trailers = {};  // as fields
  bool keeps_alive = true;
  std::size_t length = 0;  // of the message, with the interim ones before it
};

inline std::string Text(const Understood& message) {
  if (message.end == Understood::End::kCut) return "cut";
  if (message.end == Understood::End::kRefused) return "refused: " + message.why;
  return absl::StrCat(message.start, " HTTP/1.", message.minor_version, message.fields, " body \"",
                      message.body, "\" trailers", message.trailers,
                      message.keeps_alive ? " keep " : " close ", message.length);
}

// Two refusals are alike, whatever the reasons.
inline bool AreAlike(const Understood& a, const Understood& b) {
  if (a.end != b.end) return false;
  return a.end != Understood::End::kComplete || Text(a) == Text(b);
}

template <class R>
Understood ReadBy(R& reader, const Sent& sent) {
  Understood message;
  std::string_view rest = sent.bytes;
  for (;;) {
    Event event = reader.Next(rest);
    if (event == Event::kNeedMore) {
      // What a closed connection cuts is no more refused than what an open one has not brought yet.
      const bool nothing = sent.bytes.empty();
      if (!sent.close || nothing || reader.Close() != Event::kEnd) return message;
      event = Event::kEnd;
    }
    if (event == Event::kHead) {
      message.start = HeadText(reader);
      message.minor_version = reader.minor_version();
      message.fields = Text(reader.fields());
    } else if (event == Event::kBody) {
      message.body += reader.body();
    } else if (event == Event::kEnd) {
      message.end = Understood::End::kComplete;
      message.trailers = Text(reader.trailers());
      message.keeps_alive = reader.keeps_alive();
      message.length = sent.bytes.size() - rest.size();
      return message;
    } else {
      message.end = Understood::End::kRefused;
      message.why = reader.fault().text;
      return message;
    }
  }
}

inline Understood ReadByOurs(const Sent& sent, const Limits& limits = {}) {
  if (!sent.response) {
    RequestReader reader(limits);
    return ReadBy(reader, sent);
  }
  ResponseReader reader(limits);
  reader.Expect(sent.method);
  return ReadBy(reader, sent);
}

}  // namespace holdfast::http::wire

#endif  // HOLDFAST_TEST_HTTP_WIRE_PEER_H_
