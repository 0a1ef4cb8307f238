#include "holdfast/metrics_http/metrics_server.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cstdint>
#include <exception>
#include <mutex>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/process.h"
#include "holdfast/base/internal/thread.h"
#include "src/http/net/waiting.h"
#include "src/metrics_http/listening.h"
#include "src/metrics_http/server_loop.h"
#include "src/metrics_http/server_site.h"

namespace holdfast {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

constexpr std::size_t kLeastToken = 16;
constexpr std::size_t kMostToken = 256;
constexpr std::size_t kMostHosts = 100;

bool IsToken(const std::string& token) {
  return token.size() >= kLeastToken && token.size() <= kMostToken &&
         std::ranges::all_of(token, [](char c) { return c > ' ' && c < '\x7F'; });
}

bool IsName(const std::string& host) {
  return !host.empty() && host.size() <= 253 && host.back() != '.' &&
         std::ranges::all_of(host, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '-' || c == '_';
         });
}

bool IsIn(Duration time, Duration least, Duration most) { return time >= least && time <= most; }

}  // namespace

absl::Status Validate(const MetricsServerOptions& options) {
  internal::OptionsChecker check("MetricsServer");
  const bool is_address = http::internal::Address::Parse(options.address, 0).has_value();
  check(is_address, "address must be a literal of IPv4 or IPv6, not \"", options.address, "\"");
  check(options.port >= 0 && options.port <= 65535, "port must be in [0, 65535], not ",
        options.port);
  check(options.token.empty() || IsToken(options.token),
        "token must be 16 to 256 visible ASCII characters");
  check(!options.token.empty() || internal::IsLoopback(options.address), "the address ",
        options.address, " is no loopback address, so there must be a token");
  check(options.hosts.size() <= kMostHosts && std::ranges::all_of(options.hosts, IsName),
        "hosts must be at most 100 names without ports or a dot at the end");
  check(options.max_connections >= 2 && options.max_connections <= 10'000,
        "max_connections must be in [2, 10000], not ", options.max_connections);
  check(options.max_streams >= 0 && options.max_streams <= 1000 &&
            options.max_streams < options.max_connections,
        "max_streams must be in [0, 1000] and less than max_connections, not ",
        options.max_streams);
  check(options.max_request >= 256 && options.max_request <= std::size_t{1} << 20,
        "max_request must be in [256, 2^20], not ", options.max_request);
  check(IsIn(options.read_timeout, 10ms, 10min), "read_timeout must be in [10ms, 10min]");
  check(IsIn(options.write_timeout, 10ms, 10min), "write_timeout must be in [10ms, 10min]");
  check(IsIn(options.refresh, 100ms, 1min), "refresh must be in [100ms, 1min]");
  check(options.history == Duration::zero() || IsIn(options.history, 10s, 1h),
        "history must be 0 or in [10s, 1h]");
  return check.status();
}

struct MetricsServer::Impl {
  Impl(const Metrics& metrics, MetricsServerOptions o, internal::Listening listening)
      : options(std::move(o)),
        port(listening.address.port()),
        url(absl::StrCat("http://", listening.address.ToString(), "/")),
        site(metrics, options),
        loop(options, site, std::move(listening)),
        signal(stop.get_token()) {}

  const MetricsServerOptions options;
  const int port;
  const std::string url;
  internal::ServerSite site;
  internal::ServerLoop loop;
  std::stop_source stop;
  http::internal::StopSignal signal;
  const std::uint32_t generation = internal::ProcessGeneration();
  std::mutex joining;
  std::thread thread;  // under `joining`, once it runs
};

absl::StatusOr<std::unique_ptr<MetricsServer>> MetricsServer::Start(const Metrics& metrics,
                                                                    MetricsServerOptions options) {
  if (absl::Status status = Validate(options); !status.ok()) return status;
  auto listening = internal::ListenOn(options.address, options.port);
  if (!listening.ok()) return listening.status();
  try {
    auto impl = std::make_unique<Impl>(metrics, std::move(options), *std::move(listening));
    if (absl::Status status = impl->signal.status(); !status.ok()) return status;
    Impl& running = *impl;
    std::unique_ptr<MetricsServer> server(new MetricsServer(std::move(impl)));
    running.thread = internal::StartThread([&running] { running.loop.Run(running.signal); });
    return server;
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat("MetricsServer: no thread: ", error.what()));
  } catch (const std::exception& error) {
    return absl::UnavailableError(error.what());
  }
}

MetricsServer::MetricsServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

MetricsServer::~MetricsServer() {
  if (impl_->generation == internal::ProcessGeneration()) {
    Stop();
    return;
  }
  // In a child of fork() there is no thread, which may have locked what it uses.
  if (impl_->thread.joinable()) impl_->thread.detach();
  [[maybe_unused]] const Impl* const leaked = impl_.release();
}

const std::string& MetricsServer::url() const { return impl_->url; }

int MetricsServer::port() const { return impl_->port; }

void MetricsServer::Stop() {
  if (impl_->generation != internal::ProcessGeneration()) return;
  impl_->stop.request_stop();
  const std::lock_guard lock(impl_->joining);
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace holdfast
