#include "holdfast/base/rejection.h"

#include <absl/strings/cord.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include <array>
#include <cstddef>
#include <vector>

#include "holdfast/base/internal/string_view.h"

namespace holdfast {
namespace {

using internal::ToAbsl;

constexpr absl::string_view kPayload = "holdfast/rejection";
constexpr char kSeparator = '\n';

constexpr std::array<std::string_view, 9> kKindNames = {
    "rate limited", "bulkhead full", "circuit open", "too many probes", "throttled",
    "deadline",     "cancelled",     "impossible",   "other",
};

}  // namespace

std::string_view ToString(RejectionKind kind) { return kKindNames[static_cast<size_t>(kind)]; }

std::optional<Rejection> RejectionOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayload);
  if (!payload) return std::nullopt;
  const std::string text(*payload);
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits(kSeparator, 2));
  if (parts.size() != 3) return std::nullopt;
  for (size_t kind = 0; kind < kKindNames.size(); ++kind) {
    if (parts[0] == kKindNames[kind]) {
      return Rejection{static_cast<RejectionKind>(kind), parts[1], parts[2]};
    }
  }
  return std::nullopt;
}

absl::Status MakeRejection(absl::StatusCode code, const Rejection& rejection,
                           std::string_view message) {
  absl::Status status(code, ToAbsl(message));
  const std::string payload =
      absl::StrCat(ToAbsl(ToString(rejection.kind)), absl::string_view(&kSeparator, 1),
                   rejection.policy, absl::string_view(&kSeparator, 1), rejection.name);
  status.SetPayload(kPayload, absl::Cord(absl::string_view(payload)));
  return status;
}

}  // namespace holdfast
