// A Scenario is a stack, its clients, their service, and a fault of that: all as settings, so that
// it can be made again, made simpler, and said as code.
#ifndef HOLDFAST_TEST_SEARCH_SCENARIO_H_
#define HOLDFAST_TEST_SEARCH_SCENARIO_H_

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "holdfast/base/time.h"
#include "holdfast/testing/server.h"
#include "test/search/fields.h"
#include "test/search/part.h"
#include "test/search/policies.h"

namespace holdfast::search {

struct Clients {
  double rate = 100;  // calls per second in all; closed clients make as many if nothing is wrong
  std::int64_t closed = 0;              // so many, each with one call at a time; 0: open
  Duration patience = Duration::max();  // a call's own deadline, from its beginning
  std::int64_t processes = 1;           // each with policy objects of its own
  std::int64_t keys = 1;                // for keyed policies and caches
  bool priorities = false;              // a tenth is critical, a half low
};

struct Service {
  Duration time = std::chrono::milliseconds(20);  // of a request, on average
  double load = 0.5;                              // without a fault
  int spread = 0;                                 // exponential, constant, log-normal, bimodal
  std::int64_t servers = 1;
  std::int64_t max_queue = 1000;  // of each
  testing::QueueDiscipline discipline = testing::QueueDiscipline::kFifo;
  bool drops_cancelled = false;
};

enum class FaultKind { kDown, kHang, kSlow };

struct Fault {
  FaultKind kind = FaultKind::kDown;
  Duration length = std::chrono::seconds(2);
  double share = 1;         // of the requests; of kSlow all
  double factor = 20;       // of kSlow
  bool one_server = false;  // of several
};

struct Layer {
  const Policy* policy;
  Settings settings;
};

struct Scenario {
  std::uint64_t seed = 1;
  std::vector<Layer> layers;  // outermost first
  Settings clients_settings, service_settings, fault_settings;

  // What the settings come to; Fill() brings it up to date.
  Clients clients;
  Service service;
  Fault fault;

  void Fill();

  std::int64_t workers() const;  // of each server
  double capacity() const;       // requests per second of all servers together
  // The policies of one process, made anew; what they draw is another with another seed. Throws
  // std::invalid_argument for options that don't fit each other.
  Parts MakeParts(std::uint64_t process, std::uint64_t of_trial);
  Parts MakeParts(std::uint64_t process) { return MakeParts(process, seed); }
  Surroundings around(std::uint64_t process, std::uint64_t of_trial) const;
  Surroundings around(std::uint64_t process) const { return around(process, seed); }
};

Scenario Draw(std::uint64_t seed);

// The names of the policies, outermost first.
std::string ShapeOf(const Scenario& scenario);

}  // namespace holdfast::search

#endif  // HOLDFAST_TEST_SEARCH_SCENARIO_H_
