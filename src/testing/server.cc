#include "holdfast/testing/server.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/validate.h"

namespace holdfast::testing {
namespace {

bool IsWindow(Duration from, Duration to) { return Duration::zero() <= from && from <= to; }

bool Within(TimePoint at, Duration from, Duration to) {
  return at.time_since_epoch() >= from && at.time_since_epoch() < to;
}

Duration Scaled(Duration d, double factor) {
  const double count = static_cast<double>(d.count()) * factor;
  return count < 9e18 ? Duration(static_cast<Duration::rep>(count)) : Duration::max();
}

}  // namespace

absl::Status Validate(const ServerOptions& options) {
  internal::OptionsChecker check("Server", options.name);
  check(options.workers >= 1 && options.workers <= 1'000'000, "workers must be in [1, 1e6]");
  check(options.max_queue >= 0, "max_queue must be >= 0");
  for (const FailureWindow& failure : options.failures) {
    check(IsWindow(failure.from, failure.to), "0 <= from <= to must hold for a failure window");
    check(failure.share >= 0 && failure.share <= 1,
          "the share of a failure window must be in [0, 1]");
  }
  for (const BrownOut& brown_out : options.brown_outs) {
    check(IsWindow(brown_out.from, brown_out.to), "0 <= from <= to must hold for a brown-out");
    check(brown_out.factor > 0 && std::isfinite(brown_out.factor),
          "the factor of a brown-out must be > 0 and finite");
  }
  const Pauses& pauses = options.pauses;
  check(pauses.length >= Duration::zero() && pauses.period >= Duration::zero() &&
            pauses.length <= pauses.period - pauses.period / 100,
        "0 <= length <= 0.99 period must hold for pauses");
  check(options.codel_target >= Duration::zero() && options.codel_interval >= options.codel_target,
        "0 <= codel_target <= codel_interval must hold");
  return check.status();
}

Server::Server(World& world, ServerOptions options)
    : world_(world),
      options_(internal::Validated(std::move(options))),
      random_(world.NewRandom()),
      workers_(options_.workers),
      all_workers_(std::make_unique<Worker[]>(static_cast<std::size_t>(workers_))),
      unavailable_(absl::UnavailableError(absl::StrCat("server ", options_.name, " is down"))),
      exhausted_(absl::ResourceExhaustedError(
          absl::StrCat("server ", options_.name, " has too much to do"))) {
  for (std::int64_t i = workers_; i-- > 0;) {
    Worker& worker = all_workers_[static_cast<std::size_t>(i)];
    worker.server = this;
    idle_.push_back(&worker);
  }
}

void Server::Serve(Reply<absl::Status> reply) {
  ++counts_.received;
  if (Fails(reply)) return;
  const Request request{reply, world_.Now()};
  if (!idle_.empty()) {
    Worker& worker = *idle_.back();
    idle_.pop_back();
    return Begin(worker, request);
  }
  if (queued() >= options_.max_queue) {
    ++counts_.refused;
    return reply.Done(exhausted_);
  }
  if (queue_.empty()) emptied_ = world_.Now();
  queue_.push_back(request);
  counts_.longest_queue = std::max(counts_.longest_queue, queued());
}

bool Server::Fails(const Reply<absl::Status>& reply) {
  for (const FailureWindow& failure : options_.failures) {
    if (!Within(world_.Now(), failure.from, failure.to)) continue;
    if (random_.Uniform() >= failure.share) continue;
    ++counts_.failed;
    if (failure.kind == FailureKind::kError) reply.Done(unavailable_);
    return true;
  }
  return false;
}

void Server::Begin(Worker& worker, const Request& request) {
  const TimePoint now = world_.Now();
  const TimePoint end = EndOfWork(now);
  counts_.waited += now - request.came;
  counts_.busy += end - now;
  worker.reply = request.reply;
  world_.Schedule(end, worker);
}

// The worker has its next request before the client of this one hears of it, which may ask again
// at once.
void Server::Finish(Worker& worker) {
  // NOLINTNEXTLINE(bugprone-unchecked-optional-access): it works for one.
  const Reply<absl::Status> reply = *worker.reply;
  TakeNext(worker);
  ++(reply.awaited() ? counts_.served : counts_.wasted);
  reply.Done(absl::OkStatus());
}

// The worker's next request, or idleness; those that are shed hear of it when that is settled.
void Server::TakeNext(Worker& worker) {
  std::vector<Reply<absl::Status>> shed;
  bool took = false;
  while (!took && !queue_.empty()) {
    const Request request = Pick();
    if (options_.drops_cancelled && !request.reply.awaited()) {
      ++counts_.cancelled;
    } else if (Sheds(request)) {
      ++counts_.shed;
      shed.push_back(request.reply);
    } else {
      Begin(worker, request);
      took = true;
    }
    if (queue_.empty()) emptied_ = world_.Now();
  }
  if (!took) idle_.push_back(&worker);
  for (const Reply<absl::Status>& reply : shed) reply.Done(exhausted_);
}

Server::Request Server::Pick() {
  const bool newest = options_.discipline == QueueDiscipline::kLifo;
  if (options_.discipline == QueueDiscipline::kRandom) {
    std::swap(queue_.front(), queue_[random_.Below(queue_.size())]);
  }
  const Request request = newest ? queue_.back() : queue_.front();
  newest ? queue_.pop_back() : queue_.pop_front();
  return request;
}

// As in "Fail at Scale" (Maurer, ACM Queue 13(8), 2015), after CoDel (Nichols and Jacobson, 2012).
bool Server::Sheds(const Request& request) const {
  if (options_.discipline != QueueDiscipline::kCoDel) return false;
  const TimePoint now = world_.Now();
  const bool standing = SaturatingSub(now, emptied_) > options_.codel_interval;
  return now - request.came > (standing ? options_.codel_target : options_.codel_interval);
}

// When work that is begun now is done, with the pauses that come between: in working time, of which
// each period has period - length at its beginning.
TimePoint Server::EndOfWork(TimePoint begin) {
  // Far from what a Duration can't hold.
  constexpr Duration kLongest = std::chrono::hours(24 * 365);
  Duration work = options_.service.Sample(random_);
  if (!options_.brown_outs.empty()) work = Scaled(work, Slowdown(begin));
  work = std::min(work, kLongest);
  const auto [period, pause] = options_.pauses;
  if (pause == Duration::zero()) return SaturatingAdd(begin, work);
  const Duration working = period - pause;
  const Duration now = begin.time_since_epoch();
  const Duration done = SaturatingAdd(std::min<Duration>(now % period, working), work);
  const TimePoint this_period = begin - now % period;
  // Work that ends with the period's is done before the pause.
  const auto pauses = done > Duration::zero() ? (done - Duration(1)) / working : 0;
  const Duration later = SaturatingAdd(SaturatingMul(period, pauses), done - pauses * working);
  return std::max(begin, SaturatingAdd(this_period, later));
}

double Server::Slowdown(TimePoint at) const {
  double factor = 1;
  for (const BrownOut& brown_out : options_.brown_outs) {
    if (Within(at, brown_out.from, brown_out.to)) factor *= brown_out.factor;
  }
  return factor;
}

}  // namespace holdfast::testing
