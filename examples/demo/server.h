// A real HTTP server on loopback that follows a Script.
#ifndef HOLDFAST_EXAMPLES_DEMO_SERVER_H_
#define HOLDFAST_EXAMPLES_DEMO_SERVER_H_

#include <httplib.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "holdfast/base/time.h"
#include "script.h"

namespace demo {

// Its destructor waits for its connections to end: destroy the clients first.
class Server {
 public:
  // Serves up to `connections` at once. `began` is the script's zero; the script must outlive the
  // server. Throws std::runtime_error where there is no port to be had.
  Server(Script& script, holdfast::TimePoint began, int connections);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  std::string origin() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::int64_t seen() const { return seen_.load(std::memory_order_relaxed); }

 private:
  struct HttpServer : httplib::Server {
    void RaiseBacklog();
  };

  void Handle(httplib::Response& response);

  Script& script_;
  const holdfast::TimePoint began_;
  std::atomic<std::int64_t> seen_{0};  // requests; relaxed, a statistic
  HttpServer http_;
  int port_ = -1;
  std::thread listener_;
};

}  // namespace demo

#endif  // HOLDFAST_EXAMPLES_DEMO_SERVER_H_
