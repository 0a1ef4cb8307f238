// A StackLayout says which policies a stack has, in their order, and which series are theirs.
//
//   for (const holdfast::StackLayout& layout : metrics.Stacks()) {
//     for (const holdfast::PolicyLayout& policy : layout.policies) {
//       std::cout << layout.name << ": " << policy.policy << " " << policy.settings << "\n";
//     }
//   }
#ifndef HOLDFAST_METRICS_STACK_LAYOUT_H_
#define HOLDFAST_METRICS_STACK_LAYOUT_H_

#include <string>
#include <vector>

namespace holdfast {

struct ObjectLayout {
  std::string name = {};                  // holdfast.name of its series
  std::vector<std::string> metrics = {};  // those that it told when it was added, by their names
};

struct PolicyLayout {
  std::string policy = {};    // "Retry": holdfast.policy of what the stack counts for the policy
  std::string name = {};      // holdfast.name of that; may be empty
  std::string settings = {};  // the present ones, as Stack::Describe() has them; may be empty
  std::vector<ObjectLayout> objects = {};
};

struct StackLayout {
  std::string name = {};                    // holdfast.stack of its series
  std::vector<PolicyLayout> policies = {};  // outermost first
};

}  // namespace holdfast

#endif  // HOLDFAST_METRICS_STACK_LAYOUT_H_
