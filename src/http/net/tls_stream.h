// A stream over TLS.
#ifndef HOLDFAST_SRC_HTTP_NET_TLS_STREAM_H_
#define HOLDFAST_SRC_HTTP_NET_TLS_STREAM_H_

#include <absl/status/status.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "src/http/net/stream.h"
#include "src/http/net/tls_link.h"

namespace holdfast::http::internal {

// A connection that ends without close_notify is kLost: somebody may have cut what it carried. A
// Write makes one record. After one that lost the socket, what the peer has sent can still be read.
class TlsStream final : public Stream {
 public:
  // Its handshake is done.
  explicit TlsStream(std::unique_ptr<TlsLink> link);

  IoResult Read(std::span<char> room) override;
  IoResult Write(std::span<const std::string_view> parts) override;

  // Takes in what TLS sends on its own, as session tickets, which is no answer to anybody.
  bool Quiet() override;

  // May be true once where a Read then finds nothing: what there is is TLS's own.
  bool HasBuffered() const override;
  void Finish() noexcept override;
  int descriptor() const override { return link_->socket().descriptor(); }

  // Why an operation was kLost, as ConnectionError says; OK: none was.
  absl::Status failure() const override;

 private:
  IoResult ReadOrPeek(std::span<char> room, bool peek);
  IoResult WriteRecord(std::string_view bytes);

  std::unique_ptr<TlsLink> link_;
  std::optional<IoResult> read_over_;   // how reading ended
  std::optional<IoResult> write_over_;  // how writing ended
  std::size_t pending_ = 0;  // bytes of a Write that is to be called again; OpenSSL may have them
  bool answered_ = false;
  // Nothing came since a Read waited, so that what OpenSSL has is less than a record.
  bool starved_ = false;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_TLS_STREAM_H_
