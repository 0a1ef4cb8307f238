#include "src/http/housekeeper.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "test/support/catch.h"
#include "test/support/fork.h"

namespace holdfast::http::internal::housekeeper_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)

// Wants so many visits, one a millisecond.
class Room final : public Tidied {
 public:
  explicit Room(int visits) : left_(visits) {}

  TimePoint TidyUp(TimePoint now) noexcept override {
    const std::lock_guard lock(mutex_);
    visited_by_ = std::this_thread::get_id();
    --left_;
    changed_.notify_all();
    return left_ > 0 ? now + 1ms : TimePoint::max();
  }

  // The thread that came for the last time.
  std::thread::id Await() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return left_ <= 0; });
    return visited_by_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int left_;
  std::thread::id visited_by_;
};

TimePoint Now() { return holdfast::internal::ReadClock(nullptr); }

TEST_CASE("one thread visits all, as often as they want") {
  Housekeeper& housekeeper = Housekeeper::OfProcess();
  // Keeps the thread from ending meanwhile.
  const auto last = std::make_shared<Room>(1);
  housekeeper.Visit(last, Now() + 1h);
  std::vector<std::shared_ptr<Room>> rooms;
  for (int i = 0; i < 200; ++i) {
    rooms.push_back(std::make_shared<Room>(1 + i % 3));
    housekeeper.Visit(rooms.back(), Now());
  }
  const std::thread::id thread = rooms.front()->Await();
  for (const auto& room : rooms) CHECK(room->Await() == thread);
  CHECK(thread != std::this_thread::get_id());
}

TEST_CASE("a visit that comes earlier than all others is in time, and one to nobody is none") {
  Housekeeper& housekeeper = Housekeeper::OfProcess();
  const auto later = std::make_shared<Room>(1);
  housekeeper.Visit(later, Now() + 1h);
  housekeeper.Visit(std::make_shared<Room>(1), Now());
  const auto soon = std::make_shared<Room>(2);
  housekeeper.Visit(soon, Now() + 1ms);
  CHECK(soon->Await() != std::thread::id());
}

TEST_CASE("a child of fork() has a housekeeper of its own") {
  if (!test::kCanFork) return;
  const auto room = std::make_shared<Room>(1);
  Housekeeper::OfProcess().Visit(room, Now());
  room->Await();
  test::Child child([]() -> std::string {
    const auto own = std::make_shared<Room>(2);
    Housekeeper::OfProcess().Visit(own, Now());
    own->Await();
    return "visited";
  });
  CHECK(child.Says() == "visited");
}

}  // namespace
}  // namespace holdfast::http::internal::housekeeper_test
