// A connection of a pool, over which one request after the other is sent.
#ifndef HOLDFAST_SRC_HTTP_CONNECTION_H_
#define HOLDFAST_SRC_HTTP_CONNECTION_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "holdfast/base/internal/process.h"
#include "holdfast/base/time.h"
#include "src/http/net/stream.h"

namespace holdfast::http::internal {

// The connections of a pool. All orders are relaxed: each is a value by itself. `open` is read
// under the lock of the pool, which orders it after the opening of those that are idle there, and
// before their end.
struct ConnectionCounts {
  std::atomic<std::int64_t> opened{0};  // since the pool was made
  std::atomic<std::int64_t> reused{0};  // exchanges over one from an earlier exchange; likewise
  std::atomic<std::int64_t> open{0};
};

// Used by one thread at a time. The destructor says goodbye, as far as that goes without blocking;
// in a child of fork(), where a callback of its exchange throws, it leaves all to the parent.
class Connection {
 public:
  // No exchange begins after `ends_at`, and no more than `uses`. `counts` must outlive it.
  Connection(std::unique_ptr<Stream> stream, TimePoint ends_at, std::int64_t uses,
             ConnectionCounts& counts)
      : stream_(std::move(stream)), ends_at_(ends_at), uses_left_(uses), counts_(&counts) {
    counts_->opened.fetch_add(1, std::memory_order_relaxed);
    counts_->open.fetch_add(1, std::memory_order_relaxed);
  }
  Connection(Connection&&) noexcept = default;
  Connection& operator=(Connection&& other) noexcept {
    std::swap(stream_, other.stream_);
    std::swap(ends_at_, other.ends_at_);
    std::swap(uses_left_, other.uses_left_);
    std::swap(counts_, other.counts_);
    std::swap(process_, other.process_);
    return *this;
  }
  ~Connection() {
    if (process_ != holdfast::internal::ProcessGeneration()) {
      // The pool closes the copy of its descriptor.
      [[maybe_unused]] const Stream* const abandoned = stream_.release();
    } else if (stream_ != nullptr) {
      stream_->Finish();
      stream_.reset();
      counts_->open.fetch_sub(1, std::memory_order_relaxed);
    }
  }

  Stream& stream() { return *stream_; }
  TimePoint ends_at() const { return ends_at_; }
  // An exchange was made. False: there may be no other.
  bool Use() { return --uses_left_ > 0; }

 private:
  std::unique_ptr<Stream> stream_;
  TimePoint ends_at_;
  std::int64_t uses_left_;
  ConnectionCounts* counts_;
  std::uint32_t process_ = holdfast::internal::ProcessGeneration();  // whose it is
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_CONNECTION_H_
