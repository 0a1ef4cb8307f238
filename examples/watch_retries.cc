// Sends requests through a StandardClient and prints a line for each attempt, to show what a stack
// makes of failures between the client and the server:
//
//   watch_retries http://localhost:8080/orders/7 --proxy http://localhost:8888
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <string>

#include "holdfast/http.h"

namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

struct Options {
  std::string url;
  int requests = 1;
  holdfast::http::TransportOptions transport;
};

// Returns the origin of `url`, and puts the rest into `path`.
std::string OriginOf(const std::string& url, std::string& path) {
  const auto host = url.find("://");
  const auto slash = host == std::string::npos ? host : url.find('/', host + 3);
  path = slash == std::string::npos ? "/" : url.substr(slash);
  return url.substr(0, slash);
}

// Prints a line for each attempt, each retry and a failure that is final.
void LogTo(std::ostream& out, holdfast::RetryOptions& retry) {
  out << std::fixed << std::setprecision(0);
  retry.on_attempt = [&out](const holdfast::Call& call, const holdfast::RetryEvent& event) {
    const auto* const request = call.request<holdfast::http::Request>();
    out << request->method << ' ' << request->target << ", attempt " << event.attempt << ": "
        << (event.outcome.ok() ? "OK" : event.outcome.message()) << '\n';
  };
  retry.on_retry = [&out](const holdfast::Call&, const holdfast::RetryEvent& event) {
    out << "  again in " << Milliseconds(event.delay).count() << " ms\n";
  };
  retry.on_give_up = [&out](const holdfast::Call&, const holdfast::RetryEvent& event) {
    out << "  given up: " << ToString(event.ended_by) << '\n';
  };
}

int Watch(const Options& options) {
  holdfast::http::Request request;
  const std::string origin = OriginOf(options.url, request.target);
  holdfast::http::StandardClientOptions standard{.transport = options.transport};
  LogTo(std::cout, standard.retry);
  const holdfast::http::StandardClient fetch(origin, standard);
  std::cout << fetch.Describe() << '\n';

  int failed = 0;
  for (int i = 0; i < options.requests; ++i) {
    holdfast::Report report;
    const auto response = fetch.With({.report = &report}, request);
    failed += report.ended_by == holdfast::EndReason::kSuccess ? 0 : 1;
    std::cout << (response.ok() ? std::to_string(response->status) : response.status().ToString())
              << ": attempts " << report.attempts << ", ended: " << ToString(report.ended_by)
              << '\n';
  }
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Sends requests through a StandardClient and prints each attempt.");
  Options options;
  bool insecure = false;
  app.add_option("url", options.url, "URL to GET: http://host:port/path")->required();
  app.add_option("--requests", options.requests, "Number of requests, one after the other")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--proxy", options.transport.proxy,
                 "Proxy: http://[user:password@]host:port (default: none)");
  app.add_option("--ca", options.transport.ca_file, "CA bundle (PEM; default: the system's)");
  app.add_flag("--insecure", insecure, "Do not verify the server's certificate");
  CLI11_PARSE(app, argc, argv);
  options.transport.verify = !insecure;
  try {
    return Watch(options);
  } catch (const std::invalid_argument& wrong) {
    std::cerr << wrong.what() << '\n';
    return 2;
  }
}
