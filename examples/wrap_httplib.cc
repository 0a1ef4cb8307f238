// A call that a program already makes with cpp-httplib, with a stack of policies around it:
//
//   wrap_httplib http://localhost:8080 /orders/7
#include <httplib.h>

#include <chrono>
#include <iostream>
#include <string>

#include "holdfast/http.h"
#include "holdfast/http/httplib.h"

using namespace std::chrono_literals;

int main(int argc, char** argv) {
  const std::string origin = argc == 3 ? argv[1] : "";
  if (!origin.starts_with("http://") && !origin.starts_with("https://")) {
    std::cerr << "usage: wrap_httplib http://host:port /path\n";
    return 2;
  }
  httplib::Client client(argv[1]);
  // An httplib::Client ignores the call's deadline; these end an attempt. A silent server can hold
  // the call for one attempt longer than the Timeout below.
  client.set_connection_timeout(2s);
  client.set_read_timeout(2s);

  auto get = holdfast::Stack(holdfast::Timeout(10s), holdfast::Retry({.max_attempts = 4}),
                             holdfast::CircuitBreak({.name = argv[1]}),
                             holdfast::RateLimit({.rate = 100, .burst = 20}))
                 .Around([&](const std::string& path) { return client.Get(path); });

  holdfast::Report report;
  const httplib::Result result = get.With({.report = &report}, argv[2]);
  const absl::Status status = holdfast::ResultTraits<httplib::Result>::StatusOf(result);
  std::cerr << argv[1] << ": " << (status.ok() ? "OK" : status.message()) << " (" << report.attempts
            << " attempts, ended: " << ToString(report.ended_by) << ")\n";
  if (result) std::cout << result->body << '\n';
  return status.ok() ? 0 : 1;
}
