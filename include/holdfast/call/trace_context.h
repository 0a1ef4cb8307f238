// A TraceContext says which trace a call belongs to, as services tell each other by the headers
// traceparent and tracestate.
//
//   const auto parent = holdfast::TraceContext::Parse(
//       "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "vendor=t61rcWkgMzE");
//   if (parent) result = fetch.With({.trace = &*parent}, request);
#ifndef HOLDFAST_CALL_TRACE_CONTEXT_H_
#define HOLDFAST_CALL_TRACE_CONTEXT_H_

#include <absl/random/bit_gen_ref.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace holdfast {

using TraceId = std::array<std::uint8_t, 16>;  // all zero: none
using SpanId = std::array<std::uint8_t, 8>;    // all zero: none

// Two lower-case hexadecimal digits for each byte.
std::string ToHex(std::span<const std::uint8_t> bytes);

// A value: the trace, the span in it that is the parent of what comes next, flags, and what tracing
// systems keep in the trace beside them. Made and read by W3C's Trace Context, level 2
// (https://www.w3.org/TR/trace-context-2/), whose version is 00. Thread-compatible.
class TraceContext {
 public:
  static constexpr std::uint8_t kSampled = 1;  // the caller may have recorded the trace
  static constexpr std::uint8_t kRandom = 2;   // the last 7 bytes of the trace id are random

  // The most members of a tracestate, and the most characters that are kept of one.
  static constexpr std::size_t kMostMembers = 32;
  static constexpr std::size_t kMostState = 512;

  // Of no trace: not valid().
  TraceContext() = default;
  // Flags other than these two are left out.
  TraceContext(const TraceId& trace, const SpanId& span, std::uint8_t flags)
      : trace_(trace), span_(span), flags_(flags & (kSampled | kRandom)) {}

  // A trace that begins here, with random ids.
  static TraceContext NewRoot(absl::BitGenRef random);

  // Of the values of the headers. nullopt where `traceparent` is malformed: the receiver begins a
  // trace of its own then. Of a later version than 00 what version 00 knows is read: the ids and
  // kSampled. A malformed `tracestate` is dropped as a whole, and so is one with more than 32
  // members; of members with the same key the first is kept. Members are kept whole: while there
  // are more than 512 characters, first the last one of those that are longer than 128 characters
  // is dropped, then the last one.
  //
  // A request with more than one traceparent has none. Values of several lines of tracestate are
  // given in their order.
  static std::optional<TraceContext> Parse(std::string_view traceparent,
                                           std::span<const std::string_view> tracestate);
  static std::optional<TraceContext> Parse(std::string_view traceparent,
                                           std::string_view tracestate = {}) {
    return Parse(traceparent, std::span(&tracestate, 1));
  }

  // Neither id is all zero.
  bool valid() const { return trace_ != TraceId() && span_ != SpanId(); }

  const TraceId& trace_id() const { return trace_; }
  const SpanId& span_id() const { return span_; }
  std::uint8_t flags() const { return flags_; }
  bool sampled() const { return (flags_ & kSampled) != 0; }

  // The values of the headers. The first is for a valid() context; the second may be empty, and the
  // header is left out then.
  std::string traceparent() const;
  const std::string& tracestate() const { return state_; }

  void set_sampled(bool sampled) {
    flags_ = static_cast<std::uint8_t>(sampled ? flags_ | kSampled : flags_ & ~kSampled);
  }
  // As Parse reads it. False, and no state, where it is malformed.
  bool SetTracestate(std::span<const std::string_view> lines);
  bool SetTracestate(std::string_view line) { return SetTracestate(std::span(&line, 1)); }

  // The same trace, with the span of that id, or of a random one.
  TraceContext WithSpan(const SpanId& span) const;
  TraceContext WithNewSpan(absl::BitGenRef random) const;

  friend bool operator==(const TraceContext&, const TraceContext&) = default;

 private:
  TraceId trace_ = {};
  SpanId span_ = {};
  std::uint8_t flags_ = 0;
  std::string state_;  // well-formed, without blanks around members
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_TRACE_CONTEXT_H_
