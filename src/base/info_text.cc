#include "src/base/info_text.h"

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include <cmath>

#include "holdfast/base/internal/string_view.h"

namespace holdfast::internal {

std::string JoinSettings(std::initializer_list<std::string> settings) {
  std::string joined;
  for (const std::string& setting : settings) {
    if (!setting.empty()) absl::StrAppend(&joined, joined.empty() ? "" : ", ", setting);
  }
  return joined;
}

std::string TitledText(std::string_view type, std::string_view name, std::string_view text) {
  return absl::StrCat(ToAbsl(type), name.empty() ? "" : " ", ToAbsl(name), ": ", ToAbsl(text));
}

std::string DurationText(Duration d) { return absl::FormatDuration(absl::FromChrono(d)); }

std::string NameText(const std::string& name) {
  return name.empty() ? name : absl::StrCat("\"", name, "\"");
}

std::string CountText(std::int64_t n, std::string_view of_what) {
  return absl::StrCat(n, " ", ToAbsl(of_what), n == 1 ? "" : "s");
}

std::string RateText(double rate) {
  return std::isinf(rate) ? "any rate" : absl::StrCat(rate, "/s");
}

std::string QuantileText(double quantile) { return absl::StrCat("p", quantile * 100); }

std::string MaxWaitText(Duration max_wait) {
  if (max_wait == Duration::max()) return {};
  if (max_wait == Duration::zero()) return "never waits";
  return absl::StrCat("waits up to ", DurationText(max_wait));
}

}  // namespace holdfast::internal
