#ifndef HOLDFAST_TEST_SUPPORT_CATCH_H_
#define HOLDFAST_TEST_SUPPORT_CATCH_H_

// Catch2, whichever it is: Debian 12 has version 2, most others 3. What moved between the two has
// one name here, in holdfast::test.

#if __has_include(<catch2/catch_all.hpp>)

#include <catch2/catch_all.hpp>

namespace holdfast::test {

using Catch::Approx;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

}  // namespace holdfast::test

#else

#include <catch2/catch.hpp>
#include <string>

namespace holdfast::test {

using Catch::WithinAbs;
using Catch::WithinRel;
using Catch::Detail::Approx;
using Catch::Matchers::StartsWith;

inline auto ContainsSubstring(const std::string& text) { return Catch::Matchers::Contains(text); }

}  // namespace holdfast::test

#endif

#endif  // HOLDFAST_TEST_SUPPORT_CATCH_H_
