#include "holdfast/cache/result_cache.h"

#include <absl/status/statusor.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "holdfast/cache/cache.h"
#include "test/support/catch.h"

namespace holdfast::result_cache_test {
namespace {

using namespace std::chrono_literals;

using Result = absl::StatusOr<std::string>;
using Results = ResultCache<Result>;

TEST_CASE("a cache by itself is a map that forgets") {
  Results cache({.ttl = 10s});
  const TimePoint now{1h};
  CHECK(cache.GetAt(now, "a") == std::nullopt);
  cache.PutAt(now, "a", "one");
  CHECK(cache.GetAt(now + 9s, "a")->value() == "one");
  cache.PutAt(now, "a", "two");
  CHECK(cache.GetAt(now, "a")->value() == "two");
  CHECK(cache.GetAt(now + 10s, "a") == std::nullopt);
  cache.Erase("a");
  CHECK(cache.stats().entries == 0);
  cache.PutAt(now, "b", "three");
  cache.Clear();
  CHECK(cache.GetAt(now, "b") == std::nullopt);
  CHECK(cache.stats().bytes == 0);
}

// A result that looks into its cache when it is destroyed.
struct Curious {
  std::function<void()> look;
  ~Curious() {
    if (look) look();
  }
};

TEST_CASE("no result is destroyed under the mutex") {
  using Pointers = ResultCache<absl::StatusOr<std::shared_ptr<Curious>>>;
  Pointers cache({.ttl = 10s, .max_entries = 1});
  int looked = 0;
  const auto put = [&](std::string_view key) {
    cache.PutAt(TimePoint{}, key, std::make_shared<Curious>([&] {
                  ++looked;
                  (void)cache.stats();
                }));
  };
  put("a");
  put("a");
  CHECK(looked == 1);
  put("b");
  CHECK(looked == 2);
  cache.Erase("b");
  CHECK(looked == 3);
  put("c");
  cache.Clear();
  CHECK(looked == 4);
}

TEST_CASE("a cache by itself keeps what is no result as well") {
  ResultCache<int> cache({.ttl = 10s});
  cache.PutAt(TimePoint{}, "a", 7);
  CHECK(cache.GetAt(TimePoint{}, "a") == 7);
}

TEST_CASE("a cache holds 100 MiB by default, whatever its entries are") {
  Results cache({.ttl = 10s, .size_of = [](const Result&) { return std::int64_t{30} << 20; }});
  for (const std::string_view key : {"a", "b", "c", "d"}) cache.PutAt(TimePoint{}, key, "large");
  CHECK(cache.stats().entries == 3);
  CHECK(cache.GetAt(TimePoint{}, "a") == std::nullopt);
}

TEST_CASE("a cache refuses options that make no sense") {
  CHECK_THROWS_WITH(Results({.name = "x"}), "ResultCache x: ttl must be > 0; it has no default");
  CHECK_THROWS_WITH(Cache<Result>({}), "ResultCache: ttl must be > 0; it has no default");
  CHECK_NOTHROW(Cache<Result>({.ttl = 1s}));
  CHECK_THROWS_WITH(Cache<Result>({.ttl = 1s}, {.max_wait = -1s}), "Cache: max_wait must be >= 0");
  CHECK_THROWS_AS(Results({.ttl = 1s, .negative_ttl = -1s}), std::invalid_argument);
  CHECK_THROWS_AS(Results({.ttl = 1s, .stale_while_revalidate = -1s}), std::invalid_argument);
  CHECK_THROWS_AS(Results({.ttl = 1s, .stale_if_error = -1s}), std::invalid_argument);
  CHECK_THROWS_AS(Results({.ttl = 1s, .max_entries = 0}), std::invalid_argument);
  CHECK_THROWS_AS(Results({.ttl = 1s, .max_bytes = -1}), std::invalid_argument);
  CHECK_THROWS_AS(Cache<Result>(std::shared_ptr<Results>()), std::invalid_argument);
}

}  // namespace
}  // namespace holdfast::result_cache_test
