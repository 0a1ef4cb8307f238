// A Reply is how an executor in a simulated world says, at a later time, what came of an attempt.
//
//   auto flaky = [&](holdfast::Call& call, holdfast::testing::Reply<absl::Status> reply) {
//     if (call.attempt() == 1) return reply.Done(absl::UnavailableError("busy"));
//     world.After(10ms, [reply] { reply.Done(absl::OkStatus()); });
//   };
//   holdfast::testing::Simulate(world, holdfast::Stack(holdfast::Retry({})), flaky)();
#ifndef HOLDFAST_TESTING_REPLY_H_
#define HOLDFAST_TESTING_REPLY_H_

#include <cstdint>
#include <exception>
#include <utility>

#include "holdfast/testing/event_queue.h"

namespace holdfast::testing {

template <class R>
class Reply;

namespace sim_internal {

// Who waits for the replies to the attempts of one call after the other. Never destroyed before the
// world.
template <class R>
class Waiting {
 protected:
  ~Waiting() = default;

  Reply<R> NextReply() { return Reply<R>(*this, ++number_); }
  // No reply to the attempts so far matters any more.
  void AwaitNothing() { ++number_; }

 private:
  friend class Reply<R>;

  virtual void Replied(R result) = 0;
  virtual void Threw(std::exception_ptr error) = 0;

  std::uint32_t number_ = 0;  // of the attempt whose reply is awaited
};

}  // namespace sim_internal

// A value; the first Done or Throw of all copies counts, and none does once the attempt was
// cancelled (its call was stopped, or its deadline came). Outlives the attempt, but not the world.
template <class R>
class Reply {
 public:
  // Whether anybody still wants it.
  bool awaited() const { return waiting_->number_ == number_; }

  // Asks the processor for what Done will need.
  void Fetch() const { FetchLines(waiting_, 8); }

  // The attempt ends now, with this.
  void Done(R result) const {
    if (!awaited()) return;
    waiting_->AwaitNothing();
    waiting_->Replied(std::move(result));
  }
  void Throw(std::exception_ptr error) const {
    if (!awaited()) return;
    waiting_->AwaitNothing();
    waiting_->Threw(std::move(error));
  }

 private:
  friend class sim_internal::Waiting<R>;
  Reply(sim_internal::Waiting<R>& waiting, std::uint32_t number)
      : waiting_(&waiting), number_(number) {}

  sim_internal::Waiting<R>* waiting_;
  std::uint32_t number_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTING_REPLY_H_
