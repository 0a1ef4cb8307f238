#include "holdfast/http/transport_error.h"

#include <absl/strings/cord.h>

#include <array>
#include <cstddef>

#include "holdfast/base/internal/string_view.h"

namespace holdfast::http {
namespace {

constexpr absl::string_view kPayload = "holdfast/transport-error";

constexpr std::array<std::string_view, 8> kNames = {
    "connect", "TLS", "certificate", "request", "redirect", "lost", "cut short", "malformed",
};

}  // namespace

std::string_view ToString(TransportError kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::optional<TransportError> TransportErrorOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  if (!payload) return std::nullopt;
  for (std::size_t kind = 0; kind < kNames.size(); ++kind) {
    if (*payload == holdfast::internal::ToAbsl(kNames[kind])) {
      return static_cast<TransportError>(kind);
    }
  }
  return std::nullopt;
}

absl::Status WithTransportError(absl::Status status, TransportError kind) {
  status.SetPayload(kPayload, absl::Cord(holdfast::internal::ToAbsl(ToString(kind))));
  return status;
}

}  // namespace holdfast::http
