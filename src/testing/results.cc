#include "holdfast/testing/results.h"

#include <absl/strings/str_format.h>

#include <algorithm>
#include <iterator>
#include <ostream>

namespace holdfast::testing {
namespace {

double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }
double Millis(Duration d) { return Seconds(d) * 1e3; }

double Share(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

void Latencies::Record(TimeSpan latency) {
  ++counts_[Buckets::BucketOf(latency)];
  ++count_;
  sum_ += static_cast<double>(std::max<Duration>(latency, Duration::zero()).count());
}

Duration Latencies::Mean() const {
  if (count_ == 0) return Duration::zero();
  return Duration(static_cast<Duration::rep>(sum_ / static_cast<double>(count_)));
}

Duration Latencies::Percentile(double share) const {
  const double rank = std::clamp(share, 0.0, 1.0) * static_cast<double>(count_);
  std::int64_t seen = 0;
  for (std::size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (counts_[i] == 0 || static_cast<double>(seen) < rank) continue;
    return Buckets::Begin(i) + Buckets::Width(i) / 2;
  }
  return Duration::zero();
}

void Latencies::Add(const Latencies& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
}

double Results::Amplification() const {
  return calls == 0 ? 0 : static_cast<double>(attempts) / static_cast<double>(calls);
}

double Results::Goodput(TimeSpan from, TimeSpan to) const {
  if (bucket <= Duration::zero()) return 0;
  from = std::max<Duration>(from, Duration::zero());
  to = std::min<Duration>(to, end);
  std::int64_t sum = 0;
  for (auto i = from / bucket; i < std::ssize(timeline) && i * bucket < to; ++i) {
    sum += timeline[static_cast<std::size_t>(i)].successes;
  }
  const double seconds = Seconds(to - from / bucket * bucket);
  return seconds > 0 ? static_cast<double>(sum) / seconds : 0;
}

std::optional<Duration> Results::TimeToRecover(const Disturbance& disturbance,
                                               const RecoveryOptions& options) const {
  if (bucket <= Duration::zero()) return std::nullopt;
  const double before = Goodput(options.warm_up, disturbance.from);
  const double enough = options.share * before;
  const Duration over = std::max<Duration>(options.averaged / bucket * bucket, bucket);
  const auto known_from = static_cast<double>(std::max<std::int64_t>(options.min_successes, 1));
  if (before * Seconds(over) < known_from) return std::nullopt;
  const Duration to = std::max<Duration>(disturbance.to, Duration::zero());
  // Backwards, to the last time that it was not there; whole buckets only.
  Duration at = end / bucket * bucket - over;
  if (at < to || Goodput(at, at + over) < enough) return std::nullopt;
  while (at - bucket >= to && Goodput(at - bucket, at - bucket + over) >= enough) {
    at -= bucket;
  }
  const bool at_once = at - bucket < to;
  return at_once ? Duration::zero() : at - to;
}

void Results::Add(const Results& other) {
  calls += other.calls;
  attempts += other.attempts;
  successes += other.successes;
  failures += other.failures;
  exceptions += other.exceptions;
  for (const auto& [policy, count] : other.rejections) rejections[policy] += count;
  latencies.Add(other.latencies);
  success_latencies.Add(other.success_latencies);
  timeline.resize(std::max(timeline.size(), other.timeline.size()));
  for (std::size_t i = 0; i < other.timeline.size(); ++i) {
    timeline[i].calls += other.timeline[i].calls;
    timeline[i].attempts += other.timeline[i].attempts;
    timeline[i].successes += other.timeline[i].successes;
    timeline[i].failures += other.timeline[i].failures;
  }
}

std::ostream& operator<<(std::ostream& out, const Results& r) {
  const auto p = [&r](double share) { return Millis(r.latencies.Percentile(share)); };
  out << absl::StreamFormat(
      "%s%d calls in %.1f s: %d succeeded (%.2f %%), %d failed, %d under way\n"
      "  %.2f attempts per call, %.1f successes per second\n"
      "  latency p50 %.1f ms, p90 %.1f ms, p99 %.1f ms, p99.9 %.1f ms\n",
      r.name.empty() ? "" : r.name + ": ", r.calls, Seconds(r.end), r.successes,
      Share(r.successes, r.calls), r.failures, r.in_flight(), r.Amplification(), r.Goodput(),
      p(0.5), p(0.9), p(0.99), p(0.999));
  for (const auto& [policy, count] : r.rejections) {
    out << absl::StreamFormat("  %d refused by %s\n", count, policy);
  }
  if (r.exceptions > 0) out << absl::StreamFormat("  %d threw\n", r.exceptions);
  for (const ServerResults& server : r.servers) {
    const ServerCounts& c = server.counts;
    out << absl::StreamFormat(
        "  server%s: %d requests, %d served, %d wasted, %d failed, %d refused, %d shed, "
        "%d dropped, longest queue %d\n",
        server.name.empty() ? "" : " " + server.name, c.received, c.served, c.wasted, c.failed,
        c.refused, c.shed, c.cancelled, c.longest_queue);
  }
  return out;
}

}  // namespace holdfast::testing
