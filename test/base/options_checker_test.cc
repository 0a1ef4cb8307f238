#include "holdfast/base/internal/options_checker.h"

#include <absl/strings/str_cat.h>

#include <limits>
#include <string>

#include "test/support/catch.h"

namespace holdfast::internal::options_checker_test {
namespace {

TEST_CASE("The first condition that does not hold makes the status, whatever comes after it") {
  OptionsChecker check("Semaphore", "orders");
  check(true, "never said");
  CHECK(check.status().ok());
  check(false, "limit must be at least ", 1, ", not ", -0.5);
  check(false, "too late");
  check(absl::DataLossError("too late"));
  check(true, "fine");
  CHECK(check.status() ==
        absl::InvalidArgumentError("Semaphore orders: limit must be at least 1, not -0.5"));
}

TEST_CASE("A message names the object, and its name if it has one") {
  for (const auto& [name, message] :
       {std::pair("", "Cache: no"), std::pair("a b", "Cache a b: no")}) {
    OptionsChecker check("Cache", name);
    check(false, "no");
    CHECK(check.status().message() == message);
  }
}

TEST_CASE("The status of a part counts as it is") {
  OptionsChecker check("Client");
  check(absl::OkStatus());
  CHECK(check.status().ok());
  check(absl::InvalidArgumentError("Retry: max_attempts must be >= 1, not 0"));
  check(false, "too late");
  CHECK(check.status().message() == "Retry: max_attempts must be >= 1, not 0");
}

TEST_CASE("A condition on NaN fails, and the message says nan") {
  const double share = std::numeric_limits<double>::quiet_NaN();
  OptionsChecker check("Rule");
  check(share >= 0 && share <= 1, "share must be in [0, 1], not ", share);
  CHECK(check.status().message() == "Rule: share must be in [0, 1], not nan");
}

struct Counted {
  int& formatted;
  operator absl::AlphaNum() const { return ++formatted; }  // NOLINT(google-explicit-constructor)
};

TEST_CASE("A sentence is put together for the first failure only") {
  int formatted = 0;
  const Counted part{formatted};
  OptionsChecker check("Pool");
  check(true, "number ", part);
  CHECK(formatted == 0);
  check(false, "number ", part);
  check(false, "number ", part);
  CHECK(formatted == 1);
  CHECK(check.status().message() == "Pool: number 1");
}

}  // namespace
}  // namespace holdfast::internal::options_checker_test
