// The clients that http.cc measures, all with one face.
#ifndef HOLDFAST_BENCH_PEERS_HTTP_CLIENTS_H_
#define HOLDFAST_BENCH_PEERS_HTTP_CLIENTS_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::peers {

struct Origin {
  int port = 0;    // on 127.0.0.1
  std::string ca;  // the PEM file with the server's certificate; empty: without TLS

  std::string url() const {
    return (ca.empty() ? "http://127.0.0.1:" : "https://127.0.0.1:") + std::to_string(port);
  }
};

// One thread at a time.
class Client {
 public:
  Client() = default;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  virtual ~Client() = default;

  // Sends "GET /" over a connection that is kept. Whether the server's answer came.
  virtual bool Get() = 0;
};

inline constexpr int kStatus = 200;
inline constexpr std::string_view kBody = "hello";

// Each of "socket", "httplib" and "libcurl" has one connection of its own. Those of "Transport" and
// of "StandardClient" share one object, with `connections` at the most. Throws std::runtime_error
// for any other side, and where it has to connect and can't.
std::vector<std::unique_ptr<Client>> MakeClients(std::string_view side, const Origin& origin,
                                                 std::size_t count, std::size_t connections);

}  // namespace holdfast::peers

#endif  // HOLDFAST_BENCH_PEERS_HTTP_CLIENTS_H_
