// A time that is set before it is read.
#ifndef HOLDFAST_BASE_INTERNAL_UNSET_TIME_H_
#define HOLDFAST_BASE_INTERNAL_UNSET_TIME_H_

#include "holdfast/base/time.h"

namespace holdfast::internal {

// For what every call has and few use. A TimePoint begins as zero, and to write that is a good part
// of what a policy costs that lets a call through. (So is every member of a policy's State, unless
// that has a constructor of its own: the machine value-initializes it.)
class UnsetTime {
 public:
  UnsetTime() {}  // NOLINT(modernize-use-equals-default): that would be zero where it is `{}`

  UnsetTime& operator=(TimePoint time) {
    since_epoch_ = time.time_since_epoch();
    return *this;
  }
  TimePoint operator*() const { return TimePoint(since_epoch_); }

 private:
  Duration since_epoch_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_UNSET_TIME_H_
