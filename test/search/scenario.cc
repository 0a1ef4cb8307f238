#include "test/search/scenario.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "holdfast/stack/internal/stack_info.h"

namespace holdfast::search {
namespace {

using namespace std::chrono_literals;
using testing::QueueDiscipline;
using testing::Random;

double Seconds(Duration d) { return static_cast<double>(d.count()) * 1e-9; }
Duration OfSeconds(double s) { return Duration(static_cast<Duration::rep>(s * 1e9)); }

void FillClients(Fields& f, Clients& c, Duration service) {
  f.Number("rate", c.rate, 2, 1200, 1);
  const double in_service = c.rate * Seconds(service);
  f.Count("closed", c.closed, std::max(1.0, std::ceil(in_service * 1.3)),
          std::max(4.0, std::ceil(in_service * 20)), 0.35);
  f.Time("patience", c.patience, service * 4, service * 400, 0.3);
  f.Count("processes", c.processes, 1, 4, 0.25);
  f.Count("keys", c.keys, 1, 8, 0.25);
  f.Pick("priorities", c.priorities, {{true, "true"}}, 0.15);
}

void FillService(Fields& f, Service& s) {
  f.Time("time", s.time, 2ms, 300ms, 1);
  f.Number("load", s.load, 0.2, 0.85, 1);
  f.Pick("spread", s.spread, {{1, "constant"}, {2, "log-normal"}, {3, "bimodal"}}, 0.5);
  f.Count("servers", s.servers, 1, 5, 0.25);
  f.Count("max_queue", s.max_queue, 5, 3000, 0.7);
  f.Pick("discipline", s.discipline,
         {{QueueDiscipline::kLifo, "kLifo"},
          {QueueDiscipline::kRandom, "kRandom"},
          {QueueDiscipline::kCoDel, "kCoDel"}},
         0.3);
  f.Pick("drops_cancelled", s.drops_cancelled, {{true, "true"}}, 0.4);
}

void FillFault(Fields& f, Fault& fault, double rate) {
  f.Pick("kind", fault.kind, {{FaultKind::kHang, "hang"}, {FaultKind::kSlow, "slow"}}, 0.6);
  f.Time("length", fault.length, 100ms, OfSeconds(std::clamp(8000 / rate, 1.0, 60.0)), 1);
  if (fault.kind != FaultKind::kSlow) f.Number("share", fault.share, 0.3, 1, 0.3);
  if (fault.kind == FaultKind::kSlow) f.Number("factor", fault.factor, 3, 100, 0.8);
  f.Pick("one_server", fault.one_server, {{true, "true"}}, 0.3);
}

bool Has(const std::vector<const Policy*>& policies, std::string_view name) {
  return std::any_of(policies.begin(), policies.end(),
                     [&](const Policy* p) { return p->name == name; });
}

// Whether `policies`, outermost first, may stand in this order: see internal/stack_order.h.
bool InOrder(const std::vector<const Policy*>& policies) {
  bool guarded = false;  // by what a cache belongs outside of
  for (const Policy* const policy : policies) {
    const std::string_view name = policy->name;
    if (name == "Fallback" && policy != policies.front()) return false;
    if (name == "Cache" && guarded) return false;
    guarded = guarded || name == "Hedge" || name == "AdaptiveThrottle" || name == "AdaptiveLimit" ||
              name == "CircuitBreak" || name == "KeyedCircuitBreak";
  }
  return true;
}

bool Forks(const Policy& policy) { return policy.name == "Hedge" || &policy == &Policies().back(); }

// Whether a stack of slots has room for them.
bool Fits(const std::vector<const Policy*>& policies) {
  const auto forks =
      std::count_if(policies.begin(), policies.end(), [](const Policy* p) { return Forks(*p); });
  if (forks == 0) return policies.size() <= 2 * kSlots;
  const auto fork =
      std::find_if(policies.begin(), policies.end(), [](const Policy* p) { return Forks(*p); });
  return forks == 1 && fork - policies.begin() <= kSlots && policies.end() - fork - 1 <= kSlots;
}

std::vector<const Policy*> DrawShape(Random& random) {
  for (;;) {
    std::vector<const Policy*> shape;
    for (const Policy& policy : Policies()) {
      if (random.Uniform() < policy.share) shape.push_back(&policy);
    }
    // Most stand where they mostly do; of the others any order may be somebody's.
    if (random.Uniform() < 0.3) {
      for (std::size_t i = shape.size(); i > 1; --i)
        std::swap(shape[i - 1], shape[random.Below(i)]);
    }
    if (shape.empty() || !Fits(shape) || !InOrder(shape)) continue;
    if (!Has(shape, "Retry") && !Has(shape, "CircuitBreak") && random.Uniform() < 0.6) continue;
    return shape;
  }
}

// What is below a policy that is drawn, and what is around it for the time being: as much time as
// anybody needs.
using Info = std::vector<internal::NamedInfo>;

Info WithAroundIt(internal::NamedInfo policy, const Info& below) {
  Info info = {{.name = "Timeout", .info = {.timeout = 1h}}, std::move(policy)};
  info.insert(info.end(), below.begin(), below.end());
  return info;
}

// One layer that fits those inside of it, if some tries find one; its info go to the front of
// `below`.
Layer DrawLayer(const Policy& policy, const Surroundings& around, Random& random, Info& below) {
  constexpr int kTries = 50;
  Layer layer;
  internal::NamedInfo info;
  for (int i = 0; i < kTries; ++i) {
    layer = {.policy = &policy, .settings = {}};
    Fields f(layer.settings, &random);
    try {
      info = policy.make(f, around).info;
    } catch (const std::invalid_argument&) {
      continue;
    }
    if (internal::ValidateStack(WithAroundIt(info, below)).ok()) break;
  }
  below.insert(below.begin(), info);
  return layer;
}

// From the inside out.
std::vector<Layer> DrawLayersOnce(const std::vector<const Policy*>& shape,
                                  const Surroundings& around, Random& random, Info& info) {
  std::vector<Layer> layers;
  info.clear();
  for (auto policy = shape.rbegin(); policy != shape.rend(); ++policy) {
    layers.insert(layers.begin(), DrawLayer(**policy, around, random, info));
  }
  return layers;
}

// As somebody does it who asks Validate: again where one timeout leaves no room for another, and
// where a wait has no end with a Timeout around all. Some that it refuses are left.
std::vector<Layer> DrawLayers(std::vector<const Policy*> shape, const Surroundings& around,
                              Random& random) {
  constexpr int kTries = 6;
  Info info;
  std::vector<Layer> layers = DrawLayersOnce(shape, around, random, info);
  for (int i = 1; i < kTries && !internal::ValidateStack(info).ok(); ++i) {
    const auto is_timeout = [](const Policy& p) { return p.name == "Timeout"; };
    const std::ptrdiff_t outermost = shape.front()->name == "Fallback" ? 1 : 0;
    std::vector<const Policy*> bounded = shape;
    bounded.insert(bounded.begin() + outermost, &*std::ranges::find_if(Policies(), is_timeout));
    if (i == kTries / 2 && Fits(bounded)) shape = std::move(bounded);
    layers = DrawLayersOnce(shape, around, random, info);
  }
  return layers;
}

}  // namespace

void Scenario::Fill() {
  service = {}, clients = {}, fault = {};
  {
    Fields f(service_settings, nullptr);
    FillService(f, service);
  }
  {
    Fields f(clients_settings, nullptr);
    FillClients(f, clients, service.time);
  }
  Fields f(fault_settings, nullptr);
  FillFault(f, fault, clients.rate);
}

std::int64_t Scenario::workers() const {
  const double busy = clients.rate * Seconds(service.time) / static_cast<double>(service.servers);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(busy / service.load)));
}

double Scenario::capacity() const {
  return static_cast<double>(workers() * service.servers) / Seconds(service.time);
}

Surroundings Scenario::around(std::uint64_t process, std::uint64_t of_trial) const {
  return {.seed = of_trial * 7 + process,
          .rate = clients.rate / static_cast<double>(clients.processes),
          .service = service.time};
}

Parts Scenario::MakeParts(std::uint64_t process, std::uint64_t of_trial) {
  Parts parts;
  for (Layer& layer : layers) {
    Fields f(layer.settings, nullptr);
    parts.push_back(layer.policy->make(f, around(process, of_trial)));
  }
  return parts;
}

Scenario Draw(std::uint64_t seed) {
  Random random(seed);
  Scenario scenario;
  scenario.seed = seed;
  {
    Fields f(scenario.service_settings, &random);
    FillService(f, scenario.service);
  }
  {
    Fields f(scenario.clients_settings, &random);
    FillClients(f, scenario.clients, scenario.service.time);
  }
  {
    Fields f(scenario.fault_settings, &random);
    FillFault(f, scenario.fault, scenario.clients.rate);
  }
  scenario.layers = DrawLayers(DrawShape(random), scenario.around(0), random);
  return scenario;
}

std::string ShapeOf(const Scenario& scenario) {
  std::string shape;
  for (const Layer& layer : scenario.layers) {
    absl::StrAppend(&shape, shape.empty() ? "" : " > ",
                    absl::string_view(layer.policy->name.data(), layer.policy->name.size()));
  }
  return shape;
}

}  // namespace holdfast::search
