#ifndef HOLDFAST_TEST_SUPPORT_RAPIDCHECK_H_
#define HOLDFAST_TEST_SUPPORT_RAPIDCHECK_H_

#include <rapidcheck.h>

#include <iostream>
#include <sstream>
#include <utility>

#include "test/support/catch.h"

namespace holdfast::test {

// Checks a property within a test case; what fails is printed shrunk, with the seed that makes it
// again (RC_PARAMS="reproduce=...").
template <class F>
void Property(F&& property) {
  const auto result = rc::detail::checkTestable(std::forward<F>(property));
  std::ostringstream text;
  rc::detail::printResultMessage(result, text);
  INFO(text.str());
  CHECK(result.template is<rc::detail::SuccessResult>());
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TEST_SUPPORT_RAPIDCHECK_H_
