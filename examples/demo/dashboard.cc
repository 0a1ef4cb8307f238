#include "dashboard.h"

#include <condition_variable>
#include <mutex>
#include <stdexcept>

namespace demo {

Dashboard::Dashboard(int port) {
  auto server = holdfast::MetricsServer::Start(metrics_, {.port = port, .events = events_});
  if (!server.ok()) throw std::runtime_error(std::string(server.status().message()));
  server_ = *std::move(server);
}

void Dashboard::WaitFor(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any bell;
  std::unique_lock lock(mutex);
  bell.wait(lock, stop, [] { return false; });
}

}  // namespace demo
