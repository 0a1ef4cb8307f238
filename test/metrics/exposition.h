#ifndef HOLDFAST_TEST_METRICS_EXPOSITION_H_
#define HOLDFAST_TEST_METRICS_EXPOSITION_H_

#include <algorithm>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast::test {

// Prometheus's text format, read more strictly than Prometheus does: what the constructor throws
// says which line is wrong. A metric has HELP and TYPE and then all its series; metrics are sorted;
// no series is there twice; and all series of a metric have the same labels in the same order.
class Exposition {
 public:
  explicit Exposition(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) Take(line);
    if (!text.empty() && text.back() != '\n') throw std::runtime_error("no end of the last line");
  }

  // The value of a line, by what is before it.
  std::string at(const std::string& series) const {
    const auto found = values_.find(series);
    return found == values_.end() ? "none" : found->second;
  }
  const std::map<std::string, std::string>& values() const { return values_; }
  const std::map<std::string, std::string>& types() const { return types_; }
  const std::map<std::string, std::string>& helps() const { return helps_; }
  // Of a metric, "le" aside.
  const std::map<std::string, std::vector<std::string>>& labels() const { return labels_; }

 private:
  void Take(const std::string& line) {
    if (line.starts_with("# HELP ")) {
      const auto [name, help] = Split(line.substr(7), line);
      if (!helps_.empty() && name <= helps_.rbegin()->first) Fail("not sorted", line);
      helps_.emplace(name, help);
      current_ = name;
    } else if (line.starts_with("# TYPE ")) {
      const auto [name, type] = Split(line.substr(7), line);
      if (name != current_ || !types_.emplace(name, type).second) Fail("TYPE", line);
    } else {
      TakeSeries(line);
    }
  }

  void TakeSeries(const std::string& line) {
    const auto end = line.rfind(' ');
    if (end == std::string::npos) Fail("no value", line);
    const std::string series = line.substr(0, end);
    if (!values_.emplace(series, line.substr(end + 1)).second) Fail("twice", line);
    const std::string name = series.substr(0, series.find('{'));
    if (!types_.contains(current_) || !Belongs(name)) Fail("of another metric", line);
    std::vector<std::string> labels = LabelsOf(series.substr(name.size()), line);
    std::erase(labels, "le");
    const auto [first, is_first] = labels_.emplace(current_, labels);
    if (!is_first && first->second != labels) Fail("other labels", line);
  }

  bool Belongs(const std::string& name) const {
    if (types_.at(current_) != "histogram") return name == current_;
    return name == current_ + "_bucket" || name == current_ + "_sum" || name == current_ + "_count";
  }

  // The names of {a="b",c="d"}, or of nothing.
  static std::vector<std::string> LabelsOf(std::string_view text, const std::string& line) {
    std::vector<std::string> names;
    if (text.empty()) return names;
    if (text.back() != '}') Fail("no }", line);
    text = text.substr(1, text.size() - 2);
    while (!text.empty()) {
      const auto equals = text.find("=\"");
      if (equals == std::string_view::npos) Fail("no =", line);
      names.emplace_back(text.substr(0, equals));
      text.remove_prefix(equals + 2);
      while (!text.empty() && text.front() != '"') {
        const std::size_t length = text.front() == '\\' ? 2 : 1;
        if (length == 2 && (text.size() < 2 ||
                            std::string_view("\\n\"").find(text[1]) == std::string_view::npos)) {
          Fail("escape", line);
        }
        text.remove_prefix(length);
      }
      if (text.empty()) Fail("no end of a value", line);
      text.remove_prefix(1);
      if (!text.empty() && text.front() != ',') Fail("no comma", line);
      if (!text.empty()) text.remove_prefix(1);
    }
    if (std::set<std::string>(names.begin(), names.end()).size() != names.size()) {
      Fail("a label twice", line);
    }
    return names;
  }

  static std::pair<std::string, std::string> Split(const std::string& text,
                                                   const std::string& line) {
    const auto space = text.find(' ');
    if (space == std::string::npos) Fail("no space", line);
    return {text.substr(0, space), text.substr(space + 1)};
  }

  [[noreturn]] static void Fail(const std::string& what, const std::string& line) {
    throw std::runtime_error(what + ": " + line);
  }

  std::string current_;
  std::map<std::string, std::string> values_;
  std::map<std::string, std::string> types_;
  std::map<std::string, std::string> helps_;
  std::map<std::string, std::vector<std::string>> labels_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_METRICS_EXPOSITION_H_
