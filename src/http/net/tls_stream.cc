#include "src/http/net/tls_stream.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>

namespace holdfast::http::internal {
namespace {

constexpr std::size_t kRecord = SSL3_RT_MAX_PLAIN_LENGTH;

// A head and the beginning of a body go into one record, without memory of the heap.
constexpr std::size_t kGathered = 4096;

// The beginning of `parts`, of at most `size` bytes: a part as it is, if it is long enough, or what
// is copied into `room`. `exact` bytes if that is not 0.
template <class Room>
std::string_view Front(std::span<const std::string_view> parts, std::size_t exact, Room& room) {
  while (!parts.empty() && parts.front().empty()) parts = parts.subspan(1);
  if (parts.empty()) return {};
  const std::size_t size = exact != 0 ? exact : room.size();
  if (parts.size() == 1 || parts.front().size() >= size) {
    return parts.front().substr(0, exact != 0 ? exact : kRecord);
  }
  std::size_t used = 0;
  for (const std::string_view part : parts) {
    used += part.copy(room.data() + used, size - used);
  }
  return {room.data(), used};
}

}  // namespace

TlsStream::TlsStream(std::unique_ptr<TlsLink> link) : link_(std::move(link)) {}

IoResult TlsStream::ReadOrPeek(std::span<char> room, bool peek) {
  if (read_over_) return *read_over_;
  const IoResult result = link_->Run([&](SSL* ssl, std::size_t& bytes) {
    return peek ? SSL_peek_ex(ssl, room.data(), room.size(), &bytes)
                : SSL_read_ex(ssl, room.data(), room.size(), &bytes);
  });
  starved_ = result.state == IoState::kWaitRead;
  answered_ = answered_ || result.state == IoState::kDone;
  if (result.state == IoState::kEnd || result.state == IoState::kLost) read_over_ = result;
  if (link_->broken()) write_over_ = result;
  return result;
}

IoResult TlsStream::Read(std::span<char> room) { return ReadOrPeek(room, /*peek=*/false); }

// OpenSSL may have taken the bytes of a record that it could not send yet, and is then to be given
// as many again.
IoResult TlsStream::Write(std::span<const std::string_view> parts) {
  if (write_over_) return *write_over_;
  if (pending_ > kGathered) {
    std::string room(pending_, '\0');
    return WriteRecord(Front(parts, pending_, room));
  }
  std::array<char, kGathered> room;
  return WriteRecord(Front(parts, pending_, room));
}

IoResult TlsStream::WriteRecord(std::string_view bytes) {
  IoResult result = link_->Run([&](SSL* ssl, std::size_t& written) {
    return SSL_write_ex(ssl, bytes.data(), bytes.size(), &written);
  });
  // To write, OpenSSL may read, and what came may be for the reader.
  if (link_->socket().received()) starved_ = false;
  const bool waits = result.state == IoState::kWaitRead || result.state == IoState::kWaitWrite;
  pending_ = waits ? bytes.size() : 0;
  if (result.state == IoState::kEnd) result.state = IoState::kLost;  // in the midst of a handshake
  if (result.state == IoState::kLost) write_over_ = result;
  if (link_->broken()) read_over_ = result;
  return result;
}

// The socket is asked first: OpenSSL makes room for a record before it reads.
bool TlsStream::Quiet() {
  if (read_over_ || write_over_) return false;
  if (SSL_has_pending(link_->ssl()) == 0 && link_->socket().Quiet()) return !link_->Between();
  char byte = 0;
  const IoResult result = ReadOrPeek({&byte, 1}, /*peek=*/true);
  return result.state == IoState::kWaitRead && !link_->Between() &&
         !link_->socket().stopped_early();
}

bool TlsStream::HasBuffered() const {
  return !starved_ && !read_over_ && SSL_has_pending(link_->ssl()) == 1;
}

// While a record is half sent OpenSSL can't begin the next, and says nothing.
void TlsStream::Finish() noexcept {
  if (write_over_) return;
  write_over_ = IoResult{.state = IoState::kLost, .bytes = 0, .error = EPIPE};
  if (pending_ != 0 || SSL_in_init(link_->ssl()) == 1) return;
  const IoResult result = link_->Run([](SSL* ssl, std::size_t& /*bytes*/) {
    const int said = SSL_shutdown(ssl);
    return said == 0 ? 1 : said;  // the peer has not said it yet
  });
  if (link_->broken()) read_over_ = result;
}

absl::Status TlsStream::failure() const {
  std::optional<TlsFault> fault = link_->fault();
  if (!fault) return absl::OkStatus();
  fault->answered = answered_;
  return ConnectionError(*fault);
}

}  // namespace holdfast::http::internal
