// The sockets that a process must not share with the one that it was forked from.
#ifndef HOLDFAST_SRC_HTTP_SOCKET_LIST_H_
#define HOLDFAST_SRC_HTTP_SOCKET_LIST_H_

#include <sys/types.h>

#include <array>
#include <atomic>

namespace holdfast::http::internal {

// Says which descriptors connections have, to a child of fork() that finds everything else of
// theirs as the parent's threads left it. Thread-safe. It takes no lock, which the child could find
// taken: records are only added, at the front and complete, and used again once their connection is
// gone. A record may be behind, where a socket is being closed or opened; so the child compares the
// number of a socket itself, which no other has while there is a copy of it, before it closes one.
class SocketList {
  struct Record {
    std::atomic<bool> taken{true};
    std::array<std::atomic<int>, 2> descriptors = {-1, -1};  // of one socket
    std::atomic<ino_t> socket{0};                            // its number; 0: none
    Record* next = nullptr;
  };

 public:
  SocketList() = default;
  SocketList(const SocketList&) = delete;
  SocketList& operator=(const SocketList&) = delete;
  ~SocketList();

  // Of one connection. The list must outlive it.
  class Entry {
   public:
    explicit Entry(SocketList& list) : record_(list.Take()) {}
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry() { record_.taken.store(false, std::memory_order_release); }

    // What it uses now: a socket and a duplicate of it, or -1.
    void Set(int descriptor, int duplicate);

   private:
    Record& record_;
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
