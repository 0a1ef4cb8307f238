#include "src/http/housekeeper.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "holdfast/http/transport.h"
#include "test/http/fault_server.h"
#include "test/http/test_server.h"
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

// Asks to be forgotten when nobody can refer to it any more, and its visit has come to nothing.
class Leaver final : public Tidied {
 public:
  explicit Leaver(Housekeeper& housekeeper) : housekeeper_(housekeeper) {}
  ~Leaver() {
    while (housekeeper_.visits() > 1) std::this_thread::yield();
    housekeeper_.Forget(*this);
  }
  TimePoint TidyUp(TimePoint) noexcept override { return TimePoint::max(); }

 private:
  Housekeeper& housekeeper_;
};

TEST_CASE("a visit that is due to one that is being destroyed is forgotten once") {
  Housekeeper housekeeper;
  const auto last = std::make_shared<Room>(1);
  housekeeper.Visit(last, Now() + 1h);  // keeps the thread
  for (int i = 0; i < 100; ++i) {
    auto leaver = std::make_shared<Leaver>(housekeeper);
    housekeeper.Visit(leaver, Now() + 1ms);
    leaver.reset();
    CHECK(housekeeper.visits() == 1);
  }
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

TEST_CASE("each is to be visited once, at the earliest time that was asked for") {
  Housekeeper housekeeper;
  const auto room = std::make_shared<Room>(1);
  const auto other = std::make_shared<Room>(1);
  housekeeper.Visit(other, Now() + 1h);
  for (const auto after : {4h, 2h, 3h, 2h, 1h}) housekeeper.Visit(room, Now() + after);
  CHECK(housekeeper.visits() == 2);
  housekeeper.Visit(room, Now());
  CHECK(room->Await() != std::thread::id());
  while (housekeeper.visits() != 1) std::this_thread::yield();
  housekeeper.Visit(room, Now() + 1h);
  housekeeper.Forget(*room);
  housekeeper.Forget(*room);
  CHECK(housekeeper.visits() == 1);
}

TEST_CASE("a Transport that is destroyed is not to be visited") {
  test::FaultServer server([](const test::Peer& peer) {
    while (peer.ReadRequest() && peer.Write(test::kHello)) {
    }
  });
  const std::size_t before = Housekeeper::OfProcess().visits();
  {
    const Transport transport("http://" + server.Host());
    REQUIRE(transport(test::MakeRequest("GET", "/")).ok());
    CHECK(Housekeeper::OfProcess().visits() == before + 1);
  }
  CHECK(Housekeeper::OfProcess().visits() == before);
}

// Is visited until it may go.
class Busy final : public Tidied {
 public:
  TimePoint TidyUp(TimePoint) noexcept override {
    begun = true;
    begun.notify_all();
    may_go.wait(false);
    std::this_thread::sleep_for(50ms);  // what there is to do; it only lets a defect show
    done = true;
    if (out >= 0) [[maybe_unused]]
      const auto wrote = ::write(out, "done", 4);
    return TimePoint::max();
  }

  std::atomic<bool> begun = false;
  std::atomic<bool> may_go = false;
  std::atomic<bool> done = false;
  int out = -1;
};

TEST_CASE("a housekeeper that is stopped has made its visit, and makes no other") {
  Housekeeper housekeeper;
  const auto busy = std::make_shared<Busy>();
  housekeeper.Visit(busy, Now());
  busy->begun.wait(false);
  const auto never = std::make_shared<Room>(1);
  housekeeper.Visit(never, Now());
  busy->may_go = true;
  busy->may_go.notify_all();
  housekeeper.Stop();
  CHECK(busy->done);
  const auto later = std::make_shared<Busy>();
  later->may_go = true;
  housekeeper.Visit(later, Now());
  housekeeper.Stop();
  CHECK_FALSE(later->begun);
  CHECK(housekeeper.visits() <= 1);  // of the one that it came too late for
}

// Ends a child after what was registered later, and before a sanitizer takes what is the parent's
// for leaks.
struct EndOfChild {
  ~EndOfChild() {
    if (reached) ::_exit(0);
  }
  bool reached = false;
} end_of_child;

TEST_CASE("a process does not end while a visit is being made") {
  if (!test::kCanFork) return;
  std::array<int, 2> ends = {};
  REQUIRE(::pipe2(ends.data(), O_NONBLOCK | O_CLOEXEC) == 0);
  test::Child child([&]() -> std::string {
    end_of_child.reached = true;
    static const auto busy = std::make_shared<Busy>();
    busy->out = ends[1];
    Housekeeper::OfProcess().Visit(busy, Now());
    busy->begun.wait(false);
    // Runs before what was registered before.
    std::atexit([] {
      busy->may_go = true;
      busy->may_go.notify_all();
    });
    std::exit(0);
  });
  CHECK(child.ExitStatus() == 0);
  std::array<char, 4> said = {};
  CHECK(::read(ends[0], said.data(), said.size()) == 4);
  for (const int end : ends) ::close(end);
}

}  // namespace
}  // namespace holdfast::http::internal::housekeeper_test
