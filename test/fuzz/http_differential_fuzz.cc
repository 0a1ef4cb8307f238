// A second opinion on what the readers of HTTP/1.1 accept: http-parser understands it alike, or
// refuses it by a rule that is known. What we refuse it may accept: it is not as strict.
#include <http_parser.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "holdfast/http/wire/reader.h"
#include "test/http/wire/http_parser_peer.h"
#include "test/http/wire/peer.h"

namespace holdfast::http::wire {
namespace {

using Fields = std::vector<std::pair<std::string, std::string>>;

// What a message says that we have accepted.
struct Said {
  std::string method = {};
  Fields fields = {};
  Fields trailers = {};
  int minor_version = 1;
  // A head without a body has fields of one: an interim one, or one that ends the message.
  bool interim_body = false;
  bool ignored_body = false;
};

Fields Copy(std::span<const Field> fields) {
  Fields copies;
  for (const Field& field : fields) copies.emplace_back(field.name, field.value);
  return copies;
}

std::vector<std::string> Values(const Fields& fields, std::string_view name) {
  std::vector<std::string> values;
  for (const auto& [key, value] : fields) {
    if (EqualsIgnoringCase(key, name)) values.push_back(value);
  }
  return values;
}

bool Has(const Fields& fields, std::string_view name) { return !Values(fields, name).empty(); }

// A field whose name only begins so.
bool HasLongerThan(const Fields& fields, std::string_view begin) {
  return std::ranges::any_of(fields, [begin](const auto& field) {
    const std::string_view name = field.first;
    return name.size() > begin.size() && EqualsIgnoringCase(name.substr(0, begin.size()), begin);
  });
}

// Up to the end of the message, which is accepted.
template <class R>
void Listen(R& reader, std::string_view bytes, Said& said) {
  for (;;) {
    const Event event = reader.Next(bytes);
    if (event == Event::kEnd) said.trailers = Copy(reader.trailers());
    if (event != Event::kHead && event != Event::kBody) return;
    if (event == Event::kBody) continue;
    said.fields = Copy(reader.fields());
    said.minor_version = reader.minor_version();
    if constexpr (std::is_same_v<R, ResponseReader>) {
      const int status = reader.status();
      const bool bodiless = status == 204 || status == 304;
      const bool speaks_of_one =
          Has(said.fields, "Content-Length") || Has(said.fields, "Transfer-Encoding");
      const bool seems_to = HasLongerThan(said.fields, "Transfer-Encoding");
      said.interim_body = said.interim_body || (status < 200 && (speaks_of_one || seems_to));
      said.ignored_body = said.ignored_body || (bodiless && speaks_of_one);
    } else {
      said.method = reader.method();
    }
  }
}

Said ListenTo(const Sent& sent) {
  Said said;
  if (sent.response) {
    ResponseReader reader;
    reader.Expect(sent.method);
    Listen(reader, sent.bytes, said);
  } else {
    RequestReader reader;
    Listen(reader, sent.bytes, said);
  }
  return said;
}

bool IsKnownMethod(std::string_view method) {
  for (unsigned i = 0; i <= HTTP_SOURCE; ++i) {
    if (method == http_method_str(static_cast<http_method>(i))) return true;
  }
  return false;
}

// Well-formed messages that http-parser does not understand.
const char* WhyRefused(const Sent& sent, const Said& said) {
  if (!sent.response && !IsKnownMethod(said.method)) {
    return "it knows 34 methods; any token is one (RFC 9110, 9.1)";
  }
  // To HEAD, it skips a body.
  if (said.interim_body || (said.ignored_body && sent.method != "HEAD")) {
    return "1xx, 204 and 304 have no body whatever they say (RFC 9112, 6.3, rule 1)";
  }
  if (HasLongerThan(said.fields, "Transfer-Encoding")) {
    return "a longer name is another field, which says nothing of a coding (RFC 9110, 5.1)";
  }
  const std::vector<std::string> lengths = Values(said.fields, "Content-Length");
  const auto is_number = [](const std::string& text) {
    return std::ranges::all_of(text, [](char byte) { return byte >= '0' && byte <= '9'; });
  };
  if (lengths.size() > 1 || !std::ranges::all_of(lengths, is_number)) {
    return "equal lengths may be taken for one (RFC 9112, 6.3, rule 5)";
  }
  if (Has(said.trailers, "Content-Length") || Has(said.trailers, "Transfer-Encoding") ||
      HasLongerThan(said.trailers, "Transfer-Encoding")) {
    return "a trailer does not frame (RFC 9110, 6.5.1)";
  }
  const bool has_tab = sent.bytes.find('\t') != std::string_view::npos;
  if (has_tab && !lengths.empty()) return "tabs around a value are no part of it (RFC 9110, 5.5)";
  if (has_tab && Has(said.fields, "Transfer-Encoding")) {
    return "a tab may stand before a chunk's extension (RFC 9112, 7.1.1)";
  }
  return nullptr;
}

// Tokens of Connection that http-parser takes for themselves: it loses the comma behind what begins
// like one of those that it knows, and gives up at what is no token.
bool ReadsElement(std::string_view element) {
  for (const std::string_view known : {"close", "keep-alive", "upgrade"}) {
    if (EqualsIgnoringCase(element, known)) return true;
    if (element.empty() || EqualsIgnoringCase(element.substr(0, 1), known.substr(0, 1)))
      return false;
  }
  return std::ranges::all_of(element, [](char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || byte == '-';
  });
}

bool ReadsList(std::string_view list) {
  for (;;) {
    const std::size_t comma = list.find(',');
    std::string_view element = list.substr(0, comma);
    element.remove_prefix(std::min(element.find_first_not_of(' '), element.size()));
    element = element.substr(0, element.find_last_not_of(' ') + 1);
    if (!ReadsElement(element)) return false;
    if (comma == std::string_view::npos) return true;
    list.remove_prefix(comma + 1);
  }
}

// Whether http-parser reads Connection as RFC 9110, 5.6.1 and RFC 9112, 9.3 say.
bool ReadsConnection(const Sent& sent, const Said& said) {
  // A name that is older than the RFCs, and none of theirs.
  if (Has(said.fields, "Proxy-Connection") || Has(said.trailers, "Proxy-Connection")) return false;
  // A trailer says nothing of the connection (RFC 9110, 6.5.1).
  if (Has(said.trailers, "Connection")) return false;
  const std::vector<std::string> lists = Values(said.fields, "Connection");
  // It takes a tab for a part of a token.
  if (!lists.empty() && sent.bytes.find('\t') != std::string_view::npos) return false;
  if (!std::ranges::all_of(lists, ReadsList)) return false;
  // In HTTP/1.0 it heeds keep-alive beside close, which is to be heeded first (RFC 9112, 9.3).
  if (said.minor_version > 0) return true;
  std::vector<Field> fields;
  for (const auto& [name, value] : said.fields) fields.push_back({.name = name, .value = value});
  return !HasToken(fields, "Connection", "close");
}

void Compare(const Sent& sent) {
  const Understood ours = ReadByOurs(sent);
  if (ours.end != Understood::End::kComplete) return;
  Understood theirs = ReadByHttpParser(sent);
  const Said said = ListenTo(sent);
  if (WhyRefused(sent, said) != nullptr) return;
  if (!ReadsConnection(sent, said)) theirs.keeps_alive = ours.keeps_alive;
  if (AreAlike(ours, theirs)) return;
  std::cerr << "ours:   " << Text(ours) << "\ntheirs: " << Text(theirs) << "\n";
  __builtin_trap();
}

}  // namespace
}  // namespace holdfast::http::wire

// The first byte says who reads, and whether the connection ends.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  holdfast::http::wire::Compare({.response = (data[0] & 1) != 0,
                                 .bytes = {reinterpret_cast<const char*>(data) + 1, size - 1},
                                 .method = (data[0] & 2) != 0   ? "HEAD"
                                           : (data[0] & 4) != 0 ? "CONNECT"
                                                                : "GET",
                                 .close = (data[0] & 8) != 0});
  return 0;
}
