// Which attributes OpenTelemetry has as integers; for OTLP and for the bridge to its API.
#ifndef HOLDFAST_METRICS_INTERNAL_INT_ATTRIBUTE_H_
#define HOLDFAST_METRICS_INTERNAL_INT_ATTRIBUTE_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace holdfast::internal {

// The value of an attribute whose type is int in OpenTelemetry's semantic conventions, as that of
// server.port is. nullopt: it is a string, as every other is, whatever it looks like; so is one of
// such an attribute that is no decimal integer of 64 bits.
std::optional<std::int64_t> IntAttribute(std::string_view key, std::string_view value);

}  // namespace holdfast::internal

#endif  // HOLDFAST_METRICS_INTERNAL_INT_ATTRIBUTE_H_
