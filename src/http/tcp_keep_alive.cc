#include "holdfast/http/tcp_keep_alive.h"

#include "holdfast/base/internal/options_checker.h"

namespace holdfast::http {

absl::Status Validate(const TcpKeepAlive& keep_alive) {
  constexpr TimeSpan kMin = std::chrono::seconds(1);
  constexpr TimeSpan kMax = std::chrono::seconds(32767);  // MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL
  constexpr int kMaxCount = 127;                          // MAX_TCP_KEEPCNT
  holdfast::internal::OptionsChecker check("TcpKeepAlive");
  check(keep_alive.idle >= kMin && keep_alive.idle <= kMax, "idle must be from 1 s to 32767 s");
  check(keep_alive.interval >= kMin && keep_alive.interval <= kMax,
        "interval must be from 1 s to 32767 s");
  check(keep_alive.count >= 1 && keep_alive.count <= kMaxCount, "count must be from 1 to ",
        kMaxCount, ", not ", keep_alive.count);
  return check.status();
}

}  // namespace holdfast::http
