#ifndef HOLDFAST_TEST_HTTP_TEST_SERVER_H_
#define HOLDFAST_TEST_HTTP_TEST_SERVER_H_

// A real server on loopback, for the tests of holdfast::http.

#include <httplib.h>
#include <sys/socket.h>

#include <cstddef>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "holdfast/http/httplib.h"

namespace holdfast::test {

// Base is httplib::Server or httplib::SSLServer. Add handlers, then Start(). Declare it before its
// clients: it stops at once when their connections are closed.
template <class Base>
class BasicTestServer : public Base {
 public:
  template <class... Args>
  explicit BasicTestServer(Args&&... args) : Base(std::forward<Args>(args)...) {
    // One thread serves one connection to its end.
    this->new_task_queue = [] { return new httplib::ThreadPool(64); };
    this->set_keep_alive_max_count(1'000'000);
    this->set_keep_alive_timeout(1);
    this->set_tcp_nodelay(true);
    this->set_pre_routing_handler([this](const httplib::Request& request, httplib::Response&) {
      const std::lock_guard lock(mutex_);
      ++requests_;
      connections_.insert(request.remote_port);
      return httplib::Server::HandlerResponse::Unhandled;
    });
  }
  ~BasicTestServer() override { Stop(); }

  // 0: on any port that is free.
  void Start(int port = 0) {
    if (port == 0) {
      port_ = this->bind_to_any_port("127.0.0.1");
    } else {
      port_ = this->bind_to_port("127.0.0.1", port) ? port : -1;
    }
    if (port_ < 0) std::abort();     // nothing would ever run
    ::listen(this->svr_sock_, 512);  // its own backlog of 5 loses connections
    thread_ = std::thread([this] { this->listen_after_bind(); });
    // It has nothing to wait for but this; to stop it earlier has no effect.
    while (!this->is_running()) std::this_thread::yield();
  }

  void Stop() {
    if (!thread_.joinable()) return;
    this->stop();
    thread_.join();
  }

  std::string Host() const { return "127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }

  std::size_t requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  // That made a request; told apart by the client's port.
  std::size_t connections() const {
    const std::lock_guard lock(mutex_);
    return connections_.size();
  }

 private:
  int port_ = 0;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::size_t requests_ = 0;
  std::set<int> connections_;
};

using TestServer = BasicTestServer<httplib::Server>;

inline httplib::Request MakeRequest(const std::string& method, const std::string& path,
                                    const std::string& body = "") {
  httplib::Request request;
  request.method = method;
  request.path = path;
  request.body = body;
  return request;
}

// cpp-httplib has different names for the following in different releases.

// Has `callback` of bool(current, total) report the progress of the answer.
template <class Request, class Callback>
void SetProgress(Request& request, Callback callback) {
  if constexpr (requires { request.progress = callback; }) {
    request.progress = callback;
  } else {
    request.download_progress = callback;
  }
}

// As a server's request has it after it has read a form.
template <class Request>
void AddFormFile(Request& request, const std::string& name, const std::string& content) {
  const auto add = [&](auto& files) {
    typename std::remove_reference_t<decltype(files)>::mapped_type file = {};
    file.name = name;
    file.content = content;
    files.emplace(name, file);
  };
  if constexpr (requires { request.files; }) {
    add(request.files);
  } else {
    add(request.form.files);
  }
}

// The parts of a form that a server has read, each as name|filename|content_type|content.
template <class Request>
std::vector<std::string> FormPartsOf(const Request& request) {
  std::vector<std::string> parts;
  const auto add = [&parts](const auto& some) {
    for (const auto& [name, part] : some) {
      parts.push_back(name + "|" + part.filename + "|" + part.content_type + "|" + part.content);
    }
  };
  if constexpr (requires { request.files; }) {
    add(request.files);
  } else {
    add(request.form.files);
    for (const auto& [name, field] : request.form.fields) {
      parts.push_back(name + "|||" + field.content);
    }
  }
  return parts;
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_HTTP_TEST_SERVER_H_
