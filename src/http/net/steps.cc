#include "src/http/net/steps.h"

#include <string>
#include <system_error>
#include <utility>

namespace holdfast::http::internal {
namespace {

// Empty where only TLS knows.
std::string TextOf(int error) {
  return error == 0 ? std::string() : std::generic_category().message(error);
}

}  // namespace

std::optional<DriveEnd> Steps::Look(TimePoint now) {
  if (protocol_.done()) return DriveEnd::kDone;
  const bool writes = in_flight_ || (can_write_ && protocol_.wants_write());
  // What is not taken in is the read's, though the write may have to wait for that, too.
  if (begins_) pace_.Begin(now, writes && !protocol_.has_more());
  begins_ = false;
  if (!protocol_.holds_body()) {
    body_at_ = TimePoint::max();
  } else if (body_at_ == TimePoint::max()) {
    body_at_ = SaturatingAdd(now, limits_.continue_timeout);
  }
  asking_.Look(now);
  taking_.Look(now);
  const bool reads = can_read_ || protocol_.has_more();
  if (!reads && !writes && body_at_ == TimePoint::max()) return DriveEnd::kClosed;
  return pace_.Over(now);
}

void Steps::TakeMore() {
  if (protocol_.TakeMore()) begins_ = true;
  if (protocol_.held()) taking_.Begin();
}

void Steps::SendBody() {
  begins_ = true;
  body_at_ = TimePoint::max();
  protocol_.SendBody();
}

std::span<const std::string_view> Steps::BeginWrite() {
  const std::span<const std::string_view> parts = protocol_.ToWrite();
  in_flight_ = std::ranges::any_of(parts, [](std::string_view part) { return !part.empty(); });
  const bool stalled_before = std::exchange(stalled_, false);
  if (protocol_.done()) {
    in_flight_ = false;
  } else if (in_flight_) {
    // What is tried again is no step. What is new is: getting it may have taken long.
    if (!waited_) begins_ = true;
    return parts;
  } else if (protocol_.wants_write()) {
    // To have nothing for long is one step.
    stalled_ = true;
    asking_.Begin();
    begins_ = begins_ || !stalled_before;
    return {};
  }
  begins_ = true;
  return {};
}

void Steps::Wrote(const IoResult& result) {
  in_flight_ = false;
  waited_ = result.state == IoState::kWaitRead || result.state == IoState::kWaitWrite;
  if (result.state == IoState::kDone && result.bytes > 0) {
    begins_ = true;
    protocol_.Wrote(result.bytes);
  } else if (result.state == IoState::kLost) {
    begins_ = true;
    NoteLost(result.error);
    can_write_ = false;
    if (!protocol_.done()) protocol_.WriteFailed(TextOf(result.error));
  }
}

void Steps::Read(const IoResult& result, std::string_view bytes) {
  if (result.state == IoState::kDone && result.bytes > 0) {
    begins_ = true;
    protocol_.Received(bytes);
    if (protocol_.held()) taking_.Begin();
  } else if (result.state == IoState::kEnd) {
    begins_ = true;
    can_read_ = false;
    protocol_.PeerEnded();
  } else if (result.state == IoState::kLost) {
    begins_ = true;
    NoteLost(result.error);
    can_read_ = can_write_ = false;
    protocol_.PeerCut(TextOf(result.error));
  }
}

}  // namespace holdfast::http::internal
