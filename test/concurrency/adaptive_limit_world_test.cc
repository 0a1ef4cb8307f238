// Adaptive limits against a modelled service, in virtual time: how near they come to what it can
// work on at once, and that they stay there.
#include <chrono>
#include <cstdint>
#include <cstdlib>

#include "test/support/adaptive_scene.h"
#include "test/support/catch.h"

namespace holdfast::adaptive_limit_world_test {
namespace {

using namespace std::chrono_literals;
using test::AdaptiveScene;
using testing::Distribution;

// What a limit is to be, of `workers` requests that the service works on at once.
struct Case {
  const char* name;
  AdaptiveLimiter::Options options;
  std::int64_t max_queue = 1'000'000;  // of the service
  double factor = 1;
  double plus = 0;

  double Ideal(std::int64_t workers) const { return factor * static_cast<double>(workers) + plus; }
};

// Vegas and Gradient2 stay a little above the workers, so that none is idle; Gradient2 as published
// lets the latency be half as long again, and so its limit is that much higher. Aimd does not look
// at latencies, but finds where the service begins to refuse, and goes up and down by a tenth.
Case AnyCase() {
  return GENERATE(Case{"Vegas", {.algorithm = Vegas{}}},
                  Case{"Gradient2 with a tolerance of 1.05",
                       {.algorithm = Gradient2{.tolerance = 1.05}, .minimum = 1, .maximum = 1000}},
                  Case{"Gradient2 as published",
                       {.algorithm = Gradient2{}, .minimum = 1, .maximum = 1000},
                       1'000'000,
                       1.5,
                       4},
                  Case{"Aimd", {.algorithm = Aimd{}, .minimum = 1, .maximum = 1000}, 4});
}

const Distribution kService = Distribution::LogNormal(40ms, 150ms);  // 50 ms in the mean

// In the thirty seconds from then.
void CheckNear(const AdaptiveScene& scene, Duration from, double ideal) {
  const double mean = scene.MeanLimit(from, from + 30s);
  INFO("from " << from / 1s << " s: limit " << mean << ", ideal " << ideal);
  CHECK(mean > 0.8 * ideal);
  CHECK(mean < 1.2 * ideal);
}

void CheckSteps(const Case& chosen, Distribution service) {
  INFO(chosen.name);
  AdaptiveScene scene(1, chosen.options, service, 3000);
  scene.server.max_queue = chosen.max_queue;
  scene.server.workers = 100;
  scene.world.At(60s, [&] { scene.server.workers = 60; });
  scene.world.At(120s, [&] { scene.server.workers = 120; });
  scene.world.At(180s, [&] { scene.server.factor = 2; });
  scene.world.At(240s, [&] { scene.server.factor = 1; });
  scene.world.RunUntil(300s);
  CheckNear(scene, 30s, chosen.Ideal(100));
  CheckNear(scene, 90s, chosen.Ideal(60));
  CheckNear(scene, 150s, chosen.Ideal(120));
  // The service is slower, but works on as many at once.
  CheckNear(scene, 210s, chosen.Ideal(120));
  CheckNear(scene, 270s, chosen.Ideal(120));
}

TEST_CASE("30 s after a step of capacity or latency the limit is within 20 % of the ideal") {
  CheckSteps(AnyCase(), kService);
}

TEST_CASE("30 s after a step the limit is there also where all calls take the same time") {
  CheckSteps({"Vegas", {.algorithm = Vegas{}}}, Distribution::Constant(50ms));
}

TEST_CASE("a latency that drifts slowly is followed, up and down") {
  const Case chosen = AnyCase();
  INFO(chosen.name);
  AdaptiveScene scene(2, chosen.options, kService, 1500);
  scene.server.max_queue = chosen.max_queue;
  scene.server.workers = 60;
  for (int second = 0; second < 900; ++second) {
    scene.world.At(second * 1s, [&scene, second] {
      scene.server.factor = 1 + (450 - std::abs(second - 450)) / 225.0;  // to 3, and back
    });
  }
  scene.world.RunUntil(900s);
  for (Duration from = 60s; from < 870s; from += 30s) {
    CheckNear(scene, from, chosen.Ideal(60));
  }
}

// In overload all the time: what Netflix's algorithms drift away in.
TEST_CASE("in an hour of overload no limit runs away") {
  const Case chosen = AnyCase();
  INFO(chosen.name);
  AdaptiveScene scene(3, chosen.options, Distribution::LogNormal(160ms, 600ms), 500);
  scene.server.max_queue = chosen.max_queue;
  scene.server.workers = 60;
  scene.world.RunUntil(1h);
  for (Duration from = 1min; from < 60min; from += 1min) {
    CheckNear(scene, from, chosen.Ideal(60));
  }
  CHECK(static_cast<double>(scene.MaxLimit(1min, 1h)) < 1.6 * chosen.Ideal(60));
}

// The first that it sees of the service is its queue: Netflix's take that for its latency.
TEST_CASE("a limit that begins far too high comes down") {
  Case chosen = AnyCase();
  INFO(chosen.name);
  chosen.options.initial = 500;
  AdaptiveScene scene(4, chosen.options, kService, 3000);
  scene.server.max_queue = chosen.max_queue;
  scene.server.workers = 60;
  scene.world.RunUntil(240s);
  CheckNear(scene, 180s, chosen.Ideal(60));
}

TEST_CASE("the service is kept busy while the limit is held down to measure") {
  AdaptiveScene scene(5, {.algorithm = Vegas{}}, Distribution::Constant(50ms), 3000);
  scene.server.workers = 100;
  scene.world.RunUntil(30s);
  const std::int64_t before = scene.server.served;
  scene.world.RunUntil(90s);
  const double possible = 60 / 0.05 * 100;
  CHECK(static_cast<double>(scene.server.served - before) > 0.97 * possible);
}

}  // namespace
}  // namespace holdfast::adaptive_limit_world_test
