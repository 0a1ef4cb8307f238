// Live progress on the terminal.
#ifndef HOLDFAST_EXAMPLES_DEMO_PROGRESS_H_
#define HOLDFAST_EXAMPLES_DEMO_PROGRESS_H_

#include <string>
#include <thread>

#include "stats.h"

namespace demo {

// Shows how a run is doing while it lives: on a terminal in one line that changes, elsewhere with a
// line every few seconds.
class ProgressLine {
 public:
  ProgressLine(std::string label, int requests, const Recorder& recorder);
  ~ProgressLine();

 private:
  void Show() const;

  const std::string label_;
  const int requests_;
  const Recorder& recorder_;
  const bool terminal_;
  std::jthread ticker_;
};

}  // namespace demo

#endif  // HOLDFAST_EXAMPLES_DEMO_PROGRESS_H_
