#include "holdfast/base/internal/versions.h"

#include <atomic>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "test/support/catch.h"

namespace holdfast::internal::versions_test {
namespace {

// Counts how many of it there are, and is wrong once it is destroyed.
class Counted {
 public:
  Counted(int number, std::atomic<int>& alive)
      : number_(number), twice_(2 * number), alive_(&alive) {
    alive.fetch_add(1);
  }
  Counted(Counted&& other) noexcept
      : number_(other.number_), twice_(other.twice_), alive_(other.alive_) {
    alive_->fetch_add(1);
  }
  ~Counted() {
    twice_ = -1;
    alive_->fetch_sub(1);
  }

  int number() const { return number_; }
  bool whole() const { return twice_ == 2 * number_; }

 private:
  int number_;
  int twice_;
  std::atomic<int>* alive_;
};

using Numbers = Versions<Counted>;

TEST_CASE("who reads gets the newest version, and keeps the one that it got") {
  std::atomic<int> alive{0};
  {
    Numbers numbers(Counted(0, alive));
    std::vector<Numbers::Pin> pins;
    for (int i = 1; i <= 5; ++i) {
      pins.push_back(numbers.Read());
      numbers.Replace(Numbers::Make(Counted(i, alive)));
    }
    CHECK(numbers.Read()->number() == 5);
    for (int i = 0; i < 5; ++i) CHECK(pins[static_cast<std::size_t>(i)]->number() == i);
    CHECK(alive == 6);
    SECTION("until the last pin of it has gone, whatever the order") {
      pins.erase(pins.begin() + 2);
      CHECK(alive == 5);
      Numbers::Pin moved = std::move(pins.back());
      pins.clear();
      CHECK(moved->number() == 4);
      CHECK(alive == 3);  // and the first and the last
    }
    pins.clear();
  }
  CHECK(alive == 0);
}

TEST_CASE("versions that nobody reads go at once") {
  std::atomic<int> alive{0};
  Numbers numbers(Counted(0, alive));
  for (int i = 1; i < 1000; ++i) {
    numbers.Replace(Numbers::Make(Counted(i, alive)));
    CHECK(numbers.Read()->number() == i);
    CHECK(alive == 2);
  }
}

TEST_CASE("a version may be pinned more often than its word can count") {
  std::atomic<int> alive{0};
  Numbers numbers(Counted(0, alive));
  numbers.Replace(Numbers::Make(Counted(1, alive)));
  std::vector<Numbers::Pin> pins(200'000);
  for (auto& pin : pins) pin = numbers.Read();
  pins.resize(100'000);
  numbers.Replace(Numbers::Make(Counted(2, alive)));
  CHECK(alive == 3);
  CHECK(pins.front()->number() == 1);
  pins.resize(1);
  CHECK(alive == 3);
  pins.clear();
  CHECK(alive == 2);
  CHECK(numbers.Read()->number() == 2);
}

TEST_CASE("many threads read while others replace: nobody sees a version that has gone") {
  std::atomic<int> alive{0};
  {
    Numbers numbers(Counted(0, alive));
    constexpr int kUpdates = 20'000;
    std::atomic<int> updates{0};
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&] {
        std::vector<Numbers::Pin> kept(7);
        std::size_t turn = 0;
        while (updates.load(std::memory_order_relaxed) < kUpdates) {
          Numbers::Pin& pin = kept[turn++ % kept.size()];
          if (pin && !pin->whole()) wrong.fetch_add(1);
          pin = numbers.Read();
          if (!pin->whole()) wrong.fetch_add(1);
        }
      });
    }
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        for (int i; (i = updates.fetch_add(1)) < kUpdates;) {
          numbers.Replace(Numbers::Make(Counted(i, alive)));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(wrong == 0);
    CHECK(alive == 2);
  }
  CHECK(alive == 0);
}

}  // namespace
}  // namespace holdfast::internal::versions_test
