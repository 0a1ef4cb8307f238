// The readers of HTTP/1.1: the same events whatever the pieces that bytes come in, and what is read
// can be written and read again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/http/wire/reader.h"
#include "holdfast/http/wire/writer.h"
#include "test/http/wire/trace.h"

namespace holdfast::http::wire {
namespace {

void Require(bool truth) {
  if (!truth) __builtin_trap();
}

constexpr Limits kLimits{.head = 512, .fields = 8, .body = 200};

std::vector<std::string_view> Singly(std::string_view bytes) {
  std::vector<std::string_view> pieces;
  for (std::size_t i = 0; i < bytes.size(); ++i) pieces.push_back(bytes.substr(i, 1));
  return pieces;
}

bool IsWriters(const Field& field) {
  for (const std::string_view name :
       {"Host", "Content-Length", "Transfer-Encoding", "Connection"}) {
    if (EqualsIgnoringCase(field.name, name)) return true;
  }
  return false;
}

std::string KeptFields(const RequestReader& reader) {
  std::string text;
  for (const Field& field : reader.fields()) {
    if (!IsWriters(field)) text += Text({&field, 1});
  }
  return text;
}

void WriteAndReadAgain(std::string_view bytes) {
  RequestReader reader(kLimits);
  if (reader.Next(bytes) != Event::kHead) return;
  std::vector<Field> fields;
  for (const Field& field : reader.fields()) {
    if (!IsWriters(field)) fields.push_back(field);
  }
  std::string written;
  Require(WriteHead({.method = reader.method(),
                     .target = reader.target(),
                     .host = FindField(reader.fields(), "Host").value_or(""),
                     .fields = fields,
                     .body = {reader.framing(), reader.length()},
                     .close = !reader.keeps_alive()},
                    written)
              .ok());
  RequestReader again;
  std::string_view rest = written;
  Require(again.Next(rest) == Event::kHead && rest.empty());
  Require(again.method() == reader.method() && again.target() == reader.target());
  Require(KeptFields(again) == KeptFields(reader));
  Require(again.keeps_alive() == reader.keeps_alive());
  Require(again.length() == reader.length());
}

}  // namespace
}  // namespace holdfast::http::wire

// The first byte says who reads, the second where the bytes are cut.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace holdfast::http::wire;
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t cut = data[1] % (bytes.size() + 1);
  const std::vector<std::string_view> whole = {bytes};
  const std::vector<std::string_view> halves = {bytes.substr(0, cut), bytes.substr(cut)};
  if ((data[0] & 1) == 0) {
    const std::string trace = TraceOfRequests(whole, kLimits);
    Require(TraceOfRequests(halves, kLimits) == trace);
    Require(TraceOfRequests(Singly(bytes), kLimits) == trace);
    WriteAndReadAgain(bytes);
    return 0;
  }
  const std::string_view method = (data[0] & 2) != 0   ? "HEAD"
                                  : (data[0] & 4) != 0 ? "CONNECT"
                                                       : "GET";
  const bool close = (data[0] & 8) != 0;
  const std::string trace = TraceOfResponse(method, whole, close, kLimits);
  Require(TraceOfResponse(method, halves, close, kLimits) == trace);
  Require(TraceOfResponse(method, Singly(bytes), close, kLimits) == trace);
  return 0;
}
