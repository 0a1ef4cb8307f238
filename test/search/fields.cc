#include "test/search/fields.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <cmath>

namespace holdfast::search {
namespace {

// What closes the brackets that `open` leaves open.
std::string Closing(std::string_view open) {
  std::string close;
  for (const char c : open) {
    if (c == '(') close.insert(close.begin(), ')');
    if (c == '{') close.insert(close.begin(), '}');
    if (c == ')' || c == '}') close.erase(close.begin());
  }
  return close;
}

double TwoDigits(double value) {
  if (value == 0) return 0;
  const double unit = std::pow(10, std::floor(std::log10(value)) - 1);
  return std::round(value / unit) * unit;
}

}  // namespace

std::string DurationCode(Duration duration) {
  using std::chrono::duration_cast;
  const auto ns = duration.count();
  if (duration == Duration::max()) return "holdfast::Duration::max()";
  if (ns % 1'000'000'000 == 0) return absl::StrCat(ns / 1'000'000'000, "s");
  if (ns % 1'000'000 == 0) return absl::StrCat(ns / 1'000'000, "ms");
  if (ns % 1'000 == 0) return absl::StrCat(ns / 1'000, "us");
  return absl::StrCat(ns, "ns");
}

std::string Code(const Settings& settings) {
  std::string code;
  std::vector<std::string> open;
  bool first = true;
  const auto separate = [&] {
    if (!first) code += ", ";
    first = true;
  };
  const auto close_to = [&](std::size_t depth) {
    for (; open.size() > depth; open.pop_back()) {
      code += Closing(open.back());
      first = false;
    }
  };
  for (const Setting& setting : settings) {
    const auto differ =
        std::mismatch(open.begin(), open.end(), setting.path.begin(), setting.path.end());
    close_to(static_cast<std::size_t>(differ.first - open.begin()));
    for (auto deeper = differ.second; deeper != setting.path.end(); ++deeper) {
      separate();
      code += deeper->substr(deeper->find_first_not_of(' '));
      open.push_back(*deeper);
    }
    if (setting.code.empty()) continue;
    separate();
    if (!setting.name.empty()) absl::StrAppend(&code, ".", setting.name, " = ");
    code += setting.code;
    first = false;
  }
  close_to(0);
  return code;
}

Fields::~Fields() {
  if (random_ == nullptr) std::erase_if(settings_, [](const Setting& s) { return !s.visited; });
}

Setting* Fields::Find(std::string_view name) {
  for (Setting& setting : settings_) {
    if (setting.visited || !setting.Is(path_, name)) continue;
    setting.visited = true;
    return &setting;
  }
  return nullptr;
}

void Fields::Add(std::string_view name, std::string code, double value, double chance) {
  settings_.push_back({.path = path_,
                       .name = std::string(name),
                       .code = std::move(code),
                       .value = value,
                       .fixed = chance >= kRequired,
                       .visited = true});
}

bool Fields::In(std::string open, double chance) {
  path_.push_back(std::move(open));
  bool present = false;
  if (random_ == nullptr) {
    present = Find("") != nullptr;
  } else if (random_->Uniform() < chance) {
    Add("", "", 0, chance);
    present = true;
  }
  if (!present) path_.pop_back();
  return present;
}

void Fields::Open(std::string open) { In(std::move(open), kRequired); }

bool Fields::Draw(std::string_view name, double& value, double low, double high, double chance,
                  Kind kind) {
  if (random_ == nullptr) {
    const Setting* const setting = Find(name);
    if (setting != nullptr) value = setting->value;
    return setting != nullptr;
  }
  if (random_->Uniform() >= chance) return false;
  high = std::max(low, high);
  double drawn = low <= 0 ? low + (high - low) * random_->Uniform()
                          : low * std::pow(high / low, random_->Uniform());
  drawn = std::clamp(TwoDigits(drawn), low, high);
  if (kind == kInteger || kind == kDuration) drawn = std::round(drawn);
  value = drawn;
  const auto integer = static_cast<std::int64_t>(drawn);
  Add(name,
      kind == kDuration  ? DurationCode(Duration(integer))
      : kind == kInteger ? absl::StrCat(integer)
                         : absl::StrFormat("%g", drawn),
      drawn, chance);
  return true;
}

bool Fields::DrawIndex(std::string_view name, double& index, std::size_t count, double chance) {
  if (random_ == nullptr) {
    const Setting* const setting = Find(name);
    if (setting != nullptr) index = setting->value;
    return setting != nullptr;
  }
  if (random_->Uniform() >= chance) return false;
  index = static_cast<double>(random_->Below(count));
  Add(name, "", index, chance);
  return true;
}

void Fields::Say(std::string_view name, std::string_view code) {
  for (Setting& setting : settings_) {
    if (setting.Is(path_, name)) setting.code = std::string(code);
  }
}

}  // namespace holdfast::search
