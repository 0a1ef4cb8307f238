// Answers of a gigabyte, or without an end, which would take the memory of who reads them: they are
// refused at the bound.
#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <zlib.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "holdfast/http.h"
#include "test/http/fault_server.h"
#include "test/support/catch.h"

namespace holdfast::http::huge_answer_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::FaultServer;
using test::Peer;

constexpr std::uint64_t kMegabyte = 1 << 20;
constexpr std::uint64_t kSockets = 64 * kMegabyte;  // more than what both ends hold

void CheckRefused(const absl::Status& status) {
  CAPTURE(status.ToString());
  CHECK(status.code() == absl::StatusCode::kDataLoss);
  CHECK(TransportErrorOf(status) == TransportError::kMalformed);
}

TEST_CASE("an answer that says that it is beyond the bound is refused before its body comes") {
  FaultServer server([](const Peer& peer) {
    if (!peer.ReadRequest()) return;
    peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
    peer.Stall();
  });
  const Transport transport("http://" + server.Host(), {.total_timeout = 60s});
  CheckRefused(transport(Request()).status());
  CHECK(transport.stats().idle == 0);
}

// Sends `head`, and then chunks with `part` until nobody takes them; counts what was taken.
FaultServer::Script Endless(const std::string& head, const std::string& part,
                            std::atomic<std::uint64_t>& taken) {
  const std::string chunk = absl::StrCat(absl::Hex(part.size()), "\r\n", part, "\r\n");
  return [=, &taken](const Peer& peer) {
    if (!peer.ReadRequest() || !peer.Write(head)) return;
    while (peer.Write(chunk)) taken += chunk.size();
  };
}

constexpr const char* kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n";

TEST_CASE("an answer without an end is refused at the bound") {
  const std::string part(64 << 10, 'x');
  std::atomic<std::uint64_t> taken = 0;
  FaultServer server(Endless(absl::StrCat(kChunked, "\r\n"), part, taken));
  const Transport transport("http://" + server.Host(),
                            {.total_timeout = 60s, .max_body = kMegabyte});
  std::uint64_t most = 0;
  const Request request = {.on_download = [&](std::uint64_t done, std::optional<std::uint64_t>) {
    most = done;
    return true;
  }};
  CheckRefused(transport(request).status());
  CHECK(most <= kMegabyte);
  server.WaitForClosed(1);
  CHECK(taken < kSockets);
}

// A megabyte of zeros as a part of a deflate stream that may be repeated at will: it ends at a byte
// and refers to nothing before it.
std::string PackedMegabyte() {
  std::string zeros(kMegabyte, '\0');
  std::string packed(64 << 10, '\0');
  z_stream stream = {};
  ::deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY);
  stream.next_in = reinterpret_cast<Bytef*>(zeros.data());
  stream.avail_in = static_cast<uInt>(zeros.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  ::deflate(&stream, Z_FULL_FLUSH);
  packed.resize(stream.total_out);
  ::deflateEnd(&stream);
  return packed;
}

TEST_CASE("an answer that unpacks to a gigabyte, or without an end, is refused at the bound") {
  const std::string part = PackedMegabyte();
  const std::string begin("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
  const std::string gzip = "Content-Encoding: gzip\r\n";
  std::atomic<std::uint64_t> taken = 0;
  FaultServer::Script script;
  SECTION("a gigabyte in a megabyte") {
    std::string body = begin;
    for (int i = 0; i < 1024; ++i) body += part;
    REQUIRE(body.size() < 2 * kMegabyte);
    script = [answer = absl::StrCat("HTTP/1.1 200 OK\r\n", gzip, "Content-Length: ", body.size(),
                                    "\r\n\r\n", body)](const Peer& peer) {
      if (peer.ReadRequest() && peer.Write(answer)) peer.ReadAll();
    };
  }
  SECTION("without an end") {
    const std::string first = absl::StrCat(absl::Hex(begin.size()), "\r\n", begin, "\r\n");
    script = Endless(absl::StrCat(kChunked, gzip, "\r\n", first), part, taken);
  }
  FaultServer server(script);
  const Transport transport("http://" + server.Host(),
                            {.total_timeout = 60s, .max_body = 4 * kMegabyte});
  CheckRefused(transport(Request()).status());
  server.WaitForClosed(1);
  CHECK(taken < kSockets);
}

}  // namespace
}  // namespace holdfast::http::huge_answer_test
