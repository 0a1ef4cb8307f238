// The sockets that a process must not share with the one that it was forked from.
#ifndef HOLDFAST_SRC_HTTP_SOCKET_LIST_H_
#define HOLDFAST_SRC_HTTP_SOCKET_LIST_H_

#include <sys/types.h>

#include <atomic>
#include <utility>

namespace holdfast::http::internal {

// Says which descriptors connections have, to a child of fork() that finds everything else of
// theirs as the parent's threads left it. Thread-safe. It takes no lock, which the child could find
// taken: records are only added, at the front and complete, and used again once their connection is
// gone. A record may be behind, where a socket is being closed or opened; so the child compares the
// number of a socket itself, which no other has while there is a copy of it, before it closes one.
// That is why the members of a record may be relaxed: a child that finds only some of them changed
// finds a socket and a descriptor that do not go together.
class SocketList {
  struct Record {
    std::atomic<bool> taken{true};
    std::atomic<int> descriptor{-1};  // -1: none
    std::atomic<ino_t> socket{0};     // the number of its socket; 0: none
    Record* next = nullptr;
  };

 public:
  SocketList() = default;
  SocketList(const SocketList&) = delete;
  SocketList& operator=(const SocketList&) = delete;
  ~SocketList();

  // Of one connection. The list must outlive it, and it the descriptor: a child must find what is
  // still open, and leaves alone what is closed.
  class Entry {
   public:
    explicit Entry(SocketList& list) : record_(&list.Take()) {}
    Entry(Entry&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {}
    Entry& operator=(Entry&&) = delete;
    ~Entry();

    // The socket that it uses now, or -1. Not of an entry that was moved from.
    void Set(int descriptor);

   private:
    Record* record_;  // null: moved from
  };

  // Closes this process's descriptors of these sockets, and does nothing to the sockets. In a
  // child, before it has connections of the list.
  void CloseCopies() const noexcept;

 private:
  Record& Take();

  std::atomic<Record*> first_{nullptr};
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_SOCKET_LIST_H_
