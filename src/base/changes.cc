#include "holdfast/base/internal/changes.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "holdfast/base/internal/options_checker.h"

namespace holdfast::internal {

absl::Status CheckSame(std::string_view object, const std::string& name,
                       const std::string& next_name, const Clock* clock, const Clock* next_clock) {
  OptionsChecker check(object, name);
  check(next_name.empty() || next_name == name, "its name can't change");
  check(next_clock == nullptr || next_clock == clock, "its clock can't change");
  return check.status();
}

const Changes::Change* Changes::Find(const void* object, const void* type) const {
  const auto is_it = [=](const Change& change) {
    return change.object == object && change.type == type;
  };
  const auto it = std::ranges::find_if(all_, is_it);
  if (it == all_.end()) return nullptr;
  it->found = true;
  return &*it;
}

absl::Status Changes::Check() const {
  for (std::size_t i = 0; i < all_.size(); ++i) {
    if (!all_[i].found) {
      return absl::InvalidArgumentError(
          absl::StrCat("UpdateAll: what is to be changed by number ", i + 1,
                       " is in no policy of the stack, or in another change as well"));
    }
  }
  return absl::OkStatus();
}

}  // namespace holdfast::internal
