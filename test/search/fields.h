// Fields fills options in: with what it draws, or with what was drawn before. One function that
// visits the fields of an options struct so draws them, makes them again and says them as code.
//
//   void FillTimeout(Fields& fields, Duration& limit) { fields.Time("", limit, 10ms, 10s, 1); }
#ifndef HOLDFAST_TEST_SEARCH_FIELDS_H_
#define HOLDFAST_TEST_SEARCH_FIELDS_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/testing/random.h"

namespace holdfast::search {

// A field that is not at its default.
struct Setting {
  std::vector<std::string> path;  // what opens the braces that it stands in, outermost first
  std::string name;  // empty: an argument without one, or with `code` empty only braces
  std::string code;
  double value = 0;
  bool fixed = false;    // it has no default
  bool visited = false;  // since it was last filled in

  bool Is(const std::vector<std::string>& other_path, std::string_view other_name) const {
    return path == other_path && name == other_name;
  }
};
using Settings = std::vector<Setting>;

// All settings as the code of a braced initializer's inside, in the order in which they were drawn,
// which is that of the declarations.
std::string Code(const Settings& settings);
std::string DurationCode(Duration duration);

class Fields {
 public:
  // Draws from `random` and adds to `settings`; null: takes what is there, and drops what it is not
  // asked for.
  Fields(Settings& settings, testing::Random* random) : settings_(settings), random_(random) {
    for (Setting& setting : settings_) setting.visited = false;
  }
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;
  ~Fields();

  // For a field that has no default.
  static constexpr double kRequired = 2;

  // Each leaves the field as it is, or with a chance of `chance` sets it, within low and high: the
  // logarithm is drawn uniformly, and two digits of it are kept.
  void Time(std::string_view name, Duration& field, Duration low, Duration high, double chance) {
    double value = static_cast<double>(field.count());
    if (!Draw(name, value, static_cast<double>(low.count()), static_cast<double>(high.count()),
              chance, kDuration)) {
      return;
    }
    field = Duration(static_cast<Duration::rep>(value));
  }
  template <class Integer>
  void Count(std::string_view name, Integer& field, double low, double high, double chance) {
    double value = 0;
    if (Draw(name, value, low, high, chance, kInteger)) field = static_cast<std::int64_t>(value);
  }
  void Number(std::string_view name, double& field, double low, double high, double chance) {
    Draw(name, field, low, high, chance, kReal);
  }
  template <class T>
  void Pick(std::string_view name, T& field,
            std::initializer_list<std::pair<T, std::string_view>> values, double chance) {
    double index = 0;
    if (!DrawIndex(name, index, values.size(), chance)) return;
    const auto& picked = values.begin()[static_cast<std::size_t>(index)];
    Say(name, picked.second);
    field = picked.first;
  }

  // Opens braces with a chance, and answers whether they are open; then Out() closes them.
  bool In(std::string open, double chance);
  // Opens them always.
  void Open(std::string open);
  void Out() { path_.pop_back(); }

  bool drawing() const { return random_ != nullptr; }
  // For what no field has.
  double Uniform() { return random_->Uniform(); }

 private:
  enum Kind { kDuration, kInteger, kReal };

  Setting* Find(std::string_view name);
  bool Draw(std::string_view name, double& value, double low, double high, double chance,
            Kind kind);
  bool DrawIndex(std::string_view name, double& index, std::size_t count, double chance);
  void Say(std::string_view name, std::string_view code);
  void Add(std::string_view name, std::string code, double value, double chance);

  Settings& settings_;
  testing::Random* random_;
  std::vector<std::string> path_;
};

}  // namespace holdfast::search

#endif  // HOLDFAST_TEST_SEARCH_FIELDS_H_
