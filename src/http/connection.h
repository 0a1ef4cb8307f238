// One connection to an origin, and how an exchange on it is cut off.
#ifndef HOLDFAST_SRC_HTTP_CONNECTION_H_
#define HOLDFAST_SRC_HTTP_CONNECTION_H_

#include <absl/status/status.h>
#include <httplib.h>

#include <functional>
#include <memory>
#include <mutex>

#include "holdfast/http/transport.h"
#include "src/http/origin.h"
#include "src/http/socket_list.h"

namespace holdfast::http::internal {

enum class Interruption { kNone, kDeadline, kCancelled };

// Used by one thread at a time, but for Interrupt. Whoever sends on it or destroys it holds a
// SigpipeGuard.
//
// An exchange is interrupted by shutting down a duplicate of its socket's descriptor, which this
// object owns: no other file can be hit by mistake, and it works in every phase. Client::stop() of
// cpp-httplib waits for a lock that is held while it connects and shakes hands.
class Connection {
 public:
  // `sockets` must outlive it.
  Connection(const Route& route, const TransportOptions& options, SocketList& sockets);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection();

  // Forgets the exchange before; Interrupt then means the next one.
  void Begin();

  // OK if there is a whole response; otherwise what kept it from coming, with its TransportError
  // and not counting that it was interrupted. May change the request.
  absl::Status Send(httplib::Request& request, httplib::Response& response);

  // Ends the exchange soon; the first reason counts. Does not block; from any thread.
  void Interrupt(Interruption why);
  Interruption interruption();

  // Lets go of the peer; it connects anew when it is next used. Not after an exception.
  void Close();

  // Of the last exchange.
  bool opened() const { return opened_; }
  bool reused() const { return reused_; }
  bool answered() const { return answered_; }  // an answer began

  // Open with nothing to read: what comes unasked is the server's farewell, or belongs to no
  // request.
  bool Quiet() const;

 private:
  void Adopt(socket_t sock);
  long Handshakes() const;
  absl::Status StatusOf(httplib::Error error) const;
  absl::Status WhyNotConnected() const;
  absl::Status WhyNotTrusted() const;

  const Route route_;
  std::unique_ptr<httplib::ClientImpl> client_;
  std::function<bool()> surplus_;  // whether TLS has read beyond the response; null: no TLS
  SocketList::Entry listed_;
  int sockets_ = 0;          // made in this exchange, whether they were connected or not
  int duplicate_error_ = 0;  // why the last one has no duplicate
  bool opened_ = false;
  bool reused_ = false;
  bool answered_ = false;

  std::mutex mutex_;
  int duplicate_ = -1;
  Interruption interruption_ = Interruption::kNone;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_CONNECTION_H_
