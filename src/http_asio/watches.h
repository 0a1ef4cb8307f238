// Waits for descriptors in a context.
#ifndef HOLDFAST_SRC_HTTP_ASIO_WATCHES_H_
#define HOLDFAST_SRC_HTTP_ASIO_WATCHES_H_

#include <cstdint>
#include <list>
#include <span>
#include <utility>

#include "holdfast/asio/internal/reference.h"
#include "src/http/net/interest.h"
#include "src/http_asio/net.h"

namespace holdfast::http::internal {

struct Awaited {
  int descriptor = -1;
  Interest interest = {};
};

// Who waits. It is referred to by the waits that are under way.
class Watcher {
 public:
  virtual void AddReference() noexcept = 0;
  virtual void DropReference() noexcept = 0;
  // In the strand. What the descriptor is ready for, or has failed; an operation will say.
  virtual void OnReady(int descriptor, Interest ready) = 0;

 protected:
  ~Watcher() = default;
};

// The waits of one call, whose descriptors belong to others: a descriptor must be let go of before
// it is closed. Used in the strand.
class Watches {
 public:
  Watches(AsyncStrand strand, Watcher& watcher) : strand_(std::move(strand)), watcher_(watcher) {}
  Watches(const Watches&) = delete;
  Watches& operator=(const Watches&) = delete;
  ~Watches() { Clear(); }

  // Waits for these. Waits that are under way for the same go on. Returns an errno where the system
  // can't wait, else 0.
  int Await(std::span<const Awaited> all);

  // Nothing of before is called any more.
  void Clear() noexcept;

 private:
  struct Watch {
    Watch(const net::any_io_executor& executor, std::uint64_t its_number)
        : number(its_number), stream(executor) {}

    std::uint64_t number;
    net::posix::stream_descriptor stream;
    Interest under_way = {};
  };
  class Handler;

  void Begin(Watch& watch, Interest interest);
  void Ended(std::uint64_t number, Interest ready);

  const AsyncStrand strand_;
  Watcher& watcher_;
  std::list<Watch> watches_;
  std::uint64_t number_ = 0;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_ASIO_WATCHES_H_
