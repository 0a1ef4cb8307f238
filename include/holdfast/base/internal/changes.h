// Changes to policy objects, made together.
#ifndef HOLDFAST_BASE_INTERNAL_CHANGES_H_
#define HOLDFAST_BASE_INTERNAL_CHANGES_H_

#include <absl/functional/any_invocable.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "holdfast/base/time.h"

namespace holdfast::internal {

// What an Update does once it has been found to be possible: it can't fail, and needs no memory
// (but a KeyedTokenBucket's).
using Commit = absl::AnyInvocable<void() &&>;

// A policy object makes its changes in two steps, so that several can be changed together, or none:
//   absl::StatusOr<Commit> PrepareUpdate(Options options);
// finds out whether it can be, with nothing changed.
inline absl::Status CommitNow(absl::StatusOr<Commit> commit) {
  if (commit.ok()) std::move (*commit)();
  return commit.status();
}

// kInvalidArgument where the name or the clock in options for an Update is another one than that of
// the object; to leave them out means the same ones. `object`: the class, for the message.
absl::Status CheckSame(std::string_view object, const std::string& name,
                       const std::string& next_name, const Clock* clock, const Clock* next_clock);

// How every PrepareUpdate begins: kInvalidArgument where CheckSame or Validate refuses `next`;
// otherwise `next` has the object's name.
template <class Options>
absl::Status KeepNameAndValidate(std::string_view object, const std::string& name,
                                 const Clock* clock, Options& next) {
  const Clock* next_clock = nullptr;
  if constexpr (requires { next.clock; }) next_clock = next.clock;
  absl::Status status = CheckSame(object, name, next.name, clock, next_clock);
  if (!status.ok()) return status;
  next.name = name;
  return Validate(std::as_const(next));
}

// Changes that may be made, to ask policies what they would say of themselves then. A policy has
//   PolicyInfo Info(const Changes& changes = {}) const;
class Changes {
 public:
  template <class Object>
  void Add(const Object& object, const typename Object::Options& options) {
    all_.push_back({.object = &object, .type = &tag<Object>, .options = &options});
  }

  // The options that it would have; null: those that it has.
  template <class Object>
  const typename Object::Options* Of(const Object& object) const {
    const Change* const change = Find(&object, &tag<Object>);
    return change == nullptr ? nullptr
                             : static_cast<const typename Object::Options*>(change->options);
  }

  // Whether a policy has asked for each, and none of them is there twice.
  absl::Status Check() const;

 private:
  struct Change {
    const void* object;
    const void* type;
    const void* options;
    mutable bool found = false;
  };

  // Its address stands for the type. Not const: a linker may fold constants that are equal.
  template <class Object>
  static inline constinit char tag = 0;

  const Change* Find(const void* object, const void* type) const;

  std::vector<Change> all_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_CHANGES_H_
