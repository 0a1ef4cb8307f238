// Memory inside an operation for the operations that it starts, so that the whole is one
// allocation.
#ifndef HOLDFAST_ASIO_INTERNAL_MEMORY_H_
#define HOLDFAST_ASIO_INTERNAL_MEMORY_H_

#include <atomic>
#include <cstddef>
#include <memory>
#include <type_traits>

#include "holdfast/asio/config.h"

namespace holdfast::internal {

// A handler's allocator; where that is std::allocator, Asio's own, which reuses what its thread
// freed.
template <class Allocator>
struct PreferRecycling {
  using type = Allocator;
  static type Of(const Allocator& allocator) { return allocator; }
};
template <class T>
struct PreferRecycling<std::allocator<T>> {
  using type = net::recycling_allocator<T>;
  static type Of(const std::allocator<T>&) { return type(); }
};
template <class Handler>
using HandlerAllocator = typename PreferRecycling<net::associated_allocator_t<Handler>>::type;

template <class Handler>
HandlerAllocator<Handler> AllocatorOf(const Handler& handler) {
  return PreferRecycling<net::associated_allocator_t<Handler>>::Of(
      net::get_associated_allocator(handler));
}

// Room for one allocation at a time; none at all for a size of 0. Thread-safe.
template <std::size_t kSize>
class Room {
 public:
  void* Take(std::size_t size) {
    if (size > kSize || taken_.test_and_set(std::memory_order_acquire)) return nullptr;
    return bytes_;
  }
  // False if it was not from here.
  bool GiveBack(void* p) {
    if (p != static_cast<void*>(bytes_)) return false;
    taken_.clear(std::memory_order_release);
    return true;
  }

 private:
  alignas(std::max_align_t) std::byte bytes_[kSize];
  std::atomic_flag taken_;  // clear at first, since C++20
};
template <>
class Room<0> {
 public:
  static void* Take(std::size_t) { return nullptr; }
  static bool GiveBack(void*) { return false; }
};

// The rooms of one operation, sized for what Asio allocates: for an operation on a socket, and for
// a posted handler. They have no size with a strand, which allocates from its handlers' allocators
// and outlives the handlers.
template <bool kHasStrand>
struct InlineRooms {
  using Attempt = Room<kHasStrand ? 0 : 320>;
  using Wake = Room<kHasStrand ? 0 : 160>;

  Attempt attempt;
  Wake wake;
  Wake start;
};

// Allocates from a room, and from `Fallback` where that is taken or too small.
template <class T, class ThisRoom, class Fallback>
class RoomAllocator {
 public:
  using value_type = T;

  RoomAllocator(ThisRoom& room, const Fallback& fallback) : room_(&room), fallback_(fallback) {}
  template <class U>
  RoomAllocator(
      const RoomAllocator<U, ThisRoom, Fallback>& other)  // NOLINT(google-explicit-constructor)
      : room_(other.room_), fallback_(other.fallback_) {}

  T* allocate(std::size_t n) {
    static_assert(alignof(T) <= alignof(std::max_align_t));
    if (void* const p = room_->Take(n * sizeof(T))) return static_cast<T*>(p);
    Rebound fallback(fallback_);
    return std::allocator_traits<Rebound>::allocate(fallback, n);
  }
  void deallocate(T* p, std::size_t n) {
    if (room_->GiveBack(p)) return;
    Rebound fallback(fallback_);
    std::allocator_traits<Rebound>::deallocate(fallback, p, n);
  }

  friend bool operator==(const RoomAllocator& a, const RoomAllocator& b) {
    return a.room_ == b.room_;
  }

 private:
  template <class, class, class>
  friend class RoomAllocator;
  using Rebound = typename std::allocator_traits<Fallback>::template rebind_alloc<T>;

  ThisRoom* room_;
  Fallback fallback_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_ASIO_INTERNAL_MEMORY_H_
