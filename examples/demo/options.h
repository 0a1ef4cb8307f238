// The demo's command line.
#ifndef HOLDFAST_EXAMPLES_DEMO_OPTIONS_H_
#define HOLDFAST_EXAMPLES_DEMO_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>

namespace demo {

struct Url {
  std::string origin;  // http://host:port, as a Transport takes it
  std::string path;    // with a leading slash
};

struct Options {
  std::optional<Url> url;  // a real server; without one, the demo brings its own
  int requests = 2000;
  int concurrency = 64;  // calls at once: a thread each
  double rate = 160;     // arrivals per second
  std::uint64_t seed = 1;
  std::string output = "holdfast-demo.svg";
  std::optional<int> serve;  // the page, on that port of loopback; 0: a free one
};

// Reads `options` from the command line. Returns an exit status if the program is done: it has
// printed help or what is wrong with an argument.
std::optional<int> ParseOptions(int argc, char** argv, Options& options);

}  // namespace demo

#endif  // HOLDFAST_EXAMPLES_DEMO_OPTIONS_H_
