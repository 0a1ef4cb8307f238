// UpdateAll changes several objects of a stack together.
//
//   auto limit = std::make_shared<holdfast::Settings<holdfast::TimeoutOptions>>(
//       holdfast::TimeoutOptions{.limit = 2s});
//   auto stack = holdfast::Stack(holdfast::Timeout(limit), holdfast::CircuitBreak(breaker));
//
//   holdfast::CircuitBreaker::Options shorter = breaker->options();  // the present ones
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

// New options of an object that has an Update: of Settings, of a breaker, of a bucket.
template <class Object>
class Change {
 public:
  // Throws std::invalid_argument for a null object.
  Change(std::shared_ptr<Object> object, typename Object::Options options)
      : object_(internal::NotNull(std::move(object))), options_(std::move(options)) {}

 private:
  template <internal::HasInfo S, class... Objects>
  friend absl::Status UpdateAll(const S& stack, const Change<Objects>&... changes);

  std::shared_ptr<Object> object_;
  typename Object::Options options_;
};

// Makes all changes or none to what a Stack (not what its Around returned) or an
// http::StandardClient is made of: none where an object's own Update would refuse its options, or
// Validate(stack) what comes out. kInvalidArgument then, and also for an object that no policy of
// the stack has, or that is named twice. The objects may be in other stacks as well, which nobody
// asks. For want of memory it throws std::bad_alloc, before the first change; except that the
// change of a KeyedTokenBucket itself may need some, after those that are named before it.
//
// Thread-safe. Calls that run meanwhile may find some of the changes made and others not yet. Let
// one thread at a time change a stack: of two changes that each fit what there was before, both may
// be made, and not fit each other.
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
