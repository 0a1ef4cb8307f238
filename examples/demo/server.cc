#include "server.h"

#include <sys/socket.h>

#include <chrono>
#include <stdexcept>

namespace demo {
namespace {

using namespace std::chrono_literals;

void Drop(httplib::Response& response) {
  // A body that breaks off: httplib then closes the connection under the client.
  response.set_content_provider(1000, "text/plain",
                                [](std::size_t, std::size_t, httplib::DataSink&) { return false; });
}

}  // namespace

// httplib listens with a backlog of five; a larger burst of connections would wait for a second
// or more, which is not a fault of the script.
void Server::HttpServer::RaiseBacklog() { ::listen(svr_sock_, 512); }

Server::Server(Script& script, holdfast::TimePoint began, int connections)
    : script_(script), began_(began) {
  http_.new_task_queue = [connections] {
    return new httplib::ThreadPool(static_cast<std::size_t>(connections));
  };
  http_.set_tcp_nodelay(true);  // without it keep-alive costs 40 ms a request
  http_.set_keep_alive_max_count(1'000'000);
  http_.Get(".*",
            [this](const httplib::Request&, httplib::Response& response) { Handle(response); });
  port_ = http_.bind_to_any_port("127.0.0.1");
  if (port_ < 0) throw std::runtime_error("the demo's server found no free port on 127.0.0.1");
  http_.RaiseBacklog();
  listener_ = std::thread([this] { http_.listen_after_bind(); });
  while (!http_.is_running()) std::this_thread::sleep_for(1ms);
}

Server::~Server() {
  http_.stop();
  listener_.join();
}

void Server::Handle(httplib::Response& response) {
  seen_.fetch_add(1, std::memory_order_relaxed);
  const Fate fate = script_.Next(holdfast::SteadyClock()->Now() - began_);
  std::this_thread::sleep_for(fate.latency);
  switch (fate.kind) {
    case Fate::Kind::kAnswer:
      response.set_content("standing\n", "text/plain");
      return;
    case Fate::Kind::kUnavailableRetryAfter:
      response.set_header("Retry-After", "1");
      [[fallthrough]];
    case Fate::Kind::kUnavailable:
      response.status = 503;
      response.set_content("not now\n", "text/plain");
      return;
    case Fate::Kind::kDrop:
      Drop(response);
      return;
  }
}

}  // namespace demo
