#include "timeline.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/substitute.h>

#include <algorithm>
#include <vector>

#include "examples/support/gnuplot.h"

namespace demo {
namespace {

constexpr double kBucket = 0.25;  // seconds

constexpr char kOkColor[] = "#4c9f70";
constexpr char kFailedColor[] = "#cf4446";
constexpr char kAttemptsColor[] = "#22304a";
constexpr char kOpenColor[] = "#f0a63c";
constexpr char kHalfOpenColor[] = "#7a3db8";

struct Bucket {
  double ok = 0;  // these are per second
  double failed = 0;
  double attempts = 0;
};

std::size_t Index(holdfast::Duration at) {
  return static_cast<std::size_t>(std::max(0.0, Seconds(at)) / kBucket);
}

std::vector<Bucket> Buckets(const Run& run, std::size_t size) {
  std::vector<Bucket> buckets(size);
  for (const CallRecord& call : run.calls) {
    Bucket& bucket = buckets[Index(call.done)];
    (call.ok ? bucket.ok : bucket.failed) += 1 / kBucket;
  }
  for (const holdfast::Duration attempt : run.attempts) {
    buckets[Index(attempt)].attempts += 1 / kBucket;
  }
  return buckets;
}

std::size_t CountBuckets(const Run& a, const Run& b) {
  std::size_t size = 1;
  for (const Run* run : {&a, &b}) {
    for (const CallRecord& call : run->calls) size = std::max(size, Index(call.done) + 1);
    for (const holdfast::Duration attempt : run->attempts) {
      size = std::max(size, Index(attempt) + 1);
    }
  }
  return size;
}

// A gnuplot data block: the middle of the bucket, successes, all calls, attempts.
std::string DataBlock(const std::string& name, const std::vector<Bucket>& buckets) {
  std::string block = absl::StrCat("$", name, " << EOD\n");
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    const Bucket& bucket = buckets[i];
    absl::StrAppendFormat(&block, "%.3f %g %g %g\n", (static_cast<double>(i) + 0.5) * kBucket,
                          bucket.ok, bucket.ok + bucket.failed, bucket.attempts);
  }
  return block + "EOD\n";
}

std::string OutageShade(const Window& outage) {
  if (outage.begin == outage.end) return "";
  const double begin = Seconds(outage.begin);
  const double end = Seconds(outage.end);
  return absl::StrCat(support::Shade(begin, end),
                      absl::Substitute("set label 'outage' at $0, graph 0.94 center tc rgb '$1'\n",
                                       (begin + end) / 2, support::kTextColor));
}

// A strip under the ceiling of the panel: where the breaker was open, and where it let a probe
// through, which takes too little time to have a width.
std::string BreakerStrip(const std::vector<Change>& changes, double end) {
  std::string strip;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const double at = Seconds(changes[i].at);
    if (changes[i].to == holdfast::BreakerState::kOpen) {
      absl::SubstituteAndAppend(
          &strip,
          "set object rectangle from $0, graph 0.82 to $1, graph 0.87 front fc rgb '$2' fs solid "
          "noborder\n",
          at, i + 1 < changes.size() ? Seconds(changes[i + 1].at) : end, kOpenColor);
    } else if (changes[i].to == holdfast::BreakerState::kHalfOpen) {
      absl::SubstituteAndAppend(
          &strip, "set arrow from $0, graph 0.80 to $0, graph 0.89 nohead front lw 2 lc rgb '$1'\n",
          at, kHalfOpenColor);
    }
  }
  return strip;
}

std::string Panel(const std::string& data, const Run& run, double end) {
  const std::string title =
      absl::StrFormat("%s: %d of %d succeeded", run.client, CountOk(run), run.calls.size());
  return absl::Substitute(
      "unset label\n"
      "unset object\n"
      "$0"
      "set label $1 at graph 0, graph 1.06 left font ',15'\n"
      "plot $$$2 using 1:3 with boxes fc rgb '$3' notitle, "
      "$$$2 using 1:2 with boxes fc rgb '$4' notitle, "
      "$$$2 using 1:4 with lines lw 2 lc rgb '$5' notitle",
      absl::StrCat(OutageShade(run.outage), BreakerStrip(run.changes, end)), support::Quoted(title),
      data, kFailedColor, kOkColor, kAttemptsColor);
}

// Continues a plot command; the entries come in the order of their meaning, not of their drawing.
std::string Legend() {
  return absl::Substitute(
      ", keyentry with boxes fc rgb '$0' title 'succeeded'"
      ", keyentry with boxes fc rgb '$1' title 'failed'"
      ", keyentry with lines lw 2 lc rgb '$2' title 'requests sent'"
      ", keyentry with boxes fc rgb '$3' title 'breaker open'"
      ", keyentry with lines lw 2 lc rgb '$4' title 'half-open'\n",
      kOkColor, kFailedColor, kAttemptsColor, kOpenColor, kHalfOpenColor);
}

std::string GnuplotScript(const std::string& path, const Run& plain, const Run& resilient) {
  const std::size_t size = CountBuckets(plain, resilient);
  const std::vector<Bucket> above = Buckets(plain, size);
  const std::vector<Bucket> below = Buckets(resilient, size);
  double highest = 1;
  for (const std::vector<Bucket>* buckets : {&above, &below}) {
    for (const Bucket& bucket : *buckets) {
      highest = std::max({highest, bucket.ok + bucket.failed, bucket.attempts});
    }
  }
  const double end = static_cast<double>(size) * kBucket;
  return absl::StrCat(DataBlock("plain", above), DataBlock("resilient", below),
                      support::BeginPage({.path = path,
                                          .panels = 2,
                                          .end = end,
                                          .top = highest * 1.3,
                                          .label = "requests per second"}),
                      absl::Substitute("set boxwidth $0\n", kBucket * 0.9),
                      Panel("plain", plain, end), Legend(), "unset key\nset xlabel 'seconds'\n",
                      Panel("resilient", resilient, end), "\nunset multiplot\n");
}

}  // namespace

absl::Status DrawTimeline(const std::string& path, const Run& plain, const Run& resilient) {
  return support::Draw(GnuplotScript(path, plain, resilient));
}

}  // namespace demo
