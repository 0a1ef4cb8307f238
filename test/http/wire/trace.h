// What a reader makes of bytes, as a text, whatever the pieces they come in.
#ifndef HOLDFAST_TEST_HTTP_WIRE_TRACE_H_
#define HOLDFAST_TEST_HTTP_WIRE_TRACE_H_

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/http/wire/reader.h"

namespace holdfast::http::wire {

inline std::string Text(std::span<const Field> fields) {
  std::string text;
  for (const Field& field : fields) {
    absl::StrAppend(&text, " [", std::string(field.name), "=", std::string(field.value), "]");
  }
  return text;
}

inline std::string HeadText(const RequestReader& reader) {
  return absl::StrCat(std::string(reader.method()), " ", std::string(reader.target()));
}
inline std::string HeadText(const ResponseReader& reader) {
  return absl::StrCat(reader.status(), " ", std::string(reader.reason()));
}

// One line for each head, body, end and fault. Reads one message, and the interim ones before it,
// or as many as there are.
template <class R>
class Trace {
 public:
  explicit Trace(R& reader, bool one_message = false) : reader_(reader), one_(one_message) {}

  void Add(std::string_view bytes) {
    while (!over_) {
      const Event event = reader_.Next(bytes);
      if (event == Event::kNeedMore) break;
      Note(event);
    }
    if (!failed_) left_ += bytes;
  }
  void Close() {
    if (!over_) Note(reader_.Close());
  }
  // What is behind the message, if that was not refused.
  const std::string& left() const { return left_; }
  std::string text() const {
    return body_.empty() ? text_ : absl::StrCat(text_, "body ", body_, "\n");
  }

 private:
  void Note(Event event) {
    if (event == Event::kBody) {
      body_ += reader_.body();
      return;
    }
    text_ = text();
    body_.clear();
    if (event == Event::kHead) {
      absl::StrAppend(&text_, "head ", HeadText(reader_), Text(reader_.fields()), "\n");
    } else if (event == Event::kEnd) {
      absl::StrAppend(&text_, "end", Text(reader_.trailers()),
                      reader_.keeps_alive() ? " keep\n" : " close\n");
      over_ = one_ || reader_.framing() == Framing::kTunnel;
    } else {
      absl::StrAppend(&text_, "fault ", reader_.fault().status, " ",
                      std::string(reader_.fault().text), "\n");
      over_ = failed_ = true;
    }
  }

  R& reader_;
  bool one_;
  bool over_ = false;
  bool failed_ = false;
  std::string text_;
  std::string body_;
  std::string left_;
};

inline std::string TraceOfRequests(std::span<const std::string_view> pieces,
                                   const Limits& limits = {}) {
  RequestReader reader(limits);
  Trace trace(reader);
  for (const std::string_view piece : pieces) trace.Add(piece);
  return trace.text();
}

inline std::string TraceOfResponse(std::string_view method,
                                   std::span<const std::string_view> pieces, bool close,
                                   const Limits& limits = {}) {
  ResponseReader reader(limits);
  reader.Expect(method);
  Trace trace(reader, /*one_message=*/true);
  for (const std::string_view piece : pieces) trace.Add(piece);
  if (close) trace.Close();
  return absl::StrCat(trace.text(), trace.left().empty() ? "" : "surplus\n");
}

// The bytes one by one; and in two, at each place, or at a few hundred where they are many.
inline std::vector<std::vector<std::string_view>> Pieces(std::string_view bytes) {
  std::vector<std::vector<std::string_view>> all;
  std::vector<std::string_view> single;
  for (std::size_t i = 0; i < bytes.size(); ++i) single.push_back(bytes.substr(i, 1));
  all.push_back(single);
  const std::size_t step = std::max<std::size_t>(bytes.size() / 400, 1);
  for (std::size_t at = 1; at < bytes.size(); at += step) {
    all.push_back({bytes.substr(0, at), bytes.substr(at)});
  }
  return all;
}

}  // namespace holdfast::http::wire

#endif  // HOLDFAST_TEST_HTTP_WIRE_TRACE_H_
