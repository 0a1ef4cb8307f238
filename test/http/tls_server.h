#ifndef HOLDFAST_TEST_HTTP_TLS_SERVER_H_
#define HOLDFAST_TEST_HTTP_TLS_SERVER_H_

#include <httplib.h>

#include <string>

#include "test/http/certificate.h"
#include "test/http/test_server.h"

namespace holdfast::test {

// A server with TLS. The certificate goes in as a file, since that is the constructor that every
// release of cpp-httplib has.
class TlsServer : public BasicTestServer<httplib::SSLServer> {
 public:
  // `client_ca`: a PEM file with the authority that clients must have a certificate of; empty: a
  // client needs none.
  explicit TlsServer(const Certificate& certificate, const std::string& client_ca = "")
      : TlsServer(PemFile(certificate), client_ca) {}

 private:
  TlsServer(const PemFile& pem, const std::string& client_ca)
      : BasicTestServer(pem.path().c_str(), pem.path().c_str(),
                        client_ca.empty() ? nullptr : client_ca.c_str()) {}
};

// Answers hello, or that it was told what is for a proxy alone.
class SuspiciousTlsServer : public TlsServer {
 public:
  explicit SuspiciousTlsServer(const Certificate& certificate) : TlsServer(certificate) {
    Get("/", [](const httplib::Request& request, httplib::Response& response) {
      response.set_content(request.has_header("Proxy-Authorization") ? "leaked" : "hello",
                           "text/plain");
    });
    Start();
  }
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_TLS_SERVER_H_
