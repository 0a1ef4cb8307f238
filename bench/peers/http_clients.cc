#include "bench/peers/http_clients.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <httplib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <utility>

#include "holdfast/http.h"

namespace holdfast::peers {
namespace {

// What no client can do without: a blocking socket, and OpenSSL's calls if there is TLS. It reads
// of a response what it has to, and believes it.
class SocketClient final : public Client {
 public:
  explicit SocketClient(const Origin& origin)
      : request_("GET / HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(origin.port) +
                 "\r\nAccept: */*\r\nUser-Agent: socket\r\n\r\n") {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(origin.port));
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error("connect");
    }
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!origin.ca.empty()) Secure(origin.ca);
  }
  ~SocketClient() override { ::close(socket_); }

  bool Get() override {
    if (Send(request_.data(), request_.size()) != static_cast<ssize_t>(request_.size())) {
      return false;
    }
    std::size_t size = 0;
    while (size < room_.size()) {
      const ssize_t got = Receive(room_.data() + size, room_.size() - size);
      if (got <= 0) return false;
      size += static_cast<std::size_t>(got);
      const std::string_view response(room_.data(), size);
      const std::size_t head = response.find("\r\n\r\n");
      if (head == std::string_view::npos) continue;
      const std::string_view body = response.substr(head + 4);
      if (body.size() < LengthOf(response.substr(0, head))) continue;
      return response.starts_with("HTTP/1.1 200 ") && body == kBody;
    }
    return false;
  }

 private:
  void Secure(const std::string& ca) {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_load_verify_file(context_.get(), ca.c_str());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), socket_);
    if (SSL_connect(ssl_.get()) != 1) throw std::runtime_error("SSL_connect");
  }
  ssize_t Send(const char* bytes, std::size_t size) {
    return ssl_ == nullptr ? ::send(socket_, bytes, size, MSG_NOSIGNAL)
                           : SSL_write(ssl_.get(), bytes, static_cast<int>(size));
  }
  ssize_t Receive(char* room, std::size_t size) {
    return ssl_ == nullptr ? ::recv(socket_, room, size, 0)
                           : SSL_read(ssl_.get(), room, static_cast<int>(size));
  }
  static std::size_t LengthOf(std::string_view head) {
    constexpr std::string_view kLength = "Content-Length: ";
    const std::size_t begin = head.find(kLength);
    std::size_t length = 0;
    if (begin == std::string_view::npos) return length;
    std::from_chars(head.data() + begin + kLength.size(), head.data() + head.size(), length);
    return length;
  }

  const std::string request_;
  const int socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_{nullptr, SSL_CTX_free};
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_{nullptr, SSL_free};
  std::array<char, 4096> room_;
};

class HttplibClient final : public Client {
 public:
  explicit HttplibClient(const Origin& origin) : client_(origin.url()) {
    client_.set_keep_alive(true);
    client_.set_tcp_nodelay(true);
    if (!origin.ca.empty()) client_.set_ca_cert_path(origin.ca);
  }

  bool Get() override {
    const httplib::Result result = client_.Get("/");
    return result && result->status == kStatus && result->body == kBody;
  }

 private:
  httplib::Client client_;
};

class CurlClient final : public Client {
 public:
  explicit CurlClient(const Origin& origin) : easy_(curl_easy_init(), curl_easy_cleanup) {
    if (easy_ == nullptr) throw std::runtime_error("curl_easy_init");
    Set(CURLOPT_URL, (origin.url() + "/").c_str());
    Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    Set(CURLOPT_NOSIGNAL, 1L);
    if (!origin.ca.empty()) Set(CURLOPT_CAINFO, origin.ca.c_str());
    Set(CURLOPT_WRITEFUNCTION, &CurlClient::OnBody);
    Set(CURLOPT_WRITEDATA, &body_);
  }

  bool Get() override {
    body_.clear();
    long status = 0;
    return curl_easy_perform(easy_.get()) == CURLE_OK &&
           curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
           status == kStatus && body_ == kBody;
  }

 private:
  template <class T>
  void Set(CURLoption option, T value) {
    if (curl_easy_setopt(easy_.get(), option, value) != CURLE_OK) {
      throw std::runtime_error("curl_easy_setopt");
    }
  }
  static std::size_t OnBody(const char* bytes, std::size_t one, std::size_t size, void* body) {
    static_cast<std::string*>(body)->append(bytes, one * size);
    return one * size;
  }

  std::unique_ptr<CURL, void (*)(CURL*)> easy_;
  std::string body_;
};

// Of ours, which are handles of what the clients share.
template <class Handle>
class OurClient final : public Client {
 public:
  explicit OurClient(Handle handle) : handle_(std::move(handle)) {}

  bool Get() override {
    const auto response = handle_(request_);
    return response.ok() && response->status == kStatus && response->body == kBody;
  }

 private:
  const Handle handle_;
  const http::Request request_ = {.method = "GET", .target = "/"};
};

template <class T, class... Arguments>
std::unique_ptr<Client> Make(const Arguments&... arguments) {
  return std::make_unique<T>(arguments...);
}

std::function<std::unique_ptr<Client>()> MakerOf(std::string_view side, const Origin& origin,
                                                 std::size_t connections) {
  if (side == "socket") return [origin] { return Make<SocketClient>(origin); };
  if (side == "httplib") return [origin] { return Make<HttplibClient>(origin); };
  if (side == "libcurl") return [origin] { return Make<CurlClient>(origin); };
  const http::TransportOptions options = {.max_connections = static_cast<std::int64_t>(connections),
                                          .max_idle = static_cast<std::int64_t>(connections),
                                          .ca_file = origin.ca};
  if (side == "Transport") {
    return [transport = http::Transport(origin.url(), options)] {
      return Make<OurClient<http::Transport>>(transport);
    };
  }
  if (side == "StandardClient") {
    return [client = http::StandardClient(origin.url(), {.transport = options})] {
      return Make<OurClient<http::StandardClient>>(client);
    };
  }
  throw std::runtime_error("no such client: " + std::string(side));
}

}  // namespace

std::vector<std::unique_ptr<Client>> MakeClients(std::string_view side, const Origin& origin,
                                                 std::size_t count, std::size_t connections) {
  const auto make = MakerOf(side, origin, connections);
  std::vector<std::unique_ptr<Client>> clients;
  while (clients.size() < count) clients.push_back(make());
  return clients;
}

}  // namespace holdfast::peers
