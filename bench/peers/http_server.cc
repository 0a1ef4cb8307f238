// The server that http.cc's clients ask: http_server [<PEM file>], with which it serves TLS too.
//
// It prints the port of each on loopback, without TLS first, and serves until its standard input
// ends. It answers each head that comes, whatever it asks, with "hello", and takes no body: one
// thread, which does as little for a request as a server can.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <map>
#include <memory>
#include <stdexcept>
#include <string_view>

namespace {

constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello";
constexpr std::string_view kEndOfHead = "\r\n\r\n";

int Valid(int descriptor, const char* what) {
  if (descriptor < 0) throw std::runtime_error(what);
  return descriptor;
}

class Connection {
 public:
  Connection(int socket, SSL_CTX* context) : socket_(socket) {
    if (context == nullptr) return;
    ssl_.reset(SSL_new(context));
    SSL_set_fd(ssl_.get(), socket_);
    SSL_set_accept_state(ssl_.get());  // reading shakes hands first
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { ::close(socket_); }

  // Answers what has come. False: it is over.
  bool Serve() {
    std::array<char, 4096> room;
    for (;;) {
      const ssize_t size = Read(room.data(), room.size());
      if (size < 0) return true;
      if (size == 0) return false;
      for (ssize_t i = 0; i < size; ++i) {
        if (Ends(room[static_cast<std::size_t>(i)]) && !Answer()) return false;
      }
      if (static_cast<std::size_t>(size) < room.size()) return true;
    }
  }

 private:
  // Below 0: nothing has come. 0: nothing will.
  ssize_t Read(char* room, std::size_t size) {
    if (ssl_ == nullptr) {
      const ssize_t got = ::recv(socket_, room, size, 0);
      return got < 0 && errno != EAGAIN ? 0 : got;
    }
    ERR_clear_error();
    const int got = SSL_read(ssl_.get(), room, static_cast<int>(size));
    if (got > 0) return got;
    return SSL_get_error(ssl_.get(), got) == SSL_ERROR_WANT_READ ? -1 : 0;
  }

  // A client has no more than one request under way, so there is always room for its answer.
  bool Answer() {
    const ssize_t size =
        ssl_ == nullptr
            ? ::send(socket_, kResponse.data(), kResponse.size(), MSG_NOSIGNAL)
            : SSL_write(ssl_.get(), kResponse.data(), static_cast<int>(kResponse.size()));
    return size == static_cast<ssize_t>(kResponse.size());
  }

  bool Ends(char byte) {
    if (byte == kEndOfHead[matched_]) {
      ++matched_;
    } else {
      matched_ = byte == '\r' ? 1 : 0;
    }
    if (matched_ < kEndOfHead.size()) return false;
    matched_ = 0;
    return true;
  }

  const int socket_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_{nullptr, SSL_free};
  std::size_t matched_ = 0;  // of kEndOfHead
};

class Server {
 public:
  Server() : epoll_(Valid(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {
    Watch(STDIN_FILENO);
    plain_ = Listen();
  }

  void AddTls(const char* pem) {
    context_.reset(SSL_CTX_new(TLS_server_method()));
    if (SSL_CTX_use_certificate_chain_file(context_.get(), pem) != 1 ||
        SSL_CTX_use_PrivateKey_file(context_.get(), pem, SSL_FILETYPE_PEM) != 1) {
      throw std::runtime_error("the PEM file has no certificate and key");
    }
    tls_ = Listen();
  }

  void Run() {
    std::array<epoll_event, 256> events;
    for (;;) {
      const int count = ::epoll_wait(epoll_, events.data(), events.size(), -1);
      for (int i = 0; i < count; ++i) {
        const int ready = events[static_cast<std::size_t>(i)].data.fd;
        if (ready == STDIN_FILENO) return;
        if (ready == plain_ || ready == tls_) {
          Accept(ready);
        } else if (const auto found = connections_.find(ready); !found->second.Serve()) {
          connections_.erase(found);
        }
      }
    }
  }

 private:
  void Watch(int descriptor) const {
    epoll_event event = {};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    Valid(::epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event), "epoll_ctl");
  }

  // Prints the port.
  int Listen() const {
    const int socket =
        Valid(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    Valid(::bind(socket, any, size), "bind");
    Valid(::listen(socket, 4096), "listen");
    Valid(::getsockname(socket, any, &size), "getsockname");
    Watch(socket);
    std::printf("%d\n", ntohs(address.sin_port));
    std::fflush(stdout);
    return socket;
  }

  void Accept(int listener) {
    const int socket = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (socket < 0) return;
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections_.try_emplace(socket, socket, listener == tls_ ? context_.get() : nullptr);
    Watch(socket);
  }

  const int epoll_;
  int plain_ = -1;
  int tls_ = -1;
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_{nullptr, SSL_CTX_free};
  std::map<int, Connection> connections_;  // by their sockets
};

}  // namespace

int main(int count, char** arguments) {
  try {
    Server server;
    if (count > 1) server.AddTls(arguments[1]);
    server.Run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "http_server: %s\n", error.what());
    return 1;
  }
}
