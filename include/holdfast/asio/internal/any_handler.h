// AnyHandler is a completion handler of any type behind one type, with room for the operation that
// will call it.
#ifndef HOLDFAST_ASIO_INTERNAL_ANY_HANDLER_H_
#define HOLDFAST_ASIO_INTERNAL_ANY_HANDLER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#include <variant>

#include "holdfast/asio/config.h"
#include "holdfast/asio/internal/deliver.h"
#include "holdfast/asio/internal/executor.h"
#include "holdfast/asio/internal/memory.h"
#include "holdfast/asio/internal/timer_service.h"

namespace holdfast::internal {

// What the memory of an AnyHandler consists of.
struct alignas(std::max_align_t) MemoryUnit {
  std::byte bytes[sizeof(std::max_align_t)];
};
constexpr std::size_t UnitsFor(std::size_t bytes) {
  return (bytes + sizeof(MemoryUnit) - 1) / sizeof(MemoryUnit);
}

// One piece of memory from a handler's allocator: the handler, and room for one more allocation,
// the operation that will call it. What does not fit comes from the same allocator.
//
// It lives while the handler does, or something that was allocated through it. So an allocator is a
// plain pointer to it: Asio asks that what an operation allocated through its handler is returned
// before the handler is called, and allocates nothing through it later. Thread-safe: `references_`
// counts as a std::shared_ptr does, and who takes the room sees all that its last user did.
class HandlerMemory {
 public:
  HandlerMemory(const HandlerMemory&) = delete;
  HandlerMemory& operator=(const HandlerMemory&) = delete;

  void* Allocate(std::size_t size) {
    void* const p = size <= room_size_ && !taken_.test_and_set(std::memory_order_acquire)
                        ? room_
                        : AllocateMore(UnitsFor(size));
    references_.fetch_add(1, std::memory_order_relaxed);
    return p;
  }
  void Free(void* p, std::size_t size) {
    if (p == room_) {
      taken_.clear(std::memory_order_release);
    } else {
      FreeMore(static_cast<MemoryUnit*>(p), UnitsFor(size));
    }
    DropReference();
  }

 protected:
  HandlerMemory(MemoryUnit* room, std::size_t room_size) : room_(room), room_size_(room_size) {}
  virtual ~HandlerMemory() = default;

  void DropReference() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) Destroy();
  }

 private:
  virtual MemoryUnit* AllocateMore(std::size_t units) = 0;
  virtual void FreeMore(MemoryUnit* p, std::size_t units) noexcept = 0;
  virtual void Destroy() noexcept = 0;

  void* const room_;  // null: none
  const std::size_t room_size_;
  std::atomic<std::uint32_t> references_{1};  // the handler's
  std::atomic_flag taken_;                    // the room; clear at first, since C++20
};

// The associated allocator of an AnyHandler.
template <class T>
class AnyAllocator {
 public:
  using value_type = T;

  explicit AnyAllocator(HandlerMemory& memory) : memory_(&memory) {}
  template <class U>
  AnyAllocator(const AnyAllocator<U>& other)  // NOLINT(google-explicit-constructor)
      : memory_(other.memory_) {}

  T* allocate(std::size_t n) {
    static_assert(alignof(T) <= alignof(MemoryUnit));
    return static_cast<T*>(memory_->Allocate(n * sizeof(T)));
  }
  void deallocate(T* p, std::size_t n) { memory_->Free(p, n * sizeof(T)); }

  friend bool operator==(const AnyAllocator& a, const AnyAllocator& b) {
    return a.memory_ == b.memory_;
  }

 private:
  template <class>
  friend class AnyAllocator;

  HandlerMemory* memory_;
};

// What an AnyHandler refers to. R may be void.
template <class R>
class HandlerBox : public HandlerMemory {
 public:
  using Value = std::conditional_t<std::is_void_v<R>, std::monostate, R>;

  // Either ends the handler.
  virtual void Complete(std::exception_ptr error, Value& result) = 0;
  virtual void Discard() noexcept = 0;

  net::any_io_executor executor;  // empty: the handler has none
  net::cancellation_slot slot;

 protected:
  using HandlerMemory::HandlerMemory;
};

// The timers of a context are not to run in a strand, and not every strand can be recognized in an
// any_io_executor.
template <class Executor>
net::any_io_executor EraseExecutor(const Executor& executor) {
  static_assert(std::is_convertible_v<const Executor&, net::any_io_executor>,
                "an AnyAsyncExecutor needs handlers whose executor fits into an any_io_executor");
  if constexpr (kIsStrand<Executor>) TimerService::Of(executor);
  return executor;
}

template <class R, class Handler>
class HandlerBoxOf final : public HandlerBox<R> {
 public:
  using typename HandlerBox<R>::Value;

  // With room for an operation of `room` bytes. `held` lasts until the handler was called.
  static HandlerBoxOf& Make(Handler handler, std::shared_ptr<const void> held, std::size_t room) {
    Allocator allocator(AllocatorOf(handler));
    const std::size_t units = OwnUnits() + UnitsFor(room);
    MemoryUnit* const memory = Traits::allocate(allocator, units);
    try {
      return *::new (static_cast<void*>(memory))
          HandlerBoxOf(std::move(handler), std::move(held), allocator, memory, units);
    } catch (...) {
      Traits::deallocate(allocator, memory, units);
      throw;
    }
  }

  // The memory is free before the handler is called, so that a handler that starts the next call
  // finds it again.
  void Complete(std::exception_ptr error, Value& result) override {
    const std::shared_ptr<const void> held = std::move(held_);
    Handler handler = TakeHandler();
    if constexpr (std::is_void_v<R>) {
      CallHandler(std::move(handler), std::move(error));
    } else {
      CallHandler(std::move(handler), std::move(error), std::move(result));
    }
  }
  void Discard() noexcept override {
    handler_.~Handler();
    this->DropReference();
  }

 private:
  using Allocator =
      typename std::allocator_traits<HandlerAllocator<Handler>>::template rebind_alloc<MemoryUnit>;
  using Traits = std::allocator_traits<Allocator>;

  HandlerBoxOf(Handler&& handler, std::shared_ptr<const void> held, const Allocator& allocator,
               MemoryUnit* memory, std::size_t units)
      : HandlerBox<R>(units == OwnUnits() ? nullptr : memory + OwnUnits(),
                      (units - OwnUnits()) * sizeof(MemoryUnit)),
        units_(units),
        allocator_(allocator),
        held_(std::move(held)),
        handler_(std::move(handler)) {
    try {
      this->executor = EraseExecutor(ExecutorOf(handler_, net::any_io_executor()));
      this->slot = net::get_associated_cancellation_slot(handler_);
    } catch (...) {
      handler_.~Handler();
      throw;
    }
  }
  // Discard has ended the handler.
  ~HandlerBoxOf() override {}  // NOLINT(modernize-use-equals-default): of a union

  static constexpr std::size_t OwnUnits() { return UnitsFor(sizeof(HandlerBoxOf)); }

  Handler TakeHandler() {
    struct AtEnd {
      HandlerBoxOf* box;
      ~AtEnd() { box->Discard(); }
    } const at_end{this};
    return std::move(handler_);
  }

  MemoryUnit* AllocateMore(std::size_t units) override {
    Allocator allocator(allocator_);
    return Traits::allocate(allocator, units);
  }
  void FreeMore(MemoryUnit* p, std::size_t units) noexcept override {
    Allocator allocator(allocator_);
    Traits::deallocate(allocator, p, units);
  }
  void Destroy() noexcept override {
    Allocator allocator(allocator_);
    const std::size_t units = units_;
    auto* const memory = reinterpret_cast<MemoryUnit*>(this);
    this->~HandlerBoxOf();
    Traits::deallocate(allocator, memory, units);
  }

  const std::size_t units_;
  [[no_unique_address]] const Allocator allocator_;
  std::shared_ptr<const void> held_;
  union {
    Handler handler_;  // NOLINT(readability-identifier-naming): until Discard
  };
};

// Move-only. Where it runs, what it allocates from and what may cancel its operation is as its
// handler says. It is a completion token as well: an operation that is started with it, and whose
// handler does not say where to run, runs where the operation says.
template <class R>
class AnyHandler {
 public:
  using allocator_type = AnyAllocator<std::byte>;
  using cancellation_slot_type = net::cancellation_slot;

  explicit AnyHandler(HandlerBox<R>& box) : box_(&box) {}

  allocator_type get_allocator() const noexcept { return allocator_type(*box_); }
  cancellation_slot_type get_cancellation_slot() const noexcept { return box_->slot; }
  const net::any_io_executor& executor() const noexcept { return box_->executor; }

  template <class Executor>
  void RunIn(const Executor& executor) {
    struct NoHandler {};
    if (!box_->executor) box_->executor = EraseExecutor(ExecutorOf(NoHandler(), executor));
  }

  void operator()(std::exception_ptr error, typename HandlerBox<R>::Value result)
    requires(!std::is_void_v<R>)
  {
    box_.release()->Complete(std::move(error), result);
  }
  void operator()(std::exception_ptr error)
    requires std::is_void_v<R>
  {
    std::monostate nothing;
    box_.release()->Complete(std::move(error), nothing);
  }

 private:
  struct Discard {
    void operator()(HandlerBox<R>* box) const noexcept { box->Discard(); }
  };

  std::unique_ptr<HandlerBox<R>, Discard> box_;
};

}  // namespace holdfast::internal

#ifdef HOLDFAST_BOOST_ASIO
namespace boost::asio {
#else
namespace asio {
#endif

template <class R, class Executor>
struct associated_executor<holdfast::internal::AnyHandler<R>, Executor> {
  using type = any_io_executor;
  static type get(const holdfast::internal::AnyHandler<R>& handler) noexcept {
    return get(handler, Executor());
  }
  static type get(const holdfast::internal::AnyHandler<R>& handler,
                  const Executor& otherwise) noexcept {
    return handler.executor() ? handler.executor() : type(otherwise);
  }
};

template <class R, class... Signatures>
class async_result<holdfast::internal::AnyHandler<R>, Signatures...> {
 public:
  using return_type = void;

  template <class Initiation, class... Args>
  static void initiate(Initiation&& initiation, holdfast::internal::AnyHandler<R> handler,
                       Args&&... args) {
    if constexpr (requires { initiation.get_executor(); }) {
      handler.RunIn(initiation.get_executor());
    }
    std::forward<Initiation>(initiation)(std::move(handler), std::forward<Args>(args)...);
  }
};
}

#endif  // HOLDFAST_ASIO_INTERNAL_ANY_HANDLER_H_
