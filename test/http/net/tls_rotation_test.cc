#include "src/http/net/tls_rotation.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/http/transport_error.h"
#include "test/http/net/tls_identity.h"
#include "test/http/net/tls_peer.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::http::internal::tls_rotation_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::ContainsSubstring;
using test::Folder;
using test::Identity;
using test::Shake;
using test::TlsPeer;
using test::TlsServerContext;
using test::TlsSockets;
using Code = absl::StatusCode;

constexpr TimePoint At(Duration since) { return TimePoint(since); }

void CheckNotLoaded(const absl::Status& status, const std::string& file, const std::string& why) {
  CHECK(status.code() == Code::kFailedPrecondition);
  CHECK(TransportErrorOf(status) == TransportError::kCertificate);
  CHECK_THAT(std::string(status.message()), ContainsSubstring("\"" + file + "\": " + why));
  CHECK(ERR_peek_error() == 0);
}

// A client with a certificate, and the server that asks for it.
struct Scene {
  Folder folder;
  Identity authority{{.common_name = "authority", .authority = true}};
  Identity clients{{.common_name = "clients", .authority = true}};
  Identity first{{.common_name = "first"}, &clients};
  Identity second{{.common_name = "second"}, &clients};
  TlsServerContext server{Identity({.alt = "DNS:a.example"}, &authority)};
  TlsOptions options = {.ca_file = folder.Put("ca.pem", authority.CertificatePem()),
                        .client_cert_file = folder.Put("client.pem", first.CertificatePem()),
                        .client_key_file = folder.Put("client.key", first.KeyPem())};

  Scene() { server.Demand(clients); }
  void PutClient(const Identity& client) const {
    folder.Put("client.pem", client.CertificatePem());
    folder.Put("client.key", client.KeyPem());
  }
};

// The common name of the client that the server sees; else why there is no connection.
std::string SeenAs(const std::shared_ptr<TlsContext>& context, const TlsServerContext& server) {
  TlsSockets pair;
  TlsPeer peer(server, std::move(pair.server));
  TlsHandshake handshake(context, "a.example", 443, std::move(pair.client));
  if (Shake(handshake, peer).state != IoState::kDone) {
    return std::string(handshake.status().message());
  }
  const std::unique_ptr<TlsStream> stream = handshake.Take();
  (void)stream->Quiet();  // takes the tickets
  const std::unique_ptr<X509, void (*)(X509*)> client(SSL_get1_peer_certificate(peer.ssl()),
                                                      X509_free);
  char name[100] = "";
  if (client != nullptr) {
    X509_NAME_get_text_by_NID(X509_get_subject_name(client.get()), NID_commonName, name,
                              sizeof name);
  }
  return peer.resumed() ? std::string(name) + ", resumed" : name;
}

TEST_CASE("TLS options that are out of range are refused") {
  const auto refused = [](TlsOptions options, const std::string& why) {
    CHECK_THAT(std::string(Validate(options).message()), ContainsSubstring(why));
    CHECK(TlsContext::Load(options).status().code() == Code::kInvalidArgument);
    CHECK_THROWS_AS(TlsContexts(options), std::invalid_argument);
  };
  refused({.client_cert_file = "a.pem"}, "go together");
  refused({.client_key_file = "a.pem"}, "go together");
  refused({.min_version = TLS1_1_VERSION}, "min_version");
  refused({.alpn = std::string(256, 'x')}, "alpn");
  refused({.ca_file = std::string("a\0b", 3)}, "NUL");
  CHECK(Validate(TlsOptions()).ok());
}

TEST_CASE("a TLS file that can't be loaded at first is an error that names it and the reason") {
  const Scene scene;
  TlsOptions options = scene.options;
  const auto failure = [&] { return TlsContexts(options).Get(At(0s)).status(); };
  const std::string whole = scene.authority.CertificatePem();
  SECTION("CA certificates") {
    std::string& file = options.ca_file;
    file = "/nonexistent.pem";
    CheckNotLoaded(failure(), file, "No such file or directory");
    CHECK_THAT(std::string(failure().message()), ContainsSubstring("CA certificates"));
    file = scene.folder.Path("");
    CheckNotLoaded(failure(), file, "not a regular file");
    file = scene.folder.Put("bad.pem", "no certificate");
    CheckNotLoaded(failure(), file, "");
    file = scene.folder.Put("bad.pem", "");
    CheckNotLoaded(failure(), file, "");
    file = scene.folder.Put("bad.pem", whole + whole.substr(0, whole.size() / 2));
    CheckNotLoaded(failure(), file, "");
    options.verify = false;
    CheckNotLoaded(failure(), file, "");
  }
  SECTION("a client certificate") {
    std::string& file = options.client_cert_file;
    file = "/nonexistent.pem";
    CheckNotLoaded(failure(), file, "No such file or directory");
    CHECK_THAT(std::string(failure().message()), ContainsSubstring("certificate or key"));
    file = scene.folder.Put("bad.pem", whole.substr(0, whole.size() / 2));
    CheckNotLoaded(failure(), file, "");
    file = scene.folder.Put("bad.pem", whole + whole.substr(0, whole.size() / 2));
    CheckNotLoaded(failure(), file, "");
  }
  SECTION("a client key") {
    std::string& file = options.client_key_file;
    file = scene.folder.Put("bad.key", scene.second.KeyPem());
    CheckNotLoaded(failure(), file, "key values mismatch");
    file = scene.folder.Put("bad.key", Identity({.rsa = true}).KeyPem());
    CheckNotLoaded(failure(), file, "");
    // Nobody is asked for its password.
    file = scene.folder.Put("bad.key", scene.first.EncryptedKeyPem());
    CheckNotLoaded(failure(), file, "");
  }
}

TEST_CASE("TLS files that can't be loaded at first are tried again after a second") {
  const Scene scene;
  TlsOptions options = scene.options;
  options.ca_file = scene.folder.Path("later.pem");
  TlsContexts contexts(options);
  CHECK_FALSE(contexts.Get(At(10s)).ok());
  scene.folder.Put("later.pem", scene.authority.CertificatePem());
  CHECK_FALSE(contexts.Get(At(10s + 999ms)).ok());
  CHECK(contexts.Get(At(11s)).ok());
  CHECK(contexts.reload_error().ok());
}

TEST_CASE("TLS with the system's authorities") {
  TlsContexts contexts(TlsOptions{});
  const auto context = contexts.Get(At(0s));
  REQUIRE(context.ok());
  CHECK(contexts.Get(At(5s)).value() == *context);
  const Scene scene;
  CHECK_THAT(SeenAs(*context, scene.server), ContainsSubstring("not trusted"));
}

TEST_CASE("TLS files that have changed are loaded when a second has passed since the last look") {
  const Scene scene;
  TlsContexts contexts(scene.options);
  const auto first = contexts.Get(At(10s)).value();
  CHECK(SeenAs(first, scene.server) == "first");
  CHECK(SeenAs(first, scene.server) == "first, resumed");
  CHECK(contexts.Get(At(12s)).value() == first);  // a look
  scene.PutClient(scene.second);
  CHECK(contexts.Get(At(13s - 1ns)).value() == first);
  CHECK(contexts.Get(At(5s)).value() == first);
  const auto second = contexts.Get(At(13s)).value();
  CHECK(second != first);
  // Nothing is resumed of what the first one had.
  CHECK(SeenAs(second, scene.server) == "second");
  CHECK(SeenAs(second, scene.server) == "second, resumed");
  CHECK(contexts.Get(At(20s)).value() == second);
}

TEST_CASE("TLS authorities are rotated, also by a link that is turned") {
  const Scene scene;
  namespace fs = std::filesystem;
  const Identity successor({.common_name = "successor", .authority = true});
  const TlsServerContext renewed(Identity({.alt = "DNS:a.example"}, &successor));
  scene.folder.Put("new.pem", successor.CertificatePem());
  fs::create_symlink("ca.pem", scene.folder.Path("link.pem"));
  TlsContexts contexts({.ca_file = scene.folder.Path("link.pem")});
  CHECK_THAT(SeenAs(contexts.Get(At(0s)).value(), renewed), ContainsSubstring("not trusted"));
  fs::create_symlink("new.pem", scene.folder.Path("turned.pem"));
  fs::rename(scene.folder.Path("turned.pem"), scene.folder.Path("link.pem"));
  CHECK(SeenAs(contexts.Get(At(1s)).value(), renewed).empty());
}

TEST_CASE("TLS files that are half written leave the context in use, until they are whole") {
  const Scene scene;
  TlsContexts contexts(scene.options);
  const auto first = contexts.Get(At(0s)).value();
  const auto stays = [&](Duration now, const std::string& file) {
    CHECK(contexts.Get(At(now)).value() == first);
    CHECK_THAT(std::string(contexts.reload_error().message()), ContainsSubstring(file));
    CHECK(ERR_peek_error() == 0);
  };
  const std::string whole = scene.second.CertificatePem();
  scene.folder.Put("client.pem", whole.substr(0, whole.size() / 2));
  stays(1s, "client.pem");
  scene.folder.Put("client.pem", whole);  // whose key is yet to come
  stays(2s, "client.key");
  std::filesystem::remove(scene.folder.Path("ca.pem"));
  scene.folder.Put("client.key", scene.second.KeyPem());
  stays(3s, "ca.pem");
  CHECK(SeenAs(first, scene.server) == "first");
  scene.folder.Put("ca.pem", scene.authority.CertificatePem());
  CHECK(contexts.Get(At(4s - 1ns)).value() == first);
  CHECK(SeenAs(contexts.Get(At(4s)).value(), scene.server) == "second");
  CHECK(contexts.reload_error().ok());
}

TEST_CASE("TLS files that are again what they were are no failure, and are not loaded again") {
  const Scene scene;
  TlsContexts contexts(scene.options);
  const auto first = contexts.Get(At(0s)).value();
  namespace fs = std::filesystem;
  fs::rename(scene.options.ca_file, scene.folder.Path("away"));
  CHECK(contexts.Get(At(1s)).value() == first);
  CHECK_FALSE(contexts.reload_error().ok());
  fs::rename(scene.folder.Path("away"), scene.options.ca_file);
  CHECK(contexts.Get(At(2s)).value() == first);
  CHECK(contexts.reload_error().ok());
}

TEST_CASE("a file that is written in place is a change too") {
  const Scene scene;
  TlsContexts contexts({.ca_file = scene.options.ca_file});
  const auto first = contexts.Get(At(0s)).value();
  std::ofstream(scene.options.ca_file, std::ios::app) << scene.clients.CertificatePem();
  CHECK(contexts.Get(At(1s)).value() != first);
}

TEST_CASE("a TLS connection in use keeps its context, which ends with it") {
  const Scene scene;
  TlsContexts contexts(scene.options);
  TlsSockets pair;
  TlsPeer peer(scene.server, std::move(pair.server));
  std::unique_ptr<TlsStream> stream;
  std::weak_ptr<TlsContext> first;
  {
    const auto context = contexts.Get(At(0s)).value();
    first = context;
    TlsHandshake handshake(context, "a.example", 443, std::move(pair.client));
    REQUIRE(Shake(handshake, peer).state == IoState::kDone);
    stream = handshake.Take();
  }
  scene.PutClient(scene.second);
  REQUIRE(contexts.Get(At(1s)).ok());
  CHECK_FALSE(first.expired());
  const std::string_view hello = "hello";
  CHECK(stream->Write({&hello, 1}).state == IoState::kDone);
  CHECK(peer.Read() == "hello");
  CHECK(stream->Quiet());  // and its tickets still have a place
  stream.reset();
  CHECK(first.expired());
}

TEST_CASE("threads share a TLS context and its sessions while the files are rotated") {
  const Scene scene;
  TlsContexts contexts(scene.options);
  REQUIRE(contexts.Get(At(0s)).ok());  // later the files may not go together
  constexpr int kThreads = 4;
  constexpr int kConnections = 60;
  std::vector<std::string> wrong(kThreads);
  std::vector<int> resumed(kThreads);
  std::atomic<int> now{0};  // seconds; relaxed, as it orders nothing
  test::InThreads(kThreads + 1, [&](int thread) {
    if (thread == kThreads) {
      for (int i = 0; i < 40; ++i) {
        scene.PutClient(i % 2 == 0 ? scene.second : scene.first);
        now.fetch_add(1, std::memory_order_relaxed);
      }
      return;
    }
    const auto index = static_cast<std::size_t>(thread);
    for (int i = 0; i < kConnections && wrong[index].empty(); ++i) {
      const auto context =
          contexts.Get(At(std::chrono::seconds(now.load(std::memory_order_relaxed))));
      const std::string seen =
          context.ok() ? SeenAs(*context, scene.server) : context.status().ToString();
      if (seen.find("resumed") != std::string::npos) ++resumed[index];
      if (!seen.starts_with("first") && !seen.starts_with("second")) wrong[index] = seen;
    }
  });
  for (const std::string& each : wrong)
    CHECK(each == "");  // NOLINT(readability-container-size-empty): shows it
  int sum = 0;
  for (const int each : resumed) sum += each;
  CHECK(sum > 0);
}

TEST_CASE("the first TLS context is waited for until a deadline or a stop") {
  const Scene scene;
  std::atomic<bool> begun = false;
  std::atomic<bool> may_go = false;
  TlsContexts contexts(scene.options, [&](const TlsOptions& options) {
    begun = true;
    begun.notify_all();
    may_go.wait(false);
    return TlsContext::Load(options);
  });
  absl::StatusOr<std::shared_ptr<TlsContext>> loaded;
  absl::StatusOr<std::shared_ptr<TlsContext>> awaited;
  {
    const std::jthread loads([&] { loaded = contexts.Get(At(0s)); });
    begun.wait(false);
    const std::jthread awaits([&] { awaited = contexts.Get(At(0s)); });
    const TimePoint soon = holdfast::internal::ReadClock(nullptr) + 1ms;
    CHECK(contexts.Get(At(0s), soon).status().code() == Code::kDeadlineExceeded);
    std::stop_source stop;
    stop.request_stop();
    CHECK(contexts.Get(At(0s), TimePoint::max(), stop.get_token()).status().code() ==
          Code::kCancelled);
    may_go = true;
    may_go.notify_all();
  }
  CHECK(loaded.value() != nullptr);
  CHECK(awaited.value() == loaded.value());
}

TEST_CASE("an exception of loading the first TLS context is not the end of it") {
  const Scene scene;
  int loads = 0;
  TlsContexts contexts(scene.options, [&](const TlsOptions& options) {
    if (++loads == 1) throw std::bad_alloc();
    return TlsContext::Load(options);
  });
  CHECK_THROWS_AS(contexts.Get(At(0s)), std::bad_alloc);
  CHECK(contexts.Get(At(0s)).ok());
  CHECK(loads == 2);
}

}  // namespace
}  // namespace holdfast::http::internal::tls_rotation_test
