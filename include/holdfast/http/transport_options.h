// The options of a Transport and of an AsyncTransport.
//
//   holdfast::http::TransportOptions options{.max_idle = 4, .proxy = "http://proxy.example:3128"};
//   options.no_proxy = "localhost,10.0.0.0/8,.internal.example";
#ifndef HOLDFAST_HTTP_TRANSPORT_OPTIONS_H_
#define HOLDFAST_HTTP_TRANSPORT_OPTIONS_H_

#include <absl/status/status.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "holdfast/base/time.h"
#include "holdfast/http/tcp_keep_alive.h"  // IWYU pragma: export

namespace holdfast::http {

// total_timeout and the call's deadline bound a whole exchange. Each other timeout bounds one step;
// signals that the calling thread handles do not lengthen it.
struct TransportOptions {
  // Open connections, those that are being closed included; >= 1, and by default without limit. A
  // call that finds none free waits for one, in order of arrival, until its deadline.
  std::int64_t max_connections = std::numeric_limits<std::int64_t>::max();
  std::int64_t max_idle = 16;                          // idle connections that are kept, >= 0
  TimeSpan idle_timeout = std::chrono::seconds(30);    // one idle for longer is not used again
  TimeSpan connect_timeout = std::chrono::seconds(5);  // to connect; for a tunnel; for TLS
  TimeSpan read_timeout = std::chrono::seconds(30);    // without a byte while reading the response
  TimeSpan write_timeout = std::chrono::seconds(30);   // without progress while writing
  TimeSpan total_timeout = Duration::max();  // the wait for a connection included; default: none
  std::string ca_file = {};                  // CA bundle, PEM; empty: the system's
  bool verify = true;                        // the certificate and the host name in it
  std::string client_cert_file = {};         // PEM, for a server that asks for a certificate;
  std::string client_key_file = {};          // set both or none
  // http://[user[:password]@]host[:port]; empty: no proxy. The proxy receives requests for http
  // origins, and opens a tunnel (CONNECT) for https origins. User and password are percent-encoded
  // (RFC 3986, 2.1) and sent to the proxy alone, as Basic (RFC 7617): with each request that the
  // proxy receives, unless that has a Proxy-Authorization of its own, and with CONNECT. No message
  // shows them. A request for http must not name another Host than the origin's, which the proxy
  // would replace; one for https must not have Proxy-Authorization, which would reach the server.
  std::string proxy = {};
  // Origins that are reached without the proxy; names and addresses separated by commas or spaces:
  //   example.com        the host and its subdomains; so do .example.com and *.example.com
  //   192.0.2.1, ::1     an address, with or without brackets if it is IPv6
  //   10.0.0.0/8         a block of addresses (CIDR)
  //   example.com:8080   with a port: only there; [::1]:8080 of an IPv6 address
  //   *                  every origin
  // Case does not matter. A name of an origin is not resolved to be compared with addresses.
  std::string no_proxy = {};
  // Where `proxy` is empty, the environment says which one there is, at the time when the Transport
  // is made: http_proxy for an http origin (never HTTP_PROXY, which a client of a CGI program can
  // set: CVE-2016-5385), https_proxy or HTTPS_PROXY for an https origin, and then all_proxy or
  // ALL_PROXY. If `no_proxy` is empty, no_proxy or NO_PROXY is used; what is malformed in it is
  // left out. A proxy without "://" is taken for one of http. With one that is malformed or not of
  // http every call returns kInvalidArgument, which names the variable. A variable that is empty is
  // as if it were not set. No other thread may change the environment meanwhile; and a program that
  // runs with more rights than its caller (setuid) reads none of it.
  bool proxy_from_environment = false;
  // The unix socket to connect to whatever the origin's host and port are: a path, or '@' and a
  // name of Linux's abstract namespace; at most 107 bytes. The origin is what Host and, with https,
  // the name in the certificate are. Not with a proxy. Empty: TCP.
  std::string unix_socket = {};
  // The IP address of this host to connect from, without brackets and port; of the host's addresses
  // those of its family are tried. The interface of an IPv6 zone is looked up when the Transport is
  // made. Not with unix_socket. Empty: the kernel chooses it.
  std::string local_address = {};
  // Without it the kernel does not ask whether a peer is still there. A unix socket needs none.
  std::optional<TcpKeepAlive> tcp_keep_alive = std::nullopt;
  // Name of a request header, for example "X-Attempt", that tells the server the number of the
  // attempt within its call, from 1. It replaces a header of the same name. Empty: none is sent.
  std::string attempt_header = {};
  // A connection is closed when it is that old and idle, so that a name which leads elsewhere by
  // then is looked up again; > 0. Each ends at random within the last tenth of it.
  TimeSpan max_age = std::chrono::minutes(10);
  // Exchanges over one connection, >= 1; the default is no limit.
  std::int64_t max_uses = std::numeric_limits<std::int64_t>::max();
  // Bounds of a response. What is beyond one is refused as TransportError::kMalformed.
  std::size_t max_head = std::size_t{64} << 10;  // bytes of status line and headers, 256 to 2^24
  std::size_t max_fields = 1000;                 // header lines, 1 to 100,000
  // Bytes of a body as it comes, and once more of what it is decoded to; 0 to 2^63 - 1. A body that
  // the request's receiver takes has no bound.
  std::uint64_t max_body = std::uint64_t{100} << 20;
  // Whether the content codings of a response are undone: gzip, deflate, and br and zstd where
  // their libraries are. The response then has neither Content-Encoding nor Content-Length.
  bool decode = true;
  // How long the body of a request with "Expect: 100-continue" waits for the server to ask for it;
  // >= 0. Then it is sent all the same (RFC 9110, 10.1.1). read_timeout runs meanwhile, and ends
  // the exchange first if it is shorter.
  TimeSpan continue_timeout = std::chrono::seconds(1);
};

// kInvalidArgument if an option is out of range, `proxy` is no URL of a proxy, an entry of
// `no_proxy` is neither a name nor an address, a path or an address can't be one,
// `attempt_header` is no header name (RFC 9110, 5.6.2), or two options exclude each other. The text
// says which, and shows no password.
absl::Status Validate(const TransportOptions& options);

}  // namespace holdfast::http

#endif  // HOLDFAST_HTTP_TRANSPORT_OPTIONS_H_
