// Interrupts exchanges that have not ended at their deadline: cpp-httplib has timeouts for each
// step, and none for all of them together.
#ifndef HOLDFAST_SRC_HTTP_WATCHDOG_H_
#define HOLDFAST_SRC_HTTP_WATCHDOG_H_

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "holdfast/base/time.h"
#include "src/http/connection.h"

namespace holdfast::http::internal {

// Thread-safe. Its thread starts with the first watch and ends with the Watchdog, which must
// outlive its watches.
class Watchdog {
 public:
  Watchdog() = default;
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();

  // While it lives, `connection` is interrupted when `deadline` (of the steady clock; max: none)
  // has passed. After it nothing is: the next exchange on that connection is safe.
  class Watch {
   public:
    Watch(Watchdog& watchdog, TimePoint deadline, Connection& connection);
    Watch(const Watch&) = delete;
    Watch& operator=(const Watch&) = delete;
    ~Watch();

   private:
    Watchdog& watchdog_;
    const std::pair<TimePoint, Connection*> entry_;
  };

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::set<std::pair<TimePoint, Connection*>> watched_;
  // When the thread will look again. A watch that ends leaves it as it is, so that calls one after
  // the other don't wake the thread each.
  TimePoint sleeps_until_ = TimePoint::max();
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_WATCHDOG_H_
