// Closes the idle connections of all pools at their time.
#ifndef HOLDFAST_SRC_HTTP_HOUSEKEEPER_H_
#define HOLDFAST_SRC_HTTP_HOUSEKEEPER_H_

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>

#include "holdfast/base/time.h"

namespace holdfast::http::internal {

// What has something to tidy up from time to time.
class Tidied {
 public:
  // Called by the housekeeper's thread. Says when there is something to do again; max: not until it
  // says so by Housekeeper::Visit. Must not throw.
  virtual TimePoint TidyUp(TimePoint now) noexcept = 0;

 protected:
  ~Tidied() = default;
};

// One thread for all of a process, which ends when it has nobody to visit. Thread-safe.
class Housekeeper {
 public:
  // The one of this process; a child of fork() has another. It is never destroyed.
  static Housekeeper& OfProcess();

  // Visits whom it is, if it is still there, at that time. Throws std::system_error if there is no
  // thread, and std::bad_alloc.
  void Visit(std::weak_ptr<Tidied> whom, TimePoint at);

  std::shared_ptr<Housekeeper> MakeAnew() const { return std::make_shared<Housekeeper>(); }
  void Abandon() noexcept {}

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<TimePoint, std::weak_ptr<Tidied>> visits_;
  bool running_ = false;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_HOUSEKEEPER_H_
