// Live progress on the terminal.
#ifndef HOLDFAST_EXAMPLES_STORM_PROGRESS_H_
#define HOLDFAST_EXAMPLES_STORM_PROGRESS_H_

#include <string>

#include "holdfast/base/time.h"

namespace storm {

// One line on standard error that changes while a variant runs, and is gone when it has. Shows
// nothing where that is no terminal.
class ProgressLine {
 public:
  ProgressLine(std::string label, holdfast::Duration length);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // `now` of `length` has passed in the world.
  void Show(holdfast::Duration now);

 private:
  const std::string label_;
  const holdfast::Duration length_;
  const bool terminal_;
  holdfast::TimePoint next_ = {};  // as often as eyes can follow
};

}  // namespace storm

#endif  // HOLDFAST_EXAMPLES_STORM_PROGRESS_H_
