#include "holdfast/metrics/internal/int_attribute.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <system_error>

namespace holdfast::internal {
namespace {

// Of those in the conventions' registry that a client or a server can have on a metric.
constexpr std::string_view kIntegers[] = {
    "client.port",        "http.request.resend_count", "http.response.status_code",
    "network.local.port", "network.peer.port",         "server.port",
};

}  // namespace

std::optional<std::int64_t> IntAttribute(std::string_view key, std::string_view value) {
  if (std::ranges::find(kIntegers, key) == std::ranges::end(kIntegers)) return std::nullopt;
  std::int64_t number = 0;
  const char* const begin = std::to_address(value.begin());
  const char* const end = begin + value.size();
  const auto [at, error] = std::from_chars(begin, end, number);
  if (error != std::errc() || at != end) return std::nullopt;
  return number;
}

}  // namespace holdfast::internal
