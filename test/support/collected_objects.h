// What an object, or the objects of a policy, tell a Collector at this moment.
#ifndef HOLDFAST_TEST_SUPPORT_COLLECTED_OBJECTS_H_
#define HOLDFAST_TEST_SUPPORT_COLLECTED_OBJECTS_H_

#include <memory>
#include <string>
#include <vector>

#include "holdfast/call/collector.h"
#include "test/support/collected.h"

namespace holdfast::test {

template <class Policy>
CollectedObjects ObjectsOf(const Policy& policy) {
  CollectedObjects objects;
  policy.Objects(objects);
  return objects;
}

inline Collected CollectedOf(const CollectedObjects& objects) {
  Collected collected;
  for (const CollectedObject& one : objects.all()) {
    const std::shared_ptr<const void> object = one.object.lock();
    if (object != nullptr) one.collect(object.get(), collected);
  }
  return collected;
}

template <Collectable Object>
Collected CollectedOf(const Object& object) {
  Collected collected;
  object.Collect(collected);
  return collected;
}

// "<kind> <name>" of each.
inline std::vector<std::string> TitlesOf(const CollectedObjects& objects) {
  std::vector<std::string> titles;
  for (const CollectedObject& one : objects.all()) {
    const std::shared_ptr<const void> object = one.object.lock();
    titles.push_back(std::string(one.kind).append(" ").append(one.name(object.get())));
  }
  return titles;
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_SUPPORT_COLLECTED_OBJECTS_H_
