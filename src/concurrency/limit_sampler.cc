#include "src/concurrency/limit_sampler.h"

#include <algorithm>
#include <bit>

namespace holdfast::internal {
namespace {

// `ns` nanoseconds, at least `least` and at most the larger of both bounds.
Duration Within(double ns, Duration least, Duration most) {
  if (!(ns > static_cast<double>(least.count()))) return least;
  if (ns >= static_cast<double>(most.count())) return std::max(least, most);
  return Duration(static_cast<Duration::rep>(ns));
}

}  // namespace

std::uint64_t LimitSampler::Join(TimePoint now, std::int64_t in_flight) {
  // The window cannot become ready: so many calls hang.
  const bool lost = judged() >= kMaxCalls && ended() < min_samples_ && now >= Patience();
  if (!open_ || now < busy_from() || lost) Open(now);
  if (!TakesCalls(now)) {
    closed_ = true;
    return 0;
  }
  closed_ = false;
  ++joined_;
  in_flight_ = std::max(in_flight_, in_flight);
  return number_;
}

void LimitSampler::Open(TimePoint now) {
  ++number_;
  open_ = true;
  closed_ = false;
  opened_at_ = now;
  until_ = SaturatingAdd(now, length_);
  joined_ = succeeded_ = dropped_ = ignored_ = in_flight_ = 0;
  latencies_ = 0;
}

void LimitSampler::End(std::uint64_t number, Duration latency, Outcome outcome) {
  if (!open_ || number != number_) return;
  switch (outcome) {
    case Outcome::kSuccess:
      ++succeeded_;
      latencies_ += static_cast<double>(std::max(latency, Duration::zero()).count());
      break;
    case Outcome::kFailure:
      ++dropped_;
      break;
    default:
      ++ignored_;
  }
}

bool LimitSampler::TakesCalls(TimePoint now) const {
  if (judged() >= kMaxCalls) return false;
  if (now < until_ || judged() < min_samples_) return true;
  return ended() < min_samples_ && now >= Patience();  // instead of calls that hang
}

bool LimitSampler::Ready(TimePoint now) const {
  constexpr std::int64_t kOneIn = 20;
  if (!open_ || ended() < min_samples_ || now < until_) return false;
  const std::int64_t out = judged() - ended();
  return out * kOneIn <= judged() || now >= Patience();
}

// Until when the window waits for calls that hang.
TimePoint LimitSampler::Patience() const {
  constexpr Duration kLongest = std::chrono::minutes(1);
  const double mean = succeeded_ > 0 ? latencies_ / static_cast<double>(succeeded_) : 0;
  return SaturatingAdd(until_, Within(4 * mean, min_length_, kLongest));
}

TimePoint LimitSampler::busy_until() const {
  const bool waits = open_ && closed_ && judged() >= min_samples_;
  return waits ? Patience() : TimePoint::min();
}

LimitWindow LimitSampler::Take(double drop_share) {
  LimitWindow window{
      .succeeded = succeeded_,
      .calls = joined_ << shift_,
      .in_flight = in_flight_,
      .dropped = static_cast<double>(dropped_) > drop_share * static_cast<double>(ended())};
  if (succeeded_ > 0) {
    window.latency = std::max(1.0, latencies_ / static_cast<double>(succeeded_));
    latency_ = window.latency;
    length_ = LengthFor(latency_);
  }
  AdaptShift();
  Drop();
  return window;
}

Duration LimitSampler::LengthFor(double latency) const {
  return Within(2 * latency, min_length_, kMaxLength);
}

void LimitSampler::Change(Duration length, std::int64_t min_samples) {
  if (length == min_length_ && min_samples == min_samples_) return;
  min_length_ = length;
  min_samples_ = min_samples;
  length_ = LengthFor(latency_);
  Drop();
}

void LimitSampler::AdaptShift() {
  constexpr int kStep = 4;
  if (judged() >= kMaxCalls) {
    shift_ += kStep;
  } else if (joined_ >= kManyCalls) {
    ++shift_;
  } else if (joined_ < kFewCalls) {
    const std::int64_t times = kFewCalls / std::max<std::int64_t>(joined_, 1);
    shift_ -= std::bit_width(static_cast<std::uint64_t>(times));
  }
  shift_ = std::clamp(shift_, 0, kMaxShift);
}

}  // namespace holdfast::internal
