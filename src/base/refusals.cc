#include "holdfast/base/internal/refusals.h"

#include <absl/strings/str_cat.h>

#include <string>

#include "holdfast/base/internal/string_view.h"
#include "src/base/info_text.h"

namespace holdfast::internal {

absl::Status Refusal(absl::StatusCode code, RejectionKind kind, std::string_view policy,
                     std::string_view name, std::string_view text) {
  return MakeRejection(code,
                       {.kind = kind, .policy = std::string(policy), .name = std::string(name)},
                       TitledText(policy, name, text));
}

Refusals::Refusals(RejectionKind exhausted_kind, std::string_view policy, std::string_view name,
                   std::string_view what)
    : exhausted(Refusal(absl::StatusCode::kResourceExhausted, exhausted_kind, policy, name,
                        absl::StrCat("no ", ToAbsl(what), " in time"))),
      deadline(Refusal(absl::StatusCode::kDeadlineExceeded, RejectionKind::kDeadline, policy, name,
                       absl::StrCat("no ", ToAbsl(what), " before the deadline"))),
      cancelled(Refusal(absl::StatusCode::kCancelled, RejectionKind::kCancelled, policy, name,
                        absl::StrCat("stopped while waiting for a ", ToAbsl(what)))),
      impossible(Refusal(absl::StatusCode::kInvalidArgument, RejectionKind::kExceedsCapacity,
                         policy, name,
                         absl::StrCat("asked for a number of ", ToAbsl(what),
                                      "s that is negative or more than there can ever be"))) {}

}  // namespace holdfast::internal
