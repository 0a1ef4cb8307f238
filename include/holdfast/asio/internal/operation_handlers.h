// The handlers that an asynchronous operation gives to what it starts and to what may stop it.
#ifndef HOLDFAST_ASIO_INTERNAL_OPERATION_HANDLERS_H_
#define HOLDFAST_ASIO_INTERNAL_OPERATION_HANDLERS_H_

#include <cstddef>
#include <utility>

#include "holdfast/asio/config.h"
#include "holdfast/asio/internal/memory.h"
#include "holdfast/asio/internal/reference.h"

namespace holdfast::internal {

// A handler that keeps the operation alive, runs in the operation's executor and allocates from one
// of the operation's rooms.
template <class Operation, class ThisRoom>
class InnerHandler {
 public:
  using executor_type = typename Operation::Executor;
  using allocator_type = RoomAllocator<std::byte, ThisRoom, typename Operation::Fallback>;

  InnerHandler(Operation& operation, ThisRoom& room)
      : operation_(operation), allocator_(room, operation.fallback()) {}
  executor_type get_executor() const noexcept { return operation_->executor(); }
  allocator_type get_allocator() const noexcept { return allocator_; }

 protected:
  Reference<Operation> operation_;

 private:
  allocator_type allocator_;
};

// The end of an attempt. Move-only, so that it is called once. If the executor destroys it without
// calling it, while the context lives, the attempt has failed.
template <class Operation>
class AttemptHandler : public InnerHandler<Operation, typename Operation::Rooms::Attempt> {
  using Base = InnerHandler<Operation, typename Operation::Rooms::Attempt>;

 public:
  using TakesCaught = void;
  using cancellation_slot_type = net::cancellation_slot;

  explicit AttemptHandler(Operation& operation)
      : Base(operation, operation.rooms().attempt), slot_(operation.attempt_slot()) {}
  AttemptHandler(AttemptHandler&&) noexcept = default;
  AttemptHandler(const AttemptHandler&) = delete;
  ~AttemptHandler() {
    if (this->operation_) this->operation_->Lost();
  }
  cancellation_slot_type get_cancellation_slot() const noexcept { return slot_; }

  template <class... Results>
  void operator()(Results&&... results) {
    Reference<Operation> operation = std::move(this->operation_);
    if (operation) Operation::AttemptEnded(std::move(operation), std::forward<Results>(results)...);
  }

 private:
  net::cancellation_slot slot_;
};

// A wake-up that was posted to the operation's executor.
template <class Operation>
struct WakeHandler : InnerHandler<Operation, typename Operation::Rooms::Wake> {
  explicit WakeHandler(Operation& operation)
      : InnerHandler<Operation, typename Operation::Rooms::Wake>(operation,
                                                                 operation.rooms().wake) {}
  void operator()() { Operation::WakeArrived(std::move(this->operation_)); }
};

// Handles what happened before the start of the operation returned.
template <class Operation>
struct RunHandler : InnerHandler<Operation, typename Operation::Rooms::Wake> {
  explicit RunHandler(Operation& operation)
      : InnerHandler<Operation, typename Operation::Rooms::Wake>(operation,
                                                                 operation.rooms().start) {}
  void operator()() { Operation::Run(std::move(this->operation_)); }
};

// The callback of a stop token.
template <class Operation>
struct StopHandler {
  Operation& operation;
  void operator()() const { operation.Stop(); }
};

// In the cancellation slot of the caller's handler, until the slot or the operation goes away.
template <class Operation>
class SlotHandler {
 public:
  explicit SlotHandler(Operation& operation) : operation_(&operation) {
    operation.set_slot_handler(this);
  }
  SlotHandler(const SlotHandler&) = delete;
  ~SlotHandler() {
    if (operation_ != nullptr) operation_->set_slot_handler(nullptr);
  }
  void Detach() { operation_ = nullptr; }
  void operator()(net::cancellation_type) const {
    if (operation_ != nullptr) operation_->Stop();
  }

 private:
  Operation* operation_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_ASIO_INTERNAL_OPERATION_HANDLERS_H_
