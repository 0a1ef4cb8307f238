// The writer of HTTP/1.1 and its reader: what the one writes, of whatever head, the other reads as
// it was meant, in any pieces, and nothing is left over.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "holdfast/http/wire/reader.h"
#include "holdfast/http/wire/writer.h"
#include "test/http/wire/trace.h"

namespace holdfast::http::wire {
namespace {

void Require(bool truth) {
  if (!truth) __builtin_trap();
}

// Takes what a message is made of from the fuzzer's bytes.
class Source {
 public:
  explicit Source(std::string_view bytes) : bytes_(bytes) {}

  unsigned Byte() {
    if (bytes_.empty()) return 0;
    const auto byte = static_cast<unsigned char>(bytes_.front());
    bytes_.remove_prefix(1);
    return byte;
  }
  bool Bit() { return (Byte() & 1) != 0; }
  // A length, then the text.
  std::string_view Text() {
    const std::string_view text = bytes_.substr(0, Byte() % 32);
    const std::string_view taken = bytes_.substr(0, text.size());
    bytes_.remove_prefix(taken.size());
    return taken;
  }
  // One of those that are known, or any.
  std::string_view OneOf(const std::vector<std::string_view>& known) {
    const unsigned byte = Byte();
    return byte < known.size() ? known[byte] : Text();
  }

 private:
  std::string_view bytes_;
};

const std::vector<std::string_view> kNames = {"Host",       "Content-Length", "Transfer-Encoding",
                                              "Connection", "Upgrade",        "Trailer",
                                              "X",          "Expect"};
const std::vector<std::string_view> kValues = {"",     "0",          "5",        "chunked", "close",
                                               "h:80", "keep-alive", "close, X", "a\tb "};

std::vector<Field> Fields(Source& source) {
  std::vector<Field> fields(source.Byte() % 4);
  for (Field& field : fields) {
    field.name = source.OneOf(kNames);
    field.value = source.OneOf(kValues);
  }
  return fields;
}

BodyPlan Body(Source& source) {
  const auto framing = static_cast<Framing>(source.Byte() % 5);
  return {.framing = framing, .length = framing == Framing::kLength ? source.Byte() % 70 : 0};
}

// Names that the writer leaves out or says itself.
bool IsWriters(const Field& field, bool response) {
  const auto is = [&](std::string_view name) { return EqualsIgnoringCase(field.name, name); };
  return is("Content-Length") || is("Transfer-Encoding") || is("Connection") ||
         (!response && is("Host"));
}

std::string_view WithoutBlanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  return text.substr(0, text.find_last_not_of(kBlanks) + 1);
}

// What a field's value is, is without the blanks around it (RFC 9110, 5.5).
std::string Kept(std::span<const Field> fields, bool response) {
  std::string text;
  for (const Field& field : fields) {
    const Field kept{.name = field.name, .value = WithoutBlanks(field.value)};
    if (!IsWriters(field, response)) text += Text({&kept, 1});
  }
  return text;
}

// A body of that plan, with its trailers.
struct Written {
  std::string body = {};
  std::string trailers = {};
};

Written WriteBody(Source& source, const BodyPlan& plan, std::string& bytes) {
  Written written;
  if (plan.framing == Framing::kLength) {
    written.body.assign(plan.length, 'b');
    bytes += written.body;
  } else if (plan.framing == Framing::kUntilClose) {
    written.body = source.Text();
    bytes += written.body;
  } else if (plan.framing == Framing::kChunked) {
    for (unsigned left = source.Byte() % 4; left > 0; --left) {
      const std::string_view data = source.Text();
      written.body += data;
      WriteChunk(data, bytes);
    }
    const std::vector<Field> trailers = Fields(source);
    if (WriteLastChunk(trailers, bytes).ok()) {
      written.trailers = Kept(trailers, /*response=*/false);
    } else {
      Require(WriteLastChunk({}, bytes).ok());
    }
  }
  return written;
}

struct Meant {
  std::string start;
  std::string fields;
  Written body;
  Framing framing;
  bool keeps_alive;
};

template <class R>
void Read(R& reader, std::string_view bytes, std::size_t piece, bool close, const Meant& meant) {
  Written read;
  bool over = false;
  for (std::size_t at = 0; at < bytes.size() && !over; at += piece) {
    std::string_view rest = bytes.substr(at, piece);
    for (Event event = reader.Next(rest); event != Event::kNeedMore; event = reader.Next(rest)) {
      Require(event != Event::kFault);
      if (event == Event::kBody) read.body += reader.body();
      over = event == Event::kEnd;
      if (over) break;
    }
    Require(rest.empty() && (!over || at + piece >= bytes.size()));
  }
  if (close && !over) over = reader.Close() == Event::kEnd;
  if constexpr (std::is_same_v<R, ResponseReader>) over = over || reader.interim();
  Require(over && HeadText(reader) == meant.start);
  Require(Kept(reader.fields(), std::is_same_v<R, ResponseReader>) == meant.fields);
  Require(read.body == meant.body.body && Text(reader.trailers()) == meant.body.trailers);
  Require(reader.framing() == meant.framing && reader.keeps_alive() == meant.keeps_alive);
}

void RequestThereAndBack(Source& source) {
  const std::vector<std::string_view> methods = {"GET",  "POST",    "PUT",
                                                 "HEAD", "OPTIONS", "CONNECT"};
  const std::vector<std::string_view> targets = {"/", "*", "h:80", "http://h/x?y"};
  RequestHead head{.method = source.OneOf(methods),
                   .target = source.OneOf(targets),
                   .host = source.OneOf({"h", "", "h:80", "[::1]:80"}),
                   .body = Body(source),
                   .close = source.Bit()};
  const std::vector<Field> fields = Fields(source);
  head.fields = fields;
  std::string bytes;
  if (!WriteHead(head, bytes).ok()) {
    Require(bytes.empty());
    return;
  }
  const bool has_length = head.method == "POST" || head.method == "PUT" || head.method == "PATCH";
  const Meant meant{.start = std::string(head.method) + " " + std::string(head.target),
                    .fields = Kept(fields, /*response=*/false),
                    .body = WriteBody(source, head.body, bytes),
                    .framing = head.body.framing == Framing::kNone && has_length
                                   ? Framing::kLength
                                   : head.body.framing,
                    .keeps_alive = !head.close};
  for (const std::size_t piece : {bytes.size(), std::size_t{1}, std::size_t{1} + source.Byte()}) {
    RequestReader reader;
    Read(reader, bytes, piece, /*close=*/false, meant);
  }
}

// What a reader is to say of that head.
Framing FramingOf(const ResponseHead& head) {
  if (head.status == 101 || (head.to_connect && head.status / 100 == 2)) return Framing::kTunnel;
  const bool bare = head.to_head || head.status < 200 || head.status == 204 || head.status == 304;
  return bare ? Framing::kNone : head.body.framing;
}

void ResponseThereAndBack(Source& source) {
  ResponseHead head{.status = static_cast<int>(source.Byte() * 256 + source.Byte()) % 1024,
                    .reason = source.OneOf({"OK", ""}),
                    .body = Body(source),
                    .close = source.Bit(),
                    .to_head = source.Bit(),
                    .to_connect = source.Bit()};
  if (source.Bit()) head.status = 101 + 103 * static_cast<int>(source.Byte() % 3);
  if (head.to_head) head.to_connect = false;
  const std::vector<Field> fields = Fields(source);
  head.fields = fields;
  std::string bytes;
  if (!WriteHead(head, bytes).ok()) {
    Require(bytes.empty());
    return;
  }
  const Framing framing = FramingOf(head);
  const bool until_close = head.body.framing == Framing::kUntilClose && !head.to_head;
  const Meant meant{.start = std::to_string(head.status) + " " + std::string(head.reason),
                    .fields = Kept(fields, /*response=*/true),
                    .body = WriteBody(source, {framing, head.body.length}, bytes),
                    .framing = framing,
                    .keeps_alive = !head.close && !until_close && framing != Framing::kTunnel};
  for (const std::size_t piece : {bytes.size(), std::size_t{1}, std::size_t{1} + source.Byte()}) {
    ResponseReader reader;
    reader.Expect(head.to_head ? "HEAD" : head.to_connect ? "CONNECT" : "GET");
    Read(reader, bytes, piece, framing == Framing::kUntilClose, meant);
  }
}

}  // namespace
}  // namespace holdfast::http::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  holdfast::http::wire::Source source({reinterpret_cast<const char*>(data), size});
  if (source.Bit()) {
    holdfast::http::wire::RequestThereAndBack(source);
  } else {
    holdfast::http::wire::ResponseThereAndBack(source);
  }
  return 0;
}
