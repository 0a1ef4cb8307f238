#include "holdfast/base/internal/options_checker.h"

#include "src/base/info_text.h"

namespace holdfast::internal {

void OptionsChecker::Fail(std::string_view sentence) {
  status_ = absl::InvalidArgumentError(TitledText(object_, name_, sentence));
}

}  // namespace holdfast::internal
