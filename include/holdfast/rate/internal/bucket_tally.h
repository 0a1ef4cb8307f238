// What tells whether tokens that a promise took can still be given back.
#ifndef HOLDFAST_RATE_INTERNAL_BUCKET_TALLY_H_
#define HOLDFAST_RATE_INTERNAL_BUCKET_TALLY_H_

#include <atomic>
#include <cstdint>

namespace holdfast::internal {

// Of a bucket, or of buckets under one mutex. It changes only under the mutex. Reading it needs no
// mutex: what a thread takes after that is later than all that the tally told of (see
// src/rate/token_bucket.cc).
class BucketTally {
 public:
  // How often debt was forgiven; what was ever given back, in units of a bucket's axis, or in
  // tokens where the buckets have several; and the number of the axis, from 1.
  std::uint32_t forgiven() const { return forgiven_.load(std::memory_order_relaxed); }
  std::uint64_t returned() const { return returned_.load(std::memory_order_acquire); }
  std::uint32_t axis() const { return axis_.load(std::memory_order_acquire); }

  void Forgive() { forgiven_.store(forgiven() + 1, std::memory_order_relaxed); }
  void Return(std::int64_t amount) {
    returned_.store(returned() + static_cast<std::uint64_t>(amount), std::memory_order_release);
  }
  void NextAxis() { axis_.store(axis() + 1, std::memory_order_release); }

 private:
  std::atomic<std::uint32_t> forgiven_{0};
  std::atomic<std::uint32_t> axis_{1};
  std::atomic<std::uint64_t> returned_{0};
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_RATE_INTERNAL_BUCKET_TALLY_H_
