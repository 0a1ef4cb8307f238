#include "test/search/trial.h"

#include <absl/status/status.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <numeric>
#include <string_view>
#include <utility>
#include <variant>

#include "holdfast/call/call.h"
#include "holdfast/stack/stack.h"
#include "holdfast/testing/distribution.h"
#include "holdfast/testing/random.h"
#include "holdfast/testing/simulate.h"
#include "holdfast/testing/world.h"

namespace holdfast::search {
namespace {

using testing::Distribution;
using testing::Reply;
using testing::Server;
using testing::World;

constexpr std::array<std::string_view, 8> kKeys = {"a", "b", "c", "d", "e", "f", "g", "h"};

using Done = std::function<void(const absl::Status&)>;
using Start = std::function<void(const CallOptions&, Done)>;
using Attempt = std::function<void(Call&, Reply<absl::Status>)>;

template <class... P>
Start Simulated(World& world, const Stack<P...>& stack, const Attempt& attempt) {
  auto simulated = testing::Simulate(world, stack, attempt);
  return [simulated](const CallOptions& options, Done done) {
    simulated.With(options, std::move(done));
  };
}

// `parts` as a stack in the world: what forks is where the type says so.
Start Assemble(World& world, const Parts& parts, const Attempt& attempt) {
  std::array<Slot, 2 * kSlots> slots;
  const auto fork = std::find_if(parts.begin(), parts.end(), [](const Part& part) {
    return !std::holds_alternative<std::monostate>(part.fork);
  });
  std::size_t next = 0;
  for (auto part = parts.begin(); part != parts.end(); ++part) {
    if (part == fork) {
      next = kSlots;
    } else {
      slots.at(next++) = part->slot;
    }
  }
  auto& [a, b, c, d, e, f, g, h] = slots;
  if (fork == parts.end()) return Simulated(world, Stack(a, b, c, d, e, f, g, h), attempt);
  if (const auto* const hedge = std::get_if<Hedge<HedgeAll>>(&fork->fork)) {
    return Simulated(world, Stack(a, b, c, d, *hedge, e, f, g, h), attempt);
  }
  const auto& timeout = std::get<Timeout<true>>(fork->fork);
  return Simulated(world, Stack(a, b, c, d, timeout, e, f, g, h), attempt);
}

class Trial {
 public:
  Trial(const Setup& setup, std::uint64_t seed, Duration length)
      : clients_(setup.clients),
        length_(length),
        world_(seed),
        arrivals_(world_.NewRandom()),
        choices_(world_.NewRandom()) {
    const auto buckets = static_cast<std::size_t>(length / Timeline::kBucket) + 1;
    timeline_.calls.resize(buckets);
    timeline_.successes.resize(buckets);
    for (const testing::ServerOptions& options : setup.servers) {
      servers_.push_back(std::make_unique<Server>(world_, options));
      mean_service_ = options.service.Mean();
    }
    const Attempt attempt = [this](Call&, Reply<absl::Status> reply) {
      ++timeline_.attempts;
      servers_[choices_.Below(servers_.size())]->Serve(reply);
    };
    for (std::int64_t i = 0; i < clients_.processes; ++i) {
      processes_.push_back(
          Assemble(world_, setup.make_parts(static_cast<std::uint64_t>(i)), attempt));
    }
  }

  Timeline Run() {
    const Duration mean(static_cast<Duration::rep>(1e9 / clients_.rate));
    if (clients_.closed == 0) {
      Arrive(mean);
    } else {
      const Duration cycle = mean * clients_.closed;
      think_ = std::max<Duration>(cycle - mean_service_, std::chrono::milliseconds(1));
      for (std::int64_t i = 0; i < clients_.closed; ++i) {
        world_.After(Random(cycle), [this, i] { Begin(static_cast<std::uint64_t>(i)); });
      }
    }
    world_.OnProgress(std::chrono::seconds(1), [this](Duration) { return !timeline_.too_long; });
    world_.RunUntil(length_);
    return std::move(timeline_);
  }

 private:
  Duration Random(Duration mean) {
    return Duration(
        static_cast<Duration::rep>(static_cast<double>(mean.count()) * arrivals_.Exponential()));
  }

  void Arrive(Duration mean) {
    world_.After(Random(mean), [this, mean] {
      Begin(static_cast<std::uint64_t>(next_++));
      Arrive(mean);
    });
  }

  std::size_t Bucket() const {
    return std::min(static_cast<std::size_t>(world_.Now().time_since_epoch() / Timeline::kBucket),
                    timeline_.calls.size() - 1);
  }

  void Begin(std::uint64_t client) {
    if (timeline_.too_long) return;
    ++timeline_.calls[Bucket()];
    timeline_.too_long = ++began_ >= kMostCalls;
    CallOptions options;
    if (clients_.patience != Duration::max()) {
      options.deadline = SaturatingAdd(world_.Now(), clients_.patience);
    }
    options.key = kKeys[client % static_cast<std::uint64_t>(clients_.keys) % kKeys.size()];
    if (clients_.priorities) options.priority = PriorityOf(client);
    processes_[client % processes_.size()](
        options, [this, client](const absl::Status& status) { End(client, status); });
  }

  void End(std::uint64_t client, const absl::Status& status) {
    if (status.ok()) ++timeline_.successes[Bucket()];
    if (clients_.closed == 0) return;
    world_.After(Random(think_), [this, client] { Begin(client); });
  }

  static Priority PriorityOf(std::uint64_t client) {
    if (client % 10 == 9) return Priority::kCritical;
    return client % 2 == 0 ? Priority::kLow : Priority::kNormal;
  }

  const Clients clients_;
  const Duration length_;
  World world_;
  testing::Random arrivals_;
  testing::Random choices_;
  Duration mean_service_{0};
  Duration think_{0};
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<Start> processes_;
  std::int64_t next_ = 0;
  std::int64_t began_ = 0;
  Timeline timeline_;
};

Distribution SpreadOf(const Service& service) {
  switch (service.spread) {
    case 1:
      return Distribution::Constant(service.time);
    case 2:
      return Distribution::LogNormal(service.time * 4 / 5, service.time * 4);
    case 3:  // a tenth takes seven times as long as the others
      return Distribution::Bimodal(service.time * 10 / 16, service.time * 70 / 16, 0.1);
    default:
      return Distribution::Exponential(service.time);
  }
}

void Apply(const Fault& fault, Duration from, testing::ServerOptions& server) {
  const Duration to = from + fault.length;
  if (fault.kind == FaultKind::kSlow) {
    server.brown_outs = {{.from = from, .to = to, .factor = fault.factor}};
  } else {
    server.failures = {{.from = from,
                        .to = to,
                        .share = fault.share,
                        .kind = fault.kind == FaultKind::kDown ? testing::FailureKind::kError
                                                               : testing::FailureKind::kHang}};
  }
}

}  // namespace

std::int64_t Timeline::Sum(const std::vector<std::int32_t>& counts, Duration from, Duration to) {
  const auto at = [&](Duration time) {
    return counts.begin() + std::clamp<std::ptrdiff_t>(time / kBucket, 0,
                                                       static_cast<std::ptrdiff_t>(counts.size()));
  };
  return std::accumulate(at(from), at(to), std::int64_t{0});
}

Timeline Run(const Setup& setup, std::uint64_t seed, Duration length) {
  return Trial(setup, seed, length).Run();
}

Setup SetupOf(Scenario& scenario, std::uint64_t seed, const Fault* fault, Duration from) {
  const Service& service = scenario.service;
  Setup setup{
      .clients = scenario.clients, .servers = {}, .make_parts = [&scenario, seed](std::uint64_t i) {
        return scenario.MakeParts(i, seed);
      }};
  for (std::int64_t i = 0; i < service.servers; ++i) {
    testing::ServerOptions server{.service = SpreadOf(service),
                                  .workers = scenario.workers(),
                                  .max_queue = service.max_queue,
                                  .discipline = service.discipline,
                                  .drops_cancelled = service.drops_cancelled};
    if (fault != nullptr && (i == 0 || !fault->one_server)) Apply(*fault, from, server);
    setup.servers.push_back(std::move(server));
  }
  return setup;
}

}  // namespace holdfast::search
