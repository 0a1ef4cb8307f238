// The objects that a Metrics knows, and their names.
#ifndef HOLDFAST_SRC_METRICS_REGISTRY_H_
#define HOLDFAST_SRC_METRICS_REGISTRY_H_

#include <absl/status/status.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/call/collector.h"
#include "holdfast/metrics/stack_layout.h"

namespace holdfast::internal {

struct RegisteredObject {
  std::string name_key;
  std::string name;
  std::weak_ptr<const void> object;
  const void* address;  // of the object, for what lives at the same time
  void (*collect)(const void* object, Collector&);
  std::set<std::string> metrics;  // their names, when the object was added
  std::chrono::system_clock::time_point since;
};

// Thread-safe. Nothing of an object is called while the mutex is held, and none is destroyed: what
// an object does then may lead back to the registry.
class Registry {
 public:
  absl::Status AddStack(std::string_view name, const CollectedObjects& objects,
                        std::chrono::system_clock::time_point now);
  absl::Status AddObject(std::string_view name, const CollectedObjects& object,
                         std::chrono::system_clock::time_point now);

  // In the order in which they were added; some may be destroyed by now.
  std::vector<std::shared_ptr<const RegisteredObject>> Objects() const;

  // The same of the stacks, but for those that do not say which policies they have.
  std::vector<StackLayout> Stacks() const;

 private:
  using Describe = std::vector<DescribedPolicy> (*)(const void* object);

  // A stack is there while one of `objects` is.
  struct RegisteredStack {
    std::string name;
    std::vector<std::weak_ptr<const void>> objects = {};
    std::weak_ptr<const void> counters = {};
    Describe describe = nullptr;  // of the counters
  };
  // Kept alive until it is known.
  struct Newcomer {
    std::shared_ptr<const void> alive;
    RegisteredObject object;
  };

  static Newcomer Look(const CollectedObject& object, std::shared_ptr<const void> alive,
                       std::string name, std::chrono::system_clock::time_point now);

  // These need the mutex.
  void ForgetDestroyed();
  const RegisteredObject* Known(const Newcomer& newcomer) const;
  void AddUnlessKnown(const Newcomer& newcomer);
  std::string FreeName(const RegisteredObject& object) const;
  absl::Status CheckStack(const std::string& name, std::span<const Newcomer> newcomers) const;

  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const RegisteredObject>> objects_;
  std::vector<RegisteredStack> stacks_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_REGISTRY_H_
