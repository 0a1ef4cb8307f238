#include "test/search/tally.h"

#include <cctype>
#include <ostream>

namespace holdfast::search {
namespace {

std::int64_t Of(const std::array<std::int64_t, 6>& outcomes, Outcome outcome) {
  return outcomes.at(static_cast<std::size_t>(outcome));
}

// The sentence without what differs from one stack to the next: numbers, with their units, and
// what stands in parentheses.
std::string WithoutNumbers(std::string_view sentence) {
  std::string text;
  int depth = 0;
  bool number = false;
  for (const char c : sentence) {
    if (c == ')') --depth;
    number = std::isdigit(static_cast<unsigned char>(c)) != 0 ||
             (number && (c == '.' || std::isalpha(static_cast<unsigned char>(c)) != 0));
    if (depth == 0 && c != ')' && c != '(' && !number) text += c;
    if (c == '(') ++depth;
  }
  return text;
}

}  // namespace

void Tally::Refuse(std::string_view sentence) { ++refused[WithoutNumbers(sentence)]; }

bool Tally::found() const {
  return Of(outcomes, Outcome::kLate) + Of(outcomes, Outcome::kStuck) > 0;
}

std::ostream& operator<<(std::ostream& out, const Tally& tally) {
  std::int64_t refused = 0;
  for (const auto& [sentence, count] : tally.refused) refused += count;
  const auto line = [&](Outcome outcome, std::string_view what) {
    out << "  " << what << ": " << Of(tally.outcomes, outcome);
    const auto unbudgeted = Of(tally.unbudgeted, outcome);
    if (unbudgeted > 0) out << ", without a budget " << unbudgeted;
    out << '\n';
  };
  out << tally.draws << " draws, " << tally.shapes.size()
      << " shapes of stacks\n  refused: " << refused << '\n';
  for (const auto& [sentence, count] : tally.refused)
    out << "    " << count << "  " << sentence << '\n';
  line(Outcome::kSick, "most calls fail without a fault, too");
  line(Outcome::kTooLong, "too long to simulate");
  line(Outcome::kBack, "back in time");
  line(Outcome::kSometimes, "not back, with some seeds only");
  line(Outcome::kLate, "late");
  line(Outcome::kStuck, "still down a minute later");
  for (const auto& [kind, count] : tally.kinds) out << "  " << count << "  " << kind << '\n';
  return out;
}

}  // namespace holdfast::search
