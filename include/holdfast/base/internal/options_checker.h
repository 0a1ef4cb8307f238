// Turns a list of conditions into what Validate returns.
#ifndef HOLDFAST_BASE_INTERNAL_OPTIONS_CHECKER_H_
#define HOLDFAST_BASE_INTERNAL_OPTIONS_CHECKER_H_

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>

#include <string_view>
#include <utility>

namespace holdfast::internal {

// The first condition that does not hold makes the status:
//
//   OptionsChecker check("Semaphore", options.name);
//   check(options.limit >= 1, "limit must be at least 1, not ", options.limit);
//   check(options.window > Duration::zero(), "window must be > 0");
//   return check.status();
//
// That is kInvalidArgument, "Semaphore orders: limit must be at least 1, not 0".
//
// The later conditions are evaluated too, so they must be safe to evaluate for any options.
class OptionsChecker {
 public:
  // `object` and `name`, which may be empty, must outlive this.
  explicit OptionsChecker(std::string_view object, std::string_view name = {})
      : object_(object), name_(name) {}

  // The sentence is what absl::StrCat makes of its parts, if the condition is the first to fail.
  template <class... Parts>
    requires(sizeof...(Parts) > 0)
  void operator()(bool holds, const Parts&... sentence) {
    if (!holds && status_.ok()) Fail(absl::StrCat(sentence...));
  }
  // The status of a part that has a Validate of its own.
  void operator()(absl::Status part) {
    if (status_.ok()) status_ = std::move(part);
  }

  [[nodiscard]] const absl::Status& status() const { return status_; }

 private:
  void Fail(std::string_view sentence);

  std::string_view object_;
  std::string_view name_;
  absl::Status status_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_OPTIONS_CHECKER_H_
