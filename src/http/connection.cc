#include "connection.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <type_traits>
#include <utility>

#include "connect_error.h"
#include "holdfast/http/transport_error.h"
#include "http_error.h"

namespace holdfast::http::internal {
namespace {

// cpp-httplib polls with whole milliseconds in an int.
std::chrono::milliseconds PollTimeout(Duration timeout) {
  return std::chrono::ceil<std::chrono::milliseconds>(
      std::min<Duration>(timeout, std::chrono::hours(24)));
}

// What OpenSSL found wrong with the certificate; 0 if that was fine, and -1 where cpp-httplib
// doesn't tell, as it did not before 0.11 and does not in its latest releases.
template <class Client>
long VerifyResult(const Client& client) {
  if constexpr (requires { client.get_openssl_verify_result(); }) {
    return client.get_openssl_verify_result();
  } else {
    return -1;
  }
}

// OpenSSL reads whole records, so the socket alone does not know whether a server has sent more
// than its response. Where the client can't be asked, it is taken to have.
template <class Client>
std::unique_ptr<httplib::ClientImpl> MakeTlsClient(const Origin& origin,
                                                   std::function<bool()>& surplus) {
  if constexpr (std::is_final_v<Client>) {
    surplus = [] { return true; };
    return std::make_unique<Client>(origin.host, origin.port);
  } else {
    class Transparent final : public Client {
     public:
      using Client::Client;
      bool HasPending() const {
        return this->socket_.ssl == nullptr || SSL_has_pending(this->socket_.ssl) == 1;
      }
    };
    auto client = std::make_unique<Transparent>(origin.host, origin.port);
    surplus = [&transparent = *client] { return transparent.HasPending(); };
    return client;
  }
}

}  // namespace

Connection::Connection(const Origin& origin, const TransportOptions& options) : origin_(origin) {
  // Not httplib::Client, whose parser of URLs takes only some IPv6 addresses.
  if (origin.tls) {
    client_ = MakeTlsClient<httplib::SSLClient>(origin, surplus_);
    client_->enable_server_certificate_verification(options.verify);
    if (!options.ca_file.empty()) client_->set_ca_cert_path(options.ca_file);
  } else {
    client_ = std::make_unique<httplib::ClientImpl>(origin.host, origin.port);
  }
  client_->set_url_encode(false);  // it would make another path of some
  client_->set_keep_alive(true);
  client_->set_tcp_nodelay(true);
  client_->set_connection_timeout(PollTimeout(options.connect_timeout));
  client_->set_read_timeout(PollTimeout(options.read_timeout));
  client_->set_write_timeout(PollTimeout(options.write_timeout));
  client_->set_socket_options([this](socket_t sock) { Adopt(sock); });
}

Connection::~Connection() {
  client_.reset();  // it may still say goodbye
  if (duplicate_ >= 0) ::close(duplicate_);
}

void Connection::Close() {
  client_->stop();
  const std::lock_guard lock(mutex_);
  if (duplicate_ >= 0) ::close(std::exchange(duplicate_, -1));
}

void Connection::Begin() {
  sockets_ = 0;
  duplicate_error_ = 0;
  opened_ = reused_ = false;
  const std::lock_guard lock(mutex_);
  interruption_ = Interruption::kNone;
}

// Called by cpp-httplib for each socket before it connects.
void Connection::Adopt(socket_t sock) {
  ++sockets_;
  const std::lock_guard lock(mutex_);
  if (duplicate_ >= 0) ::close(duplicate_);
  duplicate_ = ::fcntl(sock, F_DUPFD_CLOEXEC, 0);
  duplicate_error_ = duplicate_ < 0 ? errno : 0;
  // A socket that listens can't connect. This is the only way to say no from here: to the next of
  // the host's addresses after the exchange was interrupted, and to one that could not be.
  if (duplicate_ < 0 || interruption_ != Interruption::kNone) ::listen(sock, 0);
}

absl::Status Connection::Send(httplib::Request& request, httplib::Response& response) {
  httplib::Error error = httplib::Error::Success;
  const bool ok = client_->send(request, response, error);
  const bool connected = ok || !IsConnectError(error);
  opened_ = connected && sockets_ > 0;
  reused_ = connected && sockets_ == 0;
  if (ok) return absl::OkStatus();
  return interruption() == Interruption::kNone ? StatusOf(error) : StatusOfError(error, "");
}

void Connection::Interrupt(Interruption why) {
  const std::lock_guard lock(mutex_);
  if (interruption_ != Interruption::kNone) return;
  interruption_ = why;
  if (duplicate_ >= 0) ::shutdown(duplicate_, SHUT_RDWR);
}

Interruption Connection::interruption() {
  const std::lock_guard lock(mutex_);
  return interruption_;
}

bool Connection::Quiet() const {
  if (!client_->is_socket_open() || (surplus_ && surplus_())) return false;
  char byte = 0;
  return ::recv(client_->socket(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         (errno == EAGAIN || errno == EWOULDBLOCK);
}

absl::Status Connection::StatusOf(httplib::Error error) const {
  if (error == httplib::Error::Connection) {
    return WithTransportError(WhyNotConnected(), TransportError::kConnect);
  }
  if (IsTrustError(error)) {
    return WithTransportError(WhyNotTrusted(), TransportError::kCertificate);
  }
  return StatusOfError(error, origin_.url);
}

absl::Status Connection::WhyNotConnected() const {
  if (duplicate_error_ != 0) return ConnectErrorStatus(duplicate_error_, origin_.url);
  if (sockets_ > 0) return DiagnoseConnect(origin_.host, origin_.port, origin_.url);
  // There was no address, or no socket for one.
  const int sock = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (sock < 0) return ConnectErrorStatus(errno, origin_.url);
  ::close(sock);
  return absl::UnavailableError(
      absl::StrCat(origin_.url, ": the host \"", origin_.host, "\" can't be resolved"));
}

absl::Status Connection::WhyNotTrusted() const {
  const auto* client = static_cast<const httplib::SSLClient*>(client_.get());
  const long result = VerifyResult(*client);
  if (result < 0) return StatusOfError(httplib::Error::SSLServerVerification, origin_.url);
  if (result == X509_V_OK) {
    return absl::FailedPreconditionError(
        absl::StrCat(origin_.url, ": TLS: the server's certificate is not for this host"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      origin_.url,
      ": TLS: the server's certificate is not trusted: ", X509_verify_cert_error_string(result)));
}

}  // namespace holdfast::http::internal
