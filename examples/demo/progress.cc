#include "progress.h"

#include <absl/strings/str_format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <utility>

namespace demo {
namespace {

using namespace std::chrono_literals;

constexpr int kBarWidth = 10;

std::string Bar(int done, int of) {
  const auto filled = static_cast<std::size_t>(std::int64_t{kBarWidth} * done / of);
  return std::string(filled, '#') + std::string(kBarWidth - filled, '.');
}

}  // namespace

ProgressLine::ProgressLine(std::string label, int requests, const Recorder& recorder)
    : label_(std::move(label)),
      requests_(requests),
      recorder_(recorder),
      terminal_(isatty(STDOUT_FILENO) == 1) {
  ticker_ = std::jthread([this](const std::stop_token& end) {
    std::mutex mutex;
    std::condition_variable_any bell;
    std::unique_lock lock(mutex);
    const auto tick = terminal_ ? 100ms : 2500ms;
    while (!bell.wait_for(lock, end, tick, [&] { return end.stop_requested(); })) Show();
  });
}

ProgressLine::~ProgressLine() {
  ticker_.request_stop();
  ticker_.join();
  Show();
  if (terminal_) std::puts("");
}

void ProgressLine::Show() const {
  const Progress now = recorder_.progress();
  const int done = now.ok + now.failed;
  const std::string breaker = now.breaker == holdfast::BreakerState::kClosed
                                  ? ""
                                  : absl::StrFormat("  breaker %s", ToString(now.breaker));
  // Within 80 columns: a line that wraps can't be drawn over. The escape clears what is left of the
  // one before.
  absl::PrintF("%s%-9s %s %*d/%d  %5.1f s  ok %d  failed %d%s%s", terminal_ ? "\r" : "", label_,
               Bar(done, requests_), static_cast<int>(std::to_string(requests_).size()), done,
               requests_, Seconds(now.elapsed), now.ok, now.failed, breaker,
               terminal_ ? "\x1b[K" : "\n");
  std::fflush(stdout);
}

}  // namespace demo
