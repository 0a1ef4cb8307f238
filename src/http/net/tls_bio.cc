#include "src/http/net/tls_bio.h"

#include <openssl/ssl3.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cerrno>
#include <utility>

#include "src/http/net/system_call.h"

namespace holdfast::http::internal {

TlsBio::TlsBio(Descriptor socket, std::optional<SocketList::Entry> listed)
    : listed_(std::move(listed)), socket_(std::move(socket)) {
  if (listed_) listed_->Set(socket_.get());
}

// One for all, and for as long as the process: BIOs point to it.
const BIO_METHOD* TlsBio::Method() {
  static const BIO_METHOD* const method_of_process = []() -> const BIO_METHOD* {
    BIO_METHOD* const method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "holdfast socket");
    if (method == nullptr) return nullptr;
    BIO_meth_set_write_ex(method, OnWrite);
    BIO_meth_set_read_ex(method, OnRead);
    BIO_meth_set_ctrl(method, OnControl);
    return method;
  }();
  return method_of_process;
}

BIO* TlsBio::Make() {
  const BIO_METHOD* const method = Method();
  BIO* const bio = method == nullptr ? nullptr : BIO_new(method);
  if (bio == nullptr) return nullptr;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  return bio;
}

void TlsBio::Begin() {
  error_ = 0;
  reads_ = 0;
  received_ = false;
}

int TlsBio::Fail(BIO* bio, int error, int retry_flag) {
  if (WouldBlock(error)) {
    BIO_set_flags(bio, retry_flag | BIO_FLAGS_SHOULD_RETRY);
    return -1;
  }
  error_ = error;
  if (lost_ == 0 && error != EPIPE) lost_ = error;
  return -1;
}

int TlsBio::Receive(BIO* bio, char* room, std::size_t size, std::size_t& read) {
  if (++reads_ > kReadsAtOnce) return Fail(bio, EAGAIN, BIO_FLAGS_READ);
  const ssize_t got =
      Uninterrupted([&] { return ::recv(socket_.get(), room, size, MSG_DONTWAIT); });
  if (got < 0) return Fail(bio, errno, BIO_FLAGS_READ);
  if (got == 0) {
    if (lost_ != 0) return Fail(bio, lost_, BIO_FLAGS_READ);
    ended_ = true;
    return 0;
  }
  if (!std::exchange(heard_, true)) {
    spoke_tls_ = room[0] == SSL3_RT_HANDSHAKE || room[0] == SSL3_RT_ALERT;
  }
  received_ = true;
  read = static_cast<std::size_t>(got);
  return 1;
}

int TlsBio::OnRead(BIO* bio, char* room, std::size_t size, std::size_t* read) {
  BIO_clear_retry_flags(bio);
  return static_cast<TlsBio*>(BIO_get_data(bio))->Receive(bio, room, size, *read);
}

int TlsBio::OnWrite(BIO* bio, const char* bytes, std::size_t size, std::size_t* written) {
  BIO_clear_retry_flags(bio);
  auto& self = *static_cast<TlsBio*>(BIO_get_data(bio));
  const ssize_t sent = Uninterrupted(
      [&] { return ::send(self.socket_.get(), bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT); });
  if (sent < 0) return self.Fail(bio, errno, BIO_FLAGS_WRITE);
  *written = static_cast<std::size_t>(sent);
  return 1;
}

// OpenSSL tells an end from a failure by the first of these, and flushes what it has handed over.
long TlsBio::OnControl(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
  switch (command) {
    case BIO_CTRL_EOF:
      return static_cast<TlsBio*>(BIO_get_data(bio))->ended_ ? 1 : 0;
    case BIO_CTRL_FLUSH:
      return 1;
    default:
      return 0;
  }
}

bool TlsBio::Quiet() {
  if (lost_ != 0) return false;
  char byte = 0;
  const ssize_t got =
      Uninterrupted([&] { return ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT); });
  if (got < 0 && !WouldBlock(errno)) lost_ = errno;
  return got < 0 && WouldBlock(errno) && lost_ == 0;
}

}  // namespace holdfast::http::internal
