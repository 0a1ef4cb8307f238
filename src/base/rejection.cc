#include "holdfast/base/rejection.h"

#include <absl/strings/cord.h>
#include <absl/strings/str_cat.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <system_error>

#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/internal/string_view.h"

namespace holdfast {
namespace {

using internal::ToAbsl;

constexpr absl::string_view kPayload = "holdfast/rejection";

constexpr std::array<std::string_view, 9> kKindNames = {
    "other",     "rate limited", "bulkhead full", "circuit open",     "too many probes",
    "throttled", "deadline",     "cancelled",     "exceeds capacity",
};

// The payload is a sequence of netstrings (https://cr.yp.to/proto/netstrings.txt): the number of
// the kind in decimal, the policy, the name. A reader ignores further ones.
std::string Netstring(std::string_view text) {
  return absl::StrCat(text.size(), ":", ToAbsl(text), ",");
}

// Parses the digits at the front of `text` and removes them. A number that is too large leaves
// `number` as it is. False: there are no digits.
bool TakeNumber(std::string_view& text, std::size_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return error != std::errc::invalid_argument;
}

// Removes the netstring at the front of `payload`; nullopt: there is none.
std::optional<std::string_view> TakeNetstring(std::string_view& payload) {
  std::size_t size = payload.size();
  if (!TakeNumber(payload, size) || !payload.starts_with(':')) return std::nullopt;
  const std::string_view rest = payload.substr(1);
  if (size >= rest.size() || rest[size] != ',') return std::nullopt;
  payload = rest.substr(size + 1);
  return rest.substr(0, size);
}

std::optional<RejectionKind> ParseKind(std::string_view text) {
  std::size_t number = kKindNames.size();
  if (!TakeNumber(text, number) || !text.empty()) return std::nullopt;
  return number < kKindNames.size() ? static_cast<RejectionKind>(number) : RejectionKind::kOther;
}

}  // namespace

std::string_view ToString(RejectionKind kind) {
  const auto number = static_cast<std::size_t>(kind);
  return kKindNames[number < kKindNames.size() ? number : 0];
}

std::optional<Rejection> RejectionOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  if (!payload) return std::nullopt;
  const std::string text(*payload);
  std::string_view rest = text;
  const auto number = TakeNetstring(rest);
  const auto kind = number ? ParseKind(*number) : std::nullopt;
  const auto policy = kind ? TakeNetstring(rest) : std::nullopt;
  const auto name = policy ? TakeNetstring(rest) : std::nullopt;
  if (!name) return std::nullopt;
  return Rejection{*kind, std::string(*policy), std::string(*name)};
}

// A payload of this size is in one piece.
RejectionKind internal::KindOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  if (!payload || payload->empty()) return RejectionKind::kOther;
  const absl::string_view piece = *payload->chunk_begin();
  std::string_view rest(piece.data(), piece.size());
  const auto number = TakeNetstring(rest);
  return (number ? ParseKind(*number) : std::nullopt).value_or(RejectionKind::kOther);
}

absl::Status MakeRejection(absl::StatusCode code, const Rejection& rejection,
                           std::string_view message) {
  absl::Status status(code, ToAbsl(message));
  const std::string payload =
      absl::StrCat(Netstring(std::to_string(static_cast<unsigned>(rejection.kind))),
                   Netstring(rejection.policy), Netstring(rejection.name));
  status.SetPayload(kPayload, absl::Cord(absl::string_view(payload)));
  return status;
}

}  // namespace holdfast
