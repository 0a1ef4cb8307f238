// A Reply completes an attempt in a simulated world, at once or at a later time.
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

// Waits for the replies to the attempts of one call after another. Lives as long as the world.
template <class R>
class Waiting {
 protected:
  virtual ~Waiting() = default;

  Reply<R> NextReply() { return Reply<R>(*this, ++number_); }
  // Ignores all replies to the attempts so far.
  void AwaitNothing() { ++number_; }

 private:
  friend class Reply<R>;

  virtual void Replied(R result) = 0;
  virtual void Threw(std::exception_ptr error) = 0;

  std::uint32_t number_ = 0;  // of the attempt whose reply is awaited
};

}  // namespace sim_internal

// A value. The first Done or Throw of all copies counts; the others do nothing, and so does any
// after the attempt was cancelled (its call was stopped, or its deadline passed). It may outlive
// the attempt, but not the world.
template <class R>
class Reply {
 public:
  // Whether the attempt is still waiting for the reply.
  bool awaited() const { return waiting_->number_ == number_; }

  // Prefetches the memory that Done uses.
  void Fetch() const { FetchLines(waiting_, 8); }

  // Ends the attempt now.
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
