// What a child of fork() learns of its parent's sockets, and closes.
#include "src/http/socket_list.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "src/http/net/tcp_stream.h"
#include "test/http/descriptors.h"
#include "test/http/net/stream_pair.h"
#include "test/support/catch.h"
#include "test/support/fork.h"

namespace holdfast::http::internal::socket_list_test {
namespace {

using test::Child;
using test::OpenDescriptors;
using test::ReceiveAll;
using test::SendAll;
using test::SocketPair;
using test::TcpPair;
using test::UnixPair;

TcpStream Listed(SocketPair& pair, SocketList& list) {
  return TcpStream(std::move(pair.ours), SocketList::Entry(list));
}

// Has a child close what is listed; how many descriptors that were.
std::string ClosedInChild(const SocketList& list) {
  Child child([&list] {
    const int before = OpenDescriptors();
    list.CloseCopies();
    return std::to_string(before - OpenDescriptors());
  });
  return child.Says();
}

TEST_CASE("a child closes its copies of the sockets that streams have, and the peers see one end") {
  if (!test::kCanFork) return;
  SocketList list;
  std::array<int, 2> hold = {};  // the child lives until the parent closes it
  REQUIRE(::pipe(hold.data()) == 0);
  Descriptor reads(hold[0]);
  Descriptor writes(hold[1]);
  SocketPair unix_pair = UnixPair();
  SocketPair tcp_pair = TcpPair();
  auto unix_stream =
      std::make_unique<TcpStream>(std::move(unix_pair.ours), SocketList::Entry(list));
  auto tcp_stream = std::make_unique<TcpStream>(std::move(tcp_pair.ours), SocketList::Entry(list));
  {
    Child child([&] {
      writes.Reset();
      const int before = OpenDescriptors();
      list.CloseCopies();
      std::string said = std::to_string(before - OpenDescriptors());
      char byte = 0;
      if (::read(reads.get(), &byte, 1) != 0) said = "not held";
      return said;
    });
    // They are as they were.
    SendAll(tcp_pair.peers, "x");
    std::array<char, 8> room;
    IoResult read;
    do read = tcp_stream->Read(room);
    while (read.state == IoState::kWaitRead);
    CHECK(read.bytes == 1);
    tcp_stream.reset();
    unix_stream.reset();
    CHECK(ReceiveAll(tcp_pair.peers, 1).empty());  // the end, while the child lives
    CHECK(ReceiveAll(unix_pair.peers, 1).empty());
    writes.Reset();
    CHECK(child.Says() == "2");
  }
}

TEST_CASE("a stream that is not listed is the child's too") {
  if (!test::kCanFork) return;
  const SocketList list;
  SocketPair pair = UnixPair();
  const TcpStream stream(std::move(pair.ours));
  CHECK(ClosedInChild(list) == "0");
}

TEST_CASE("a socket is listed once, whoever has it") {
  if (!test::kCanFork) return;
  SocketList list;
  SocketPair pair = UnixPair();
  TcpStream first = Listed(pair, list);
  auto [socket, entry] = std::move(first).Release();
  CHECK(ClosedInChild(list) == "1");  // also while nobody has it
  {
    const TcpStream second(std::move(socket), std::move(entry));
    CHECK(ClosedInChild(list) == "1");
  }
  CHECK(ClosedInChild(list) == "0");
}

TEST_CASE("a child leaves what has got the number of a socket that is gone") {
  if (!test::kCanFork) return;
  SocketList list;
  SocketPair pair = UnixPair();
  const int number = pair.ours.get();
  SECTION("its stream is gone") {
    {
      const TcpStream stream = Listed(pair, list);
    }
    const Descriptor other(::dup(0));
    REQUIRE(other.get() == number);
    CHECK(ClosedInChild(list) == "0");
  }
  SECTION("its stream is going: the descriptor is closed, and the record is not changed yet") {
    const TcpStream stream = Listed(pair, list);
    ::close(number);
    const Descriptor file(::dup(0));
    REQUIRE(file.get() == number);
    CHECK(ClosedInChild(list) == "0");
    SocketPair another = UnixPair();
    REQUIRE(::dup2(another.ours.get(), number) == number);
    CHECK(ClosedInChild(list) == "0");
    ::fcntl(number, F_GETFD);
  }
}

// Those that are no sockets, as "number what".
std::set<std::string> OtherThanSockets() {
  std::set<std::string> all;
  for (const auto& each : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;  // the one by which they are listed
    const std::string what = std::filesystem::read_symlink(each, gone).string();
    if (gone || what.starts_with("socket:") || what.ends_with("/fd")) continue;
    all.insert(each.path().filename().string() + " " + what);
  }
  return all;
}

// Two threads open and close streams, and pipes that get their numbers.
TEST_CASE("a child closes nothing but sockets, whatever the parent's threads open and close") {
  if (!test::kCanFork) return;
  SocketList list;
  std::atomic<bool> over = false;
  std::vector<std::string> said;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&list, &over] {
        while (!over.load(std::memory_order_relaxed)) {
          {
            SocketPair pair = UnixPair();
            const TcpStream stream = Listed(pair, list);
          }
          std::array<int, 2> ends = {};
          if (::pipe(ends.data()) != 0) return;
          for (const int end : ends) ::close(end);
        }
      });
    }
    for (int i = 0; i < 25; ++i) {
      Child child([&list]() -> std::string {
        const std::set<std::string> before = OtherThanSockets();
        list.CloseCopies();
        return OtherThanSockets() == before ? "" : "it closed another descriptor";
      });
      said.push_back(child.Says());
    }
    over = true;
  }
  for (const std::string& each : said) CHECK(each.empty());
}

}  // namespace
}  // namespace holdfast::http::internal::socket_list_test
