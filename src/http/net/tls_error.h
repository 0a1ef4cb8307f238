// What TLS fails of, in words.
#ifndef HOLDFAST_SRC_HTTP_NET_TLS_ERROR_H_
#define HOLDFAST_SRC_HTTP_NET_TLS_ERROR_H_

#include <absl/status/status.h>

#include <string>
#include <string_view>

namespace holdfast::http::internal {

// Keeps this thread's queue of OpenSSL's errors to what happens while it lives: whoever uses
// OpenSSL in the same thread leaves nothing to it, and is left nothing by it.
class TlsErrorQueue {
 public:
  TlsErrorQueue() { Clear(); }
  TlsErrorQueue(const TlsErrorQueue&) = delete;
  TlsErrorQueue& operator=(const TlsErrorQueue&) = delete;
  ~TlsErrorQueue() { Clear(); }

  // The first one, of which those after it are consequences; 0: none.
  unsigned long Cause() const;

 private:
  static void Clear();
};

// How an operation on a connection failed.
struct TlsFault {
  // What the server wanted to know of the client.
  enum class Client : signed char {
    kNotAsked,
    kUnnamed,  // there is no client certificate, or none that the server's question allows
    kNamed,
  };

  unsigned long error = 0;  // of OpenSSL; 0: none
  int socket_error = 0;     // errno; 0 where the socket is not to blame
  long verify_result = 0;   // X509_V_OK, or what is wrong with the server's certificate
  bool spoke_tls = true;    // what the peer has sent, if anything, began as a record of TLS does
  bool answered = false;    // there were bytes for the reader
  Client client = Client::kNotAsked;
};

// Of a handshake. kFailedPrecondition with TransportError::kCertificate if the server can't be
// trusted, kUnavailable with kTls if there is no more to it than that the handshake failed.
absl::Status HandshakeError(const TlsFault& fault);

// Of a connection. With TLS 1.3 the client is through with its handshake before the server has seen
// its certificate, so that the refusal is found where the answer is read: that is kUnavailable with
// kTls, as the server has not looked at the request. Anything else is kUnavailable with
// kOutcomeUnknown.
absl::Status ConnectionError(const TlsFault& fault);

// Why a file was not loaded: kFailedPrecondition with kCertificate, and the cause in the queue.
absl::Status LoadError(std::string_view what, std::string_view file, const TlsErrorQueue& queue);
absl::Status LoadError(std::string_view what, std::string_view file, std::string_view reason);

// OpenSSL's own words.
std::string TlsReason(unsigned long error);

// The same error, which is not OK, with "where: " in front of its message.
absl::Status AtPeer(std::string_view where, const absl::Status& error);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_TLS_ERROR_H_
