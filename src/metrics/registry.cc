#include "src/metrics/registry.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "holdfast/base/internal/utf8.h"
#include "src/metrics/object_series.h"

namespace holdfast::internal {
namespace {

constexpr std::string_view kStackKey = "holdfast.stack";

// Objects of one type do, even if one of them had nothing to tell when it was added.
bool MayTellTheSame(const RegisteredObject& a, const RegisteredObject& b) {
  return a.collect == b.collect ||
         std::any_of(a.metrics.begin(), a.metrics.end(),
                     [&b](const std::string& metric) { return b.metrics.contains(metric); });
}

bool Destroyed(const std::weak_ptr<const void>& object) { return object.expired(); }

std::string NameInStack(const std::string& stack, const CollectedObject& object,
                        const void* address) {
  if (object.name_key == kStackKey) return stack;
  std::string own = WellFormedUtf8(object.name(address));
  return own.empty() ? absl::StrCat(stack, "/", WellFormedUtf8(object.kind)) : own;
}

// The ones of `known` that the policy uses, by their addresses: the policy keeps them alive.
PolicyLayout LayoutOf(const DescribedPolicy& policy,
                      std::span<const std::shared_ptr<const RegisteredObject>> known) {
  PolicyLayout layout = {.policy = WellFormedUtf8(policy.policy),
                         .name = WellFormedUtf8(policy.name),
                         .settings = WellFormedUtf8(policy.settings)};
  for (const std::weak_ptr<const void>& object : policy.objects) {
    const std::shared_ptr<const void> alive = object.lock();
    for (const auto& one : known) {
      if (alive == nullptr || one->address != alive.get() || Destroyed(one->object)) continue;
      layout.objects.push_back(
          {.name = one->name, .metrics = {one->metrics.begin(), one->metrics.end()}});
      break;
    }
  }
  return layout;
}

}  // namespace

absl::Status Registry::AddStack(std::string_view name, const CollectedObjects& objects,
                                std::chrono::system_clock::time_point now) {
  RegisteredStack stack = {.name = WellFormedUtf8(name)};
  std::vector<Newcomer> newcomers;
  bool counts_itself = false;
  for (const CollectedObject& object : objects.all()) {
    std::shared_ptr<const void> alive = object.object.lock();
    if (alive == nullptr) continue;
    counts_itself = counts_itself || object.name_key == kStackKey;
    if (object.describe != nullptr) {
      stack.counters = object.object;
      stack.describe = object.describe;
    }
    std::string name_there = NameInStack(stack.name, object, alive.get());
    newcomers.push_back(Look(object, std::move(alive), std::move(name_there), now));
  }
  const std::lock_guard lock(mutex_);
  ForgetDestroyed();
  if (absl::Status status = CheckStack(stack.name, newcomers); !status.ok()) return status;
  for (const Newcomer& newcomer : newcomers) {
    AddUnlessKnown(newcomer);
    if (!counts_itself || newcomer.object.name_key == kStackKey) {
      stack.objects.push_back(newcomer.object.object);
    }
  }
  stacks_.push_back(std::move(stack));
  return absl::OkStatus();
}

absl::Status Registry::AddObject(std::string_view name, const CollectedObjects& object,
                                 std::chrono::system_clock::time_point now) {
  const CollectedObject& only = object.all().front();
  std::shared_ptr<const void> alive = only.object.lock();
  if (alive == nullptr) return absl::InvalidArgumentError("Metrics: the object is null");
  if (name.empty()) return absl::InvalidArgumentError("Metrics: the name of an object is empty");
  const Newcomer newcomer = Look(only, std::move(alive), WellFormedUtf8(name), now);
  const std::lock_guard lock(mutex_);
  ForgetDestroyed();
  AddUnlessKnown(newcomer);
  return absl::OkStatus();
}

std::vector<std::shared_ptr<const RegisteredObject>> Registry::Objects() const {
  const std::lock_guard lock(mutex_);
  return objects_;
}

std::vector<StackLayout> Registry::Stacks() const {
  std::unique_lock lock(mutex_);
  const std::vector<RegisteredStack> stacks = stacks_;
  const auto known = objects_;
  lock.unlock();
  std::vector<StackLayout> layouts;
  for (const RegisteredStack& stack : stacks) {
    const std::shared_ptr<const void> counters = stack.counters.lock();
    if (counters == nullptr) continue;
    StackLayout layout = {.name = stack.name};
    for (const DescribedPolicy& policy : stack.describe(counters.get())) {
      layout.policies.push_back(LayoutOf(policy, known));
    }
    layouts.push_back(std::move(layout));
  }
  return layouts;
}

Registry::Newcomer Registry::Look(const CollectedObject& object, std::shared_ptr<const void> alive,
                                  std::string name, std::chrono::system_clock::time_point now) {
  ObjectSeries series(object.name_key, name);
  object.collect(alive.get(), series);
  std::set<std::string> metrics;
  for (ToldSeries& told : series.told()) metrics.insert(std::move(told.name));
  const void* const address = alive.get();
  return {.alive = std::move(alive),
          .object = {.name_key = std::string(object.name_key),
                     .name = std::move(name),
                     .object = object.object,
                     .address = address,
                     .collect = object.collect,
                     .metrics = std::move(metrics),
                     .since = now}};
}

void Registry::ForgetDestroyed() {
  std::erase_if(objects_, [](const auto& known) { return Destroyed(known->object); });
  std::erase_if(stacks_, [](const RegisteredStack& stack) {
    return std::all_of(stack.objects.begin(), stack.objects.end(), Destroyed);
  });
}

const RegisteredObject* Registry::Known(const Newcomer& newcomer) const {
  // Not by lock(), after which the mutex could be held by whoever destroys the object.
  const auto found = std::find_if(objects_.begin(), objects_.end(), [&newcomer](const auto& known) {
    return known->address == newcomer.alive.get() && !Destroyed(known->object);
  });
  return found == objects_.end() ? nullptr : found->get();
}

void Registry::AddUnlessKnown(const Newcomer& newcomer) {
  if (Known(newcomer) != nullptr) return;
  auto object = std::make_shared<RegisteredObject>(newcomer.object);
  object->name = FreeName(*object);
  objects_.push_back(std::move(object));
}

std::string Registry::FreeName(const RegisteredObject& object) const {
  const auto taken = [&](const std::string& name) {
    return std::any_of(objects_.begin(), objects_.end(), [&](const auto& known) {
      return known->name == name && known->name_key == object.name_key &&
             MayTellTheSame(*known, object);
    });
  };
  std::string name = object.name;
  for (int number = 2; taken(name); ++number) name = absl::StrCat(object.name, "#", number);
  return name;
}

absl::Status Registry::CheckStack(const std::string& name,
                                  std::span<const Newcomer> newcomers) const {
  if (name.empty()) return absl::InvalidArgumentError("Metrics: the name of a stack is empty");
  if (std::any_of(stacks_.begin(), stacks_.end(),
                  [&name](const auto& s) { return s.name == name; })) {
    return absl::InvalidArgumentError(
        absl::StrCat("Metrics: there is a stack of the name \"", name, "\" already"));
  }
  for (const Newcomer& newcomer : newcomers) {
    const RegisteredObject* known = Known(newcomer);
    if (known != nullptr && newcomer.object.name_key == kStackKey) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Metrics: the stack \"", name, "\" is there already, as \"", known->name, "\""));
    }
  }
  return absl::OkStatus();
}

}  // namespace holdfast::internal
