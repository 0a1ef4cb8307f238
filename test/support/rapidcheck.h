#ifndef HOLDFAST_TEST_SUPPORT_RAPIDCHECK_H_
#define HOLDFAST_TEST_SUPPORT_RAPIDCHECK_H_

#include <rapidcheck.h>

#include <iostream>
#include <sstream>
#include <utility>

#include "test/support/catch.h"

namespace holdfast::test {

// Checks a property within a test case, for `times` as many inputs as rapidcheck would. What fails
// is printed shrunk, with the seed that makes it again (RC_PARAMS="seed=...").
template <class F>
void Property(int times, F&& property) {
  rc::detail::TestParams params = rc::detail::configuration().testParams;
  params.maxSuccess *= times;
  const auto result =
      rc::detail::checkTestable(std::forward<F>(property), rc::detail::TestMetadata(), params);
  std::ostringstream text;
  rc::detail::printResultMessage(result, text);
  INFO("seed=" << params.seed << "\n" << text.str());
  CHECK(result.template is<rc::detail::SuccessResult>());
}

template <class F>
void Property(F&& property) {
  Property(1, std::forward<F>(property));
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_SUPPORT_RAPIDCHECK_H_
