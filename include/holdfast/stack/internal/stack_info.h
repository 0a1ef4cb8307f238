// What Stack::Describe() and Validate(stack) read and say.
#ifndef HOLDFAST_STACK_INTERNAL_STACK_INFO_H_
#define HOLDFAST_STACK_INTERNAL_STACK_INFO_H_

#include <absl/status/status.h>

#include <concepts>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "holdfast/base/internal/changes.h"
#include "holdfast/call/collector.h"
#include "holdfast/call/internal/stack_meter.h"
#include "holdfast/call/policy.h"
#include "holdfast/call/policy_info.h"

namespace holdfast::internal {

struct NamedInfo {
  std::string_view name;  // of the type of policy
  PolicyInfo info;
};

template <class P>
NamedInfo InfoOf(const P& policy, const Changes& changes = {}) {
  if constexpr (requires {
                  { policy.Info(changes) } -> std::same_as<PolicyInfo>;
                }) {
    return {.name = PolicyName<P>(), .info = policy.Info(changes)};
  } else if constexpr (requires {
                         { policy.Info() } -> std::same_as<PolicyInfo>;
                       }) {
    return {.name = PolicyName<P>(), .info = policy.Info()};
  } else {
    return {.name = PolicyName<P>(), .info = {}};
  }
}

// Outermost first, as are all of these; as they are after the changes.
template <class... P>
std::vector<NamedInfo> InfoOfAll(const std::tuple<P...>& policies, const Changes& changes) {
  return std::apply(
      [&](const P&... policy) { return std::vector<NamedInfo>{InfoOf(policy, changes)...}; },
      policies);
}

template <class P>
void TellObjects(const P& policy, CollectedObjects& objects) {
  if constexpr (requires { policy.Objects(objects); }) policy.Objects(objects);
}

template <class P>
DescribedPolicy DescriptionOf(const P& policy) {
  NamedInfo named = InfoOf(policy);
  CollectedObjects objects;
  TellObjects(policy, objects);
  DescribedPolicy described;
  described.policy = named.name;
  described.settings = std::move(named.info.settings);
  for (const CollectedObject& object : objects.all()) described.objects.push_back(object.object);
  return described;
}

inline DescribedPolicy DescriptionOf(const DescribedPolicy& described) { return described; }

// What to describe a policy by later: a copy, which shares its objects. One with a pool of threads
// is described at once: what the pool runs may hold the counters, and so must not own the pool,
// whose destructor waits for it.
template <class P>
auto ToDescribe(const P& policy) {
  if constexpr (requires { policy.pool(); }) {
    return DescriptionOf(policy);
  } else {
    return policy;
  }
}

template <class... P>
StackMeter::Description DescriptionOfAll(const std::tuple<P...>& policies) {
  auto kept =
      std::apply([](const P&... policy) { return std::tuple(ToDescribe(policy)...); }, policies);
  return [kept = std::make_shared<const decltype(kept)>(std::move(kept))] {
    return std::apply(
        [](const auto&... policy) {
          return std::vector<DescribedPolicy>{DescriptionOf(policy)...};
        },
        *kept);
  };
}

// The counters of the stack, and the objects that the policies use; one that several use is told of
// more than once.
template <class... P>
CollectedObjects ObjectsOfAll(const std::tuple<P...>& policies,
                              const std::shared_ptr<StackMeter>& meter) {
  if (!meter->described()) meter->DescribeBy(DescriptionOfAll(policies));
  CollectedObjects objects;
  objects.AddStack(meter);
  std::apply([&](const P&... policy) { (TellObjects(policy, objects), ...); }, policies);
  return objects;
}

// The type of the policy, and the name of the first object that it uses.
template <class P>
PolicyLabel LabelOf(const P& policy) {
  CollectedObjects objects;
  TellObjects(policy, objects);
  return {.policy = PolicyName<P>(), .name = objects.NameOfFirst()};
}

template <class... P>
std::shared_ptr<StackMeter> MeterFor(const std::tuple<P...>& policies) {
  return std::apply(
      [](const P&... policy) {
        return std::make_shared<StackMeter>(std::vector<PolicyLabel>{LabelOf(policy)...},
                                            (kMultiplies<P> || ...));
      },
      policies);
}

std::string DescribeStack(std::span<const NamedInfo> stack);
absl::Status ValidateStack(std::span<const NamedInfo> stack);

}  // namespace holdfast::internal

#endif  // HOLDFAST_STACK_INTERNAL_STACK_INFO_H_
