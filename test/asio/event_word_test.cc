#include "holdfast/asio/internal/event_word.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include "test/support/catch.h"

namespace holdfast::internal::event_word_test {
namespace {

using Events = EventWord::Events;

// The model in the header, in plain variables.
struct Model {
  bool owned = true;
  Events pending = 0;

  Events Raise(EventWord::Event event) {
    if (!owned) {
      owned = true;
      return event;
    }
    pending |= event;
    return 0;
  }
  Events Take() { return std::exchange(pending, 0); }
  bool TryRelease() {
    if (pending == 0) owned = false;
    return pending == 0;
  }
};

// Counts the scripts of `steps` more steps in which the word and its model disagree.
int Disagreements(const std::vector<int>& script, int steps) {
  EventWord word;
  Model model;
  for (const int step : script) {
    switch (step) {
      case 0:
        if (word.Raise(EventWord::kEnded) != model.Raise(EventWord::kEnded)) return 1;
        break;
      case 1:
        if (word.Raise(EventWord::kWoken) != model.Raise(EventWord::kWoken)) return 1;
        break;
      // Only an owner may do the rest.
      case 2:
        if (!model.owned) return 0;
        word.Add(EventWord::kEnded);
        model.pending |= EventWord::kEnded;
        break;
      case 3:
        if (!model.owned) return 0;
        if (word.Take() != model.Take()) return 1;
        break;
      default:
        if (!model.owned) return 0;
        if (word.TryRelease() != model.TryRelease()) return 1;
        if (!model.owned && model.pending != 0) return 1;  // invariant 2
    }
  }
  if (steps == 0) return 0;
  int disagreements = 0;
  for (int step = 0; step < 5; ++step) {
    std::vector<int> longer = script;
    longer.push_back(step);
    disagreements += Disagreements(longer, steps - 1);
  }
  return disagreements;
}

TEST_CASE("the word does what its model does, in every script of seven steps") {
  CHECK(Disagreements({}, 7) == 0);
}

// `handled` and `turns` have no lock: a second owner at the same time would be a race on it, which
// a sanitizer of threads reports and which loses entries.
TEST_CASE("threads that raise events work one at a time, and no event is lost") {
  constexpr int kThreads = 4;
  constexpr int kRaises = 20'000;
  EventWord word;
  while (!word.TryRelease()) word.Take();
  std::array<std::atomic<int>, kThreads> raised = {};
  std::array<int, kThreads> handled = {};  // used by owners only
  std::int64_t turns = 0;
  const auto handle = [&] {
    ++turns;
    for (std::size_t i = 0; i < kThreads; ++i) {
      handled[i] = raised[i].load(std::memory_order_relaxed);
    }
  };
  std::atomic<std::int64_t> owners = 0;
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        for (int n = 1; n <= kRaises; ++n) {
          raised[i].store(n, std::memory_order_relaxed);
          if (word.Raise(i % 2 == 0 ? EventWord::kEnded : EventWord::kWoken) == 0) continue;
          std::int64_t mine = 1;
          for (handle(); !word.TryRelease(); handle(), ++mine) word.Take();
          owners += mine;
        }
      });
    }
  }
  CHECK(word.Raise(EventWord::kWoken) == EventWord::kWoken);  // nobody is the owner
  for (const int n : handled) CHECK(n == kRaises);
  CHECK(turns == owners);
}

}  // namespace
}  // namespace holdfast::internal::event_word_test
