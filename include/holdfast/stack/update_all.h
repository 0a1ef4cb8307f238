// UpdateAll changes several policy objects of a stack together: all of them or none.
//
//   auto limit = std::make_shared<holdfast::Settings<holdfast::TimeoutOptions>>(
//       holdfast::TimeoutOptions{.limit = 2s});
//   auto stack = holdfast::Stack(holdfast::Timeout(limit), holdfast::CircuitBreak(breaker));
//
//   holdfast::CircuitBreaker::Options shorter = breaker->options();  // those in force
//   shorter.timeout = 3s;
//   absl::Status changed = holdfast::UpdateAll(stack, holdfast::Change(limit, {.limit = 5s}),
//                                              holdfast::Change(breaker, shorter));
#ifndef HOLDFAST_STACK_UPDATE_ALL_H_
#define HOLDFAST_STACK_UPDATE_ALL_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <concepts>
#include <memory>
#include <utility>
#include <vector>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/stack/internal/stack_info.h"

namespace holdfast {

namespace internal {

// A Stack, or what has one.
template <class S>
concept HasInfo = requires(const S& stack, const Changes& changes) {
  { stack.Info(changes) } -> std::same_as<std::vector<NamedInfo>>;
};

}  // namespace internal

// New options for one object that has an Update, such as Settings, a breaker or a bucket.
template <class Object>
class Change {
 public:
  // Throws std::invalid_argument for a null object.
  Change(std::shared_ptr<Object> object, typename Object::Options options)
      : object_(internal::NotNull(std::move(object), "Change: its object")),
        options_(std::move(options)) {}

 private:
  template <internal::HasInfo S, class... Objects>
  friend absl::Status UpdateAll(const S& stack, const Change<Objects>&... changes);

  std::shared_ptr<Object> object_;
  typename Object::Options options_;
};

// Makes all changes, or none, to the objects of `stack`: a Stack (not what its Around returned) or
// an http::StandardClient. Returns kInvalidArgument, with nothing changed, if
//   - the Update of an object would refuse its new options;
//   - Validate would refuse the stack with all changes made;
//   - no policy of the stack uses one of the objects, or one is named twice.
// Other stacks that share the objects are not checked. Throws std::bad_alloc before the first
// change if memory runs out; only the change of a KeyedTokenBucket may itself need memory, and
// throw after the changes that are named before it were made.
//
// Thread-safe. A call that runs at the same time may see some of the changes and not yet the
// others. Change a stack from one thread at a time: two concurrent updates may each be valid and
// contradict each other.
template <internal::HasInfo S, class... Objects>
absl::Status UpdateAll(const S& stack, const Change<Objects>&... changes) {
  static_assert(sizeof...(Objects) > 0, "UpdateAll(stack, Change(object, options), ...)");
  absl::StatusOr<internal::Commit> commits[] = {
      changes.object_->PrepareUpdate(changes.options_)...};
  for (const auto& commit : commits) {
    if (!commit.ok()) return commit.status();
  }
  internal::Changes after;
  (after.Add(*changes.object_, changes.options_), ...);
  if (absl::Status status = internal::ValidateStack(stack.Info(after)); !status.ok()) {
    return status;
  }
  if (absl::Status status = after.Check(); !status.ok()) return status;
  for (auto& commit : commits) std::move (*commit)();
  return absl::OkStatus();
}

}  // namespace holdfast

#endif  // HOLDFAST_STACK_UPDATE_ALL_H_
