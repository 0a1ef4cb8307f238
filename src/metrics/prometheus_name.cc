#include "src/metrics/prometheus_name.h"

#include <absl/strings/ascii.h>
#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/strip.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "holdfast/base/internal/string_view.h"

namespace holdfast::internal {
namespace {

struct Unit {
  std::string_view ucum;
  std::string_view word;
};

constexpr Unit kUnits[] = {
    {"d", "days"},
    {"h", "hours"},
    {"min", "minutes"},
    {"s", "seconds"},
    {"ms", "milliseconds"},
    {"us", "microseconds"},
    {"ns", "nanoseconds"},
    {"By", "bytes"},
    {"KiBy", "kibibytes"},
    {"MiBy", "mebibytes"},
    {"GiBy", "gibibytes"},
    {"KBy", "kilobytes"},
    {"MBy", "megabytes"},
    {"GBy", "gigabytes"},
    {"Hz", "hertz"},
    {"%", "percent"},
    {"1", ""},
};

constexpr Unit kPerUnits[] = {{"s", "second"}, {"m", "minute"}, {"h", "hour"}, {"d", "day"}};

std::string_view WordOf(std::string_view unit, std::span<const Unit> units) {
  const auto* found = std::find_if(units.data(), units.data() + units.size(),
                                   [unit](const Unit& u) { return u.ucum == unit; });
  return found == units.data() + units.size() ? unit : found->word;
}

// The runs of letters and digits in `text`.
std::vector<std::string> Words(std::string_view text) {
  std::vector<std::string> words;
  bool inside = false;
  for (const char c : text) {
    const bool belongs = absl::ascii_isalnum(static_cast<unsigned char>(c));
    if (belongs && !inside) words.emplace_back();
    if (belongs) words.back() += c;
    inside = belongs;
  }
  return words;
}

// "{call}" says what is counted, which is no unit.
bool IsUnit(std::string_view part) {
  return !part.empty() && part.find_first_of("{}") == std::string_view::npos;
}

void AppendUnit(std::string_view unit, std::vector<std::string>& words) {
  const auto slash = unit.find('/');
  const std::string_view of = unit.substr(0, slash);
  if (IsUnit(of)) {
    for (std::string& word : Words(WordOf(of, kUnits))) {
      if (std::find(words.begin(), words.end(), word) == words.end()) {
        words.push_back(std::move(word));
      }
    }
  }
  if (slash == std::string_view::npos) return;
  const std::string_view per = unit.substr(slash + 1);
  if (!IsUnit(per)) return;
  words.emplace_back("per");
  for (std::string& word : Words(WordOf(per, kPerUnits))) words.push_back(std::move(word));
}

void MoveToEnd(std::string_view word, std::vector<std::string>& words) {
  std::erase(words, word);
  words.emplace_back(word);
}

bool BeginsWithDigit(std::string_view text) {
  return !text.empty() && absl::ascii_isdigit(static_cast<unsigned char>(text[0]));
}

}  // namespace

std::string PrometheusName(std::string_view name, MetricType type, std::string_view unit) {
  std::vector<std::string> words = Words(name);
  if (words.empty()) return "";
  AppendUnit(unit, words);
  if (type == MetricType::kCounter) MoveToEnd("total", words);
  if (type == MetricType::kGauge && unit == "1") MoveToEnd("ratio", words);
  return absl::StrCat(BeginsWithDigit(words[0]) ? "_" : "", absl::StrJoin(words, "_"));
}

std::string PrometheusLabel(std::string_view key) {
  std::string label(key);
  for (char& c : label) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  if (BeginsWithDigit(label)) return absl::StrCat("key_", label);
  // Two in front are for Prometheus itself.
  if (absl::StartsWith(label, "_")) return absl::StrCat("key_", absl::StripPrefix(label, "_"));
  return label;
}

std::string PrometheusHelp(std::string_view help) {
  return absl::StrReplaceAll(ToAbsl(help), {{"\\", "\\\\"}, {"\n", "\\n"}});
}

}  // namespace holdfast::internal
