// AnyExecutor is a type-erased executor with a stack around it, for use as a member, a parameter or
// an element of a container.
//
//   holdfast::AnyExecutor<absl::StatusOr<Reply>(const Request&)> fetch =
//       holdfast::Stack(holdfast::Retry({})).Around(transport);
//   auto reply = fetch.With({.deadline = soon}, request);
#ifndef HOLDFAST_STACK_ANY_EXECUTOR_H_
#define HOLDFAST_STACK_ANY_EXECUTOR_H_

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>

#include "holdfast/call/call.h"

namespace holdfast {

template <class Signature>
class AnyExecutor;

// Holds anything with a member With(CallOptions, args...), such as what Stack::Around returns; put
// an executor without policies in as Stack().Around(executor). Copies share what they hold. Making
// one costs an allocation, and each call a virtual call. It can be the executor of another stack,
// and then obeys the deadline and the stop token of that stack's calls.
template <class R, class... Args>
class AnyExecutor<R(Args...)> {
 public:
  template <class Executor>
    requires(!std::same_as<std::remove_cvref_t<Executor>, AnyExecutor> &&
             requires(const Executor& executor, const CallOptions& options, Args... args) {
               { executor.With(options, args...) } -> std::convertible_to<R>;
             })
  AnyExecutor(Executor executor)  // NOLINT(google-explicit-constructor): as std::function
      : model_(std::make_shared<Model<Executor>>(std::move(executor))) {}

  R operator()(Args... args) const { return With(CallOptions{}, std::forward<Args>(args)...); }
  R With(const CallOptions& options, Args... args) const { return model_->Run(options, args...); }

 private:
  struct Interface {
    virtual ~Interface() = default;
    virtual R Run(const CallOptions& options, Args&... args) const = 0;
  };

  template <class Executor>
  struct Model final : Interface {
    explicit Model(Executor e) : executor(std::move(e)) {}
    R Run(const CallOptions& options, Args&... args) const override {
      return executor.With(options, args...);
    }
    Executor executor;
  };

  std::shared_ptr<const Interface> model_;
};

}  // namespace holdfast

#endif  // HOLDFAST_STACK_ANY_EXECUTOR_H_
