// Many clients, changes and stops at once, for ThreadSanitizer.
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "holdfast/metrics_http/metrics_server.h"
#include "test/metrics_http/raw_client.h"
#include "test/metrics_http/scene.h"
#include "test/support/catch.h"
#include "test/support/threads.h"

namespace holdfast::metrics_server_stress_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using test::RawClient;
using test::Scene;

TEST_CASE("clients come and go while calls run and stacks change") {
  Scene scene({.max_connections = 6, .max_streams = 2, .refresh = 100ms});
  std::atomic<int> answered{0};
  test::InThreads(6, [&](int thread) {
    for (int i = 0; i < 30; ++i) {
      if (thread == 0) {
        scene.Calls(2, 1);
      } else if (thread == 1) {
        const Stack<Timeout<>> more{Timeout(1s)};
        if (scene.metrics.Add("more", more).ok()) (void)scene.metrics.Stacks();
      } else {
        RawClient client(scene.port());
        const bool streams = i % 5 == thread - 2;
        answered += client.Get(streams ? "/events" : "/metrics").status == 0 ? 0 : 1;
        if (streams) (void)client.ReadEvent();
        if (i % 7 == 0) client.Send("GET /half");
      }
    }
  });
  CHECK(answered > 0);
  CHECK(RawClient(scene.port()).Get("/healthz").status == 200);
}

TEST_CASE("a server is stopped while it answers, from several threads") {
  for (int round = 0; round < 10; ++round) {
    Scene scene({.refresh = 100ms});
    test::InThreads(4, [&](int thread) {
      if (thread < 2) {
        scene.server->Stop();
        return;
      }
      RawClient client(scene.port());
      while (client.Get("/snapshot.json").status == 200) {
      }
    });
  }
}

}  // namespace
}  // namespace holdfast::metrics_server_stress_test
