#include "src/http/exchange_meter.h"

#include <absl/status/status.h>
#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "holdfast/call/internal/attribute_text.h"
#include "holdfast/http/transport_error.h"
#include "src/call/metric_names.h"

namespace holdfast::http::internal {
namespace {

namespace attribute = holdfast::internal::attribute;

constexpr Metric kRequestDuration = {.name = "http.client.request.duration",
                                     .type = MetricType::kHistogram,
                                     .unit = "s",
                                     .help = "How long HTTP exchanges took"};

// Those of RFC 9110 and RFC 5789, and what the conventions call all others.
constexpr std::array<std::string_view, 10> kMethods = {
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "_OTHER"};
constexpr std::uint8_t kOtherMethod = kMethods.size() - 1;

constexpr std::array<std::string_view, 3> kVersions = {"", "1.0", "1.1"};

ExchangeError ErrorOf(const absl::Status& status) {
  if (status.ok()) return ExchangeError::kNone;
  if (absl::IsDeadlineExceeded(status)) return ExchangeError::kTimeout;
  if (absl::IsCancelled(status)) return ExchangeError::kCancelled;
  // Each failure of a Transport has one.
  const auto kind = TransportErrorOf(status).value_or(TransportError::kOutcomeUnknown);
  return static_cast<ExchangeError>(static_cast<int>(ExchangeError::kTransport) +
                                    static_cast<int>(kind));
}

std::string ErrorType(const ExchangeLabels& labels) {
  switch (labels.error) {
    case ExchangeError::kNone:
      return labels.status >= 400 ? absl::StrCat(labels.status) : "";
    case ExchangeError::kTimeout:
      return "timeout";
    case ExchangeError::kCancelled:
      return "cancelled";
    case ExchangeError::kException:
      return "exception";
    case ExchangeError::kAny:
      return "_OTHER";
    case ExchangeError::kTransport:
      break;
  }
  const auto kind = static_cast<TransportError>(static_cast<int>(labels.error) -
                                                static_cast<int>(ExchangeError::kTransport));
  return absl::AsciiStrToLower(holdfast::internal::AttributeText(ToString(kind)));
}

// Not 0. A status has three digits.
std::uint32_t Packed(const ExchangeLabels& labels) {
  return 1U << 31 | std::uint32_t{labels.method} << 20 | std::uint32_t{labels.version} << 18 |
         static_cast<std::uint32_t>(labels.error) << 10 | std::uint32_t{labels.status};
}

ExchangeLabels Unpacked(std::uint32_t packed) {
  return {.method = static_cast<std::uint8_t>(packed >> 20 & 0xF),
          .version = static_cast<std::uint8_t>(packed >> 18 & 0x3),
          .error = static_cast<ExchangeError>(packed >> 10 & 0xFF),
          .status = static_cast<std::uint16_t>(packed & 0x3FF)};
}

}  // namespace

ExchangeMeter::ExchangeMeter(const absl::StatusOr<Route>& route) {
  if (!route.ok()) return;
  name_ = absl::AsciiStrToLower(route->origin.url);
  address_ = absl::AsciiStrToLower(route->origin.host);
  port_ = absl::StrCat(route->origin.port);
}

ExchangeMeter::Histogram& ExchangeMeter::Times::Of(const ExchangeLabels& labels) {
  const std::uint32_t packed = Packed(labels);
  // Fibonacci hashing (Knuth, The Art of Computer Programming, volume 3, 6.4): the upper six bits.
  static_assert(kMostLabels == 64);
  const std::size_t from = packed * 0x9E3779B9U >> 26;
  for (std::size_t i = 0; i < kMostLabels; ++i) {
    Row& row = rows[(from + i) % kMostLabels];
    std::uint32_t there = row.labels.load(std::memory_order_relaxed);
    if (there == packed) return row.times;
    if (there != 0) continue;
    if (row.labels.compare_exchange_strong(there, packed, std::memory_order_relaxed) ||
        there == packed) {
      return row.times;
    }
  }
  return rest[labels.failed() ? 1 : 0];
}

void ExchangeMeter::Record(const ExchangeLabels& labels, Duration took) noexcept {
  Times* const times = times_.get();
  if (times == nullptr) return;
  if (auto* const histogram = times->Of(labels).Get()) histogram->Record(took);
}

void ExchangeMeter::Collect(Collector& collector) const {
  const Times* const times = times_.get();
  if (times == nullptr) return;
  for (const Row& row : times->rows) {
    const std::uint32_t packed = row.labels.load(std::memory_order_relaxed);
    if (packed != 0) Tell(collector, Unpacked(packed), row.times);
  }
  Tell(collector, {.method = kOtherMethod}, times->rest[0]);
  Tell(collector, {.method = kOtherMethod, .error = ExchangeError::kAny}, times->rest[1]);
}

void ExchangeMeter::Tell(Collector& collector, const ExchangeLabels& labels,
                         const Histogram& times) const {
  const auto* const histogram = times.get();
  if (histogram == nullptr) return;
  collector.Histogram(kRequestDuration, histogram->Counts(),
                      {{.key = "http.request.method", .value = kMethods[labels.method]},
                       {.key = "server.address", .value = address_},
                       {.key = "server.port", .value = port_},
                       {.key = "http.response.status_code",
                        .value = labels.status == 0 ? std::string() : absl::StrCat(labels.status)},
                       {.key = attribute::kErrorType, .value = ErrorType(labels)},
                       {.key = "network.protocol.version", .value = kVersions[labels.version]}});
}

ExchangeTimer::ExchangeTimer(ExchangeMeter& meter, std::string_view method, TimePoint began,
                             ExchangeError otherwise)
    : meter_(meter.timed() ? &meter : nullptr), began_(began) {
  if (meter_ == nullptr) return;
  const auto* const known = std::ranges::find(kMethods, method);
  labels_.method =
      known == kMethods.end() ? kOtherMethod : static_cast<std::uint8_t>(known - kMethods.begin());
  labels_.error = otherwise;
}

ExchangeTimer::~ExchangeTimer() {
  if (meter_ == nullptr) return;
  const TimePoint now = holdfast::internal::ReadClock(nullptr);
  meter_->Record(labels_, SaturatingSub(now, began_));
}

void ExchangeTimer::Saw(int status, int minor_version) {
  if (status == 0) return;
  labels_.status = static_cast<std::uint16_t>(status);
  labels_.version = minor_version == 0 ? 1 : 2;
}

void ExchangeTimer::End(const absl::StatusOr<Response>& response) {
  if (meter_ != nullptr) labels_.error = ErrorOf(response.status());
}

}  // namespace holdfast::http::internal
