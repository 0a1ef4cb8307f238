// Closes the idle connections of all pools at their time.
#ifndef HOLDFAST_SRC_HTTP_HOUSEKEEPER_H_
#define HOLDFAST_SRC_HTTP_HOUSEKEEPER_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

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

 private:
  friend class Housekeeper;
  // When, and a number, since several may be due at once. No iterator: the visit to one that is
  // being destroyed may be gone before that one asks to be forgotten.
  using Visit = std::pair<TimePoint, std::uint64_t>;
  std::optional<Visit> visit_;  // guarded by the housekeeper
};

// One thread for all of a process, which ends when it has nobody to visit. Thread-safe.
class Housekeeper {
 public:
  // The one of this process; a child of fork() has another. It is never destroyed. At exit it is
  // stopped, before OpenSSL ends itself, which those that are visited use.
  static Housekeeper& OfProcess();

  Housekeeper() = default;
  Housekeeper(const Housekeeper&) = delete;
  Housekeeper& operator=(const Housekeeper&) = delete;
  ~Housekeeper() { Stop(); }

  // Visits whom it is, if it is still there, at that time, or earlier if it is to be visited
  // earlier. Throws std::system_error if there is no thread, and std::bad_alloc.
  void Visit(const std::shared_ptr<Tidied>& whom, TimePoint at);

  // Whom it is is not to be visited any more.
  void Forget(Tidied& whom) noexcept;

  // Waits for the visit that is being made, and makes no other.
  void Stop() noexcept;

  // How many are to be made; one for each of those that are to be visited.
  std::size_t visits() const;

  std::shared_ptr<Housekeeper> MakeAnew() const { return std::make_shared<Housekeeper>(); }
  void Abandon() noexcept {}

 private:
  void Start();
  void Run();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Tidied::Visit, std::weak_ptr<Tidied>> visits_;
  std::uint64_t number_ = 0;
  bool running_ = false;
  bool stopped_ = false;
  std::thread thread_;  // where it is not running, it has ended or is about to
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_HOUSEKEEPER_H_
