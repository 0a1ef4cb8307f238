#include "src/http/connection.h"

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

#include "holdfast/http/transport_error.h"
#include "src/http/connect_error.h"
#include "src/http/http_error.h"
#include "src/http/httplib_names.h"

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

// Handshakes that a TLS client began; -1 where it doesn't tell.
template <class Client>
long HandshakesOf(const Client& client) {
  if constexpr (requires { SSL_CTX_sess_connect(client.ssl_context()); }) {
    return SSL_CTX_sess_connect(client.ssl_context());
  } else {
    return -1;
  }
}

// OpenSSL reads whole records, so the socket alone does not know whether a server has sent more
// than its response. Where the client can't be asked, it is taken to have.
template <class Client>
std::unique_ptr<httplib::ClientImpl> MakeTlsClient(const Origin& origin,
                                                   const TransportOptions& options,
                                                   std::function<bool()>& surplus) {
  if constexpr (std::is_final_v<Client>) {
    surplus = [] { return true; };
    return std::make_unique<Client>(origin.host, origin.port, options.client_cert_file,
                                    options.client_key_file);
  } else {
    class Transparent final : public Client {
     public:
      using Client::Client;
      bool HasPending() const {
        return this->socket_.ssl == nullptr || SSL_has_pending(this->socket_.ssl) == 1;
      }
    };
    auto client = std::make_unique<Transparent>(origin.host, origin.port, options.client_cert_file,
                                                options.client_key_file);
    surplus = [&transparent = *client] { return transparent.HasPending(); };
    return client;
  }
}

}  // namespace

Connection::Connection(const Route& route, const TransportOptions& options, SocketList& sockets)
    : route_(route), listed_(sockets) {
  // Not httplib::Client, whose parser of URLs takes only some IPv6 addresses.
  if (route.origin.tls) {
    client_ = MakeTlsClient<httplib::SSLClient>(route.origin, options, surplus_);
    client_->enable_server_certificate_verification(options.verify);
    if (!options.ca_file.empty()) client_->set_ca_cert_path(options.ca_file);
    if (route.proxy) client_->set_proxy(route.proxy->host, route.proxy->port);
  } else {
    // To a proxy the transport itself writes requests as it wants them.
    client_ = std::make_unique<httplib::ClientImpl>(route.peer().host, route.peer().port);
  }
  SetPathEncode(*client_, false);  // it would make another path of some
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
  opened_ = reused_ = answered_ = false;
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
  listed_.Set(sock, duplicate_);
  // A socket that listens can't connect. This is the only way to say no from here: to the next of
  // the host's addresses after the exchange was interrupted, and to one that could not be.
  if (duplicate_ < 0 || interruption_ != Interruption::kNone) ::listen(sock, 0);
}

absl::Status Connection::Send(httplib::Request& request, httplib::Response& response) {
  if (!client_->is_valid()) {
    return WithTransportError(
        absl::FailedPreconditionError(absl::StrCat(
            route_.Describe(), ": TLS: the client's certificate or key can't be loaded")),
        TransportError::kCertificate);
  }
  httplib::Error error = httplib::Error::Success;
  const long handshakes = Handshakes();
  const bool ok = client_->send(request, response, error);
  const bool connected = ok || !IsConnectError(error);
  opened_ = connected && sockets_ > 0;
  reused_ = connected && sockets_ == 0;
  answered_ = response.status >= 0;
  if (ok) return absl::OkStatus();
  if (opened_ && handshakes >= 0 && Handshakes() == handshakes) {
    return WithTransportError(
        absl::UnavailableError(absl::StrCat(route_.Describe(), ": the proxy gave no tunnel")),
        TransportError::kConnect);
  }
  return interruption() == Interruption::kNone ? StatusOf(error) : StatusOfError(error, "");
}

// Begun through a tunnel: with none there was none; -1 where that is not known.
long Connection::Handshakes() const {
  return route_.tunnels() ? HandshakesOf(*static_cast<const httplib::SSLClient*>(client_.get()))
                          : -1;
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
  return StatusOfError(error, route_.Describe());
}

absl::Status Connection::WhyNotConnected() const {
  const std::string where = route_.Describe();
  if (duplicate_error_ != 0) return ConnectErrorStatus(duplicate_error_, where);
  if (sockets_ > 0) return DiagnoseConnect(route_.peer().host, route_.peer().port, where);
  // There was no address, or no socket for one.
  const int sock = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (sock < 0) return ConnectErrorStatus(errno, where);
  ::close(sock);
  return absl::UnavailableError(
      absl::StrCat(where, ": the host \"", route_.peer().host, "\" can't be resolved"));
}

absl::Status Connection::WhyNotTrusted() const {
  const std::string where = route_.Describe();
  const auto* client = static_cast<const httplib::SSLClient*>(client_.get());
  const long result = VerifyResult(*client);
  if (result < 0) return StatusOfError(httplib::Error::SSLServerVerification, where);
  if (result == X509_V_OK) {
    return absl::FailedPreconditionError(
        absl::StrCat(where, ": TLS: the server's certificate is not for this host"));
  }
  return absl::FailedPreconditionError(absl::StrCat(
      where,
      ": TLS: the server's certificate is not trusted: ", X509_verify_cert_error_string(result)));
}

}  // namespace holdfast::http::internal
