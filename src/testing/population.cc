#include "holdfast/testing/population.h"

#include <algorithm>
#include <limits>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/validate.h"

namespace holdfast::testing {
namespace {

template <class Options>
absl::Status CheckCommon(internal::OptionsChecker& check, const Options& options) {
  check(options.count >= 1 && options.count <= 100'000'000, "count must be in [1, 1e8]");
  check(options.start >= Duration::zero() && options.end >= options.start,
        "0 <= start <= end must hold");
  check(options.bucket >= std::chrono::milliseconds(1), "bucket must be at least 1 ms");
  return check.status();
}

}  // namespace

absl::Status Validate(const OpenClients& options) {
  internal::OptionsChecker check("Population", options.name);
  check(options.rate > 0 && options.rate <= 1e9, "rate must be in (0, 1e9]");
  return CheckCommon(check, options);
}

absl::Status Validate(const ClosedClients& options) {
  internal::OptionsChecker check("Population", options.name);
  check(!options.ramp || *options.ramp >= Duration::zero(), "ramp must be >= 0");
  return CheckCommon(check, options);
}

Backend::Backend(std::vector<Server*> servers, ServerChoice choice)
    : servers_(std::move(servers)), choice_(choice) {
  if (servers_.empty() || std::count(servers_.begin(), servers_.end(), nullptr) > 0) {
    internal::ThrowIfInvalid(
        absl::InvalidArgumentError("Backend: needs at least one server, and none may be null"));
  }
}

void Backend::Serve(std::int64_t client, Call& call, Reply<absl::Status> reply,
                    Random& random) const {
  if (servers_.empty()) return function_(client, call, reply);
  const std::uint64_t n = servers_.size();
  if (n == 1) return servers_[0]->Serve(reply);
  const bool any = choice_ == ServerChoice::kAnyEachTime;
  servers_[any ? random.Below(n) : static_cast<std::uint64_t>(client) % n]->Serve(reply);
}

namespace sim_internal {

Crowd::Crowd(World& world, const OpenClients& options, Backend backend)
    : world_(world),
      count_(internal::Validated(options).count),
      open_(true),
      periodic_(options.periodic),
      interval_(1e9 / options.rate),
      think_(Distribution::Constant({})),
      ramp_(),
      start_(options.start),
      end_(options.end),
      next_arrival_(static_cast<double>(options.start.count())),
      backend_(std::move(backend)),
      arrivals_(world.NewRandom()),
      choices_(world.NewRandom()),
      calls_(world.NewRandom()),
      recorder_(options.name, options.bucket) {}

Crowd::Crowd(World& world, const ClosedClients& options, Backend backend)
    : world_(world),
      count_(internal::Validated(options).count),
      open_(false),
      periodic_(false),
      interval_(0),
      think_(options.think),
      ramp_(options.ramp),
      start_(options.start),
      end_(options.end),
      next_arrival_(0),
      backend_(std::move(backend)),
      arrivals_(world.NewRandom()),
      choices_(world.NewRandom()),
      calls_(world.NewRandom()),
      recorder_(options.name, options.bucket) {}

TimePoint Crowd::FirstCall() {
  if (!ramp_) return SaturatingAdd(start_, think_.SampleRest(arrivals_));
  const double offset = static_cast<double>(ramp_->count()) * arrivals_.Uniform();
  return SaturatingAdd(start_, Duration(static_cast<Duration::rep>(offset)));
}

TimePoint Crowd::NextCall() { return SaturatingAdd(world_.Now(), think_.Sample(arrivals_)); }

// In fractions of nanoseconds, so that the rate is exact.
TimePoint Crowd::NextArrival() {
  next_arrival_ += periodic_ ? interval_ : interval_ * arrivals_.Exponential();
  if (next_arrival_ >= 9e18) return TimePoint::max();
  return TimePoint(Duration(static_cast<Duration::rep>(next_arrival_)));
}

std::int64_t Crowd::NextCaller() {
  if (!periodic_) {
    return static_cast<std::int64_t>(arrivals_.Below(static_cast<std::uint64_t>(count_)));
  }
  const std::int64_t caller = next_caller_;
  next_caller_ = caller + 1 == count_ ? 0 : caller + 1;
  return caller;
}

Results Crowd::results() const {
  Results results = recorder_.results(world_.Now());
  for (const Server* const server : backend_.servers()) {
    results.servers.push_back({server->options().name, server->counts()});
    for (const FailureWindow& failure : server->options().failures) {
      results.disturbances.push_back({failure.from, failure.to});
    }
    for (const BrownOut& brown_out : server->options().brown_outs) {
      results.disturbances.push_back({brown_out.from, brown_out.to});
    }
  }
  return results;
}

}  // namespace sim_internal
}  // namespace holdfast::testing
