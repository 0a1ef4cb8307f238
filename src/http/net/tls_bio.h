// The socket of a connection, as OpenSSL reads and writes it.
#ifndef HOLDFAST_SRC_HTTP_NET_TLS_BIO_H_
#define HOLDFAST_SRC_HTTP_NET_TLS_BIO_H_

#include <openssl/bio.h>

#include <cstddef>
#include <optional>

#include "src/http/net/descriptor.h"
#include "src/http/socket_list.h"

namespace holdfast::http::internal {

// OpenSSL's own BIO for sockets raises SIGPIPE at a peer that is gone, and leaves its errno to
// whoever calls next. This one does neither, and never blocks, whether the socket is non-blocking
// or not. One thread at a time.
class TlsBio {
 public:
  // How often an operation of OpenSSL reads, at most: a peer that sends records without bytes for
  // the reader as fast as they are read would hold it beyond any deadline. It is then told that
  // there is nothing more for now.
  static constexpr int kReadsAtOnce = 64;

  // `listed`: how a child of fork() learns of the socket.
  TlsBio(Descriptor socket, std::optional<SocketList::Entry> listed);
  TlsBio(const TlsBio&) = delete;
  TlsBio& operator=(const TlsBio&) = delete;

  // The caller's; null where there is no memory. This must outlive it.
  BIO* Make();

  // Before each operation of OpenSSL.
  void Begin();

  int descriptor() const { return socket_.get(); }
  // errno of the last operation since Begin(); 0: it did not fail.
  int error() const { return error_; }
  // Since Begin().
  bool received() const { return received_; }
  bool stopped_early() const { return reads_ > kReadsAtOnce; }
  // Whether what came first, if anything did, is the type of a record that may begin a connection:
  // handshake or alert (RFC 8446, 5.1).
  bool spoke_tls() const { return spoke_tls_; }

  // Whether the socket is open with nothing to read.
  bool Quiet();

 private:
  static const BIO_METHOD* Method();
  static int OnWrite(BIO* bio, const char* bytes, std::size_t size, std::size_t* written);
  static int OnRead(BIO* bio, char* room, std::size_t size, std::size_t* read);
  static long OnControl(BIO* bio, int command, long number, void* pointer);

  // As OpenSSL takes it: 1 success, 0 the end, -1 a failure, which may be for now only.
  int Receive(BIO* bio, char* room, std::size_t size, std::size_t& read);
  int Fail(BIO* bio, int error, int retry_flag);

  std::optional<SocketList::Entry> listed_;  // before the socket, which is closed first
  Descriptor socket_;
  int error_ = 0;
  // What the connection was lost with, if not by the peer's own farewell: the kernel says it once,
  // and from then on that the peer has said its last.
  int lost_ = 0;
  int reads_ = 0;  // since Begin()
  bool received_ = false;
  bool heard_ = false;  // ever
  bool spoke_tls_ = true;
  bool ended_ = false;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_TLS_BIO_H_
