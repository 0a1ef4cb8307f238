// Runs the same load on a failing server through a plain client and through a Holdfast stack, and
// compares both runs.
#include <absl/strings/str_format.h>

#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <list>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "clients.h"
#include "dashboard.h"
#include "examples/support/interrupt.h"
#include "load.h"
#include "options.h"
#include "progress.h"
#include "script.h"
#include "server.h"
#include "stats.h"
#include "table.h"
#include "timeline.h"

namespace demo {
namespace {

using namespace std::chrono_literals;

constexpr int kInterrupted = 130;  // as a shell reports SIGINT

// What both runs share. The recorders outlive what the dashboard keeps.
struct Session {
  const Options& options;
  std::stop_token stop;
  std::list<Recorder> recorders = {};
  std::optional<Dashboard> dashboard = {};

  Dashboard* page() { return dashboard ? &*dashboard : nullptr; }
};

// One run of one client, against a server of its own unless there is a real one.
template <class MakeClient>
Run RunOnce(const std::string& client, Session& session, const MakeClient& make_client) {
  const Options& options = session.options;
  // Late enough for all threads to be ready.
  const holdfast::TimePoint began = holdfast::SteadyClock()->Now() + 100ms;
  Recorder& recorder = session.recorders.emplace_back(client, began);
  Script script(options.seed, Span(options));
  std::optional<Server> server;
  // A connection whose client has given up may linger, so there is room for twice the clients.
  if (!options.url) server.emplace(script, began, 2 * options.concurrency + 16);
  {
    const Url url = options.url ? *options.url : Url{.origin = server->origin(), .path = "/"};
    const ProgressLine progress(client, options.requests, recorder);
    RunLoad(options, make_client(url, recorder), recorder, session.stop);
  }
  Run run = std::move(recorder).TakeRun();
  run.scripted = server.has_value();
  run.seen = server ? server->seen() : static_cast<std::int64_t>(run.attempts.size());
  if (server) run.outage = script.outage();
  return run;
}

Run RunPlain(Session& session) {
  const holdfast::Stack<> counting;
  if (session.page() != nullptr) session.page()->Show("plain", counting);
  const auto one_each = [&](const Url& url, Recorder& recorder) {
    return [=, &recorder] { return PlainClient(url, counting, recorder); };
  };
  return RunOnce("plain", session, one_each);
}

Run RunResilient(Session& session) {
  // The demo's own server takes 25 ms when it is well; of a real one nothing is known.
  const Traffic traffic = {.rate = session.options.rate,
                           .attempt_timeout = session.options.url ? 2s : 300ms};
  const auto shared = [&](const Url& url, Recorder& recorder) {
    return [send = ResilientClient(url, traffic, recorder, session.page())] { return send; };
  };
  return RunOnce("resilient", session, shared);
}

int Main(const Options& options) {
  std::signal(SIGPIPE, SIG_IGN);  // a broken connection is a result here, not the end
  const support::Interrupt interrupt;
  const std::stop_token stop = interrupt.token();
  Session session = {.options = options, .stop = stop};
  if (options.serve) {
    session.dashboard.emplace(*options.serve);
    std::cout << "Page: " << session.dashboard->url() << '\n' << std::flush;
  }

  std::cout << absl::StrFormat(
      "%d requests at %g/s, through each client, to %s\n", options.requests, options.rate,
      options.url ? options.url->origin + options.url->path : "a failing server on loopback");
  const Run plain = RunPlain(session);
  const Run resilient = stop.stop_requested() ? Run() : RunResilient(session);
  if (stop.stop_requested()) {
    std::cerr << "demo: interrupted\n";
    return kInterrupted;
  }

  std::cout << '\n';
  PrintTable(std::cout, plain, resilient);
  const absl::Status drawn = DrawTimeline(options.output, plain, resilient);
  std::cout << '\n'
            << (drawn.ok() ? "Timeline: " + options.output
                           : "No timeline: " + std::string(drawn.message()))
            << '\n';
  if (session.dashboard) {
    std::cout << "The page stays open until Ctrl-C: " << session.dashboard->url() << '\n'
              << std::flush;
    Dashboard::WaitFor(stop);
  }
  return drawn.ok() || absl::IsNotFound(drawn) ? 0 : 1;
}

}  // namespace
}  // namespace demo

int main(int argc, char** argv) {
  demo::Options options;
  if (const std::optional<int> status = demo::ParseOptions(argc, argv, options)) return *status;
  try {
    return demo::Main(options);
  } catch (const std::exception& error) {
    std::cerr << "demo: " << error.what() << '\n';
    return 1;
  }
}
