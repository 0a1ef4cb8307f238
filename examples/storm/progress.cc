#include "progress.h"

#include <absl/strings/str_format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <utility>

namespace storm {
namespace {

using namespace std::chrono_literals;

constexpr int kBarWidth = 20;

}  // namespace

ProgressLine::ProgressLine(std::string label, holdfast::Duration length)
    : label_(std::move(label)), length_(length), terminal_(isatty(STDERR_FILENO) == 1) {
  Show({});
}

ProgressLine::~ProgressLine() {
  if (terminal_) std::fputs("\r\x1b[K", stderr);
}

void ProgressLine::Show(holdfast::Duration now) {
  if (!terminal_) return;
  const holdfast::TimePoint real = holdfast::SteadyClock()->Now();
  if (real < next_) return;
  next_ = real + 100ms;
  const auto filled = static_cast<std::size_t>(
      std::clamp<holdfast::Duration::rep>(kBarWidth * now / length_, 0, kBarWidth));
  // Within 80 columns: a line that wraps can't be drawn over.
  absl::FPrintF(stderr, "\r%-42s %s%s %3d of %d s\x1b[K", label_, std::string(filled, '#'),
                std::string(kBarWidth - filled, '.'), now / 1s, length_ / 1s);
  std::fflush(stderr);
}

}  // namespace storm
