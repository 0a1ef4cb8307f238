#include "holdfast/base/internal/object_clock.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <exception>
#include <string>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/internal/validate.h"
#include "src/base/info_text.h"

namespace holdfast::internal {

void ClockBinder::Refuse(std::string_view policy, std::string_view object) {
  const std::string name = object.empty() ? "" : absl::StrCat(" ", NameText(std::string(object)));
  ThrowIfInvalid(absl::InvalidArgumentError(absl::StrCat(
      "Stack: ", ToAbsl(policy), name,
      " is on another clock than the stack. Give the clock to Around alone: objects without one "
      "take it, and keep it.")));
  std::terminate();
}

}  // namespace holdfast::internal
