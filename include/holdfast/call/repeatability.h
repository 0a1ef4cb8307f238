// Repeatability is what a request says of being made more than once. Whoever would run a call again
// asks it here: Retry, Hedge, a transport that replaces a connection.
//
//   template <>
//   struct holdfast::RequestTraits<Query> {
//     static holdfast::Repeatability RepeatabilityOf(const Query& query) {
//       return {.idempotent = query.reads_only};
//     }
//   };
#ifndef HOLDFAST_CALL_REPEATABILITY_H_
#define HOLDFAST_CALL_REPEATABILITY_H_

#include <concepts>
#include <type_traits>

#include "holdfast/call/internal/request_text.h"

namespace holdfast {

class Call;

// How often what a request is made of can be used, the least first. A wider one has what the
// narrower ones have.
enum class Reuse : signed char {
  kOnce,           // a run uses it up, as a body that can't start over
  kUntilAnswered,  // again, until a run has handed on a part of an answer: to a callback, say
  kInTurn,         // again, but never two at once: they would share a callback, a stream, a file
  kAtOnce,         // also side by side, and copies of it live on by themselves
};

struct Repeatability {
  bool idempotent = false;  // the service that gets it twice does what it does once
  Reuse reuse = Reuse::kAtOnce;
};

// Specialise it for the type of a call's first argument, where that type is defined. Without it
// nobody knows whether a call may run twice: Retry goes by the failure alone, and Hedge wants its
// caller's word.
//   RepeatabilityOf  asked only where something is to run again, or to be left to itself; in the
//                    thread that makes the call, while a run of it may be under way
template <class Request>
struct RequestTraits;

template <class Request>
concept HasRequestTraits = requires(const Request& request) {
  { RequestTraits<Request>::RepeatabilityOf(request) } -> std::same_as<Repeatability>;
};

// What a run that has ended can have done. A result says so by its ResultTraits (result.h).
enum class Effect : signed char {
  kNone,        // it never came to the service, and used nothing of the request
  kRefused,     // the service says that it did not act on it
  kUnanswered,  // the service may have acted; nothing of an answer was handed on
  kUnknown,     // nobody knows
  kHandedOn,    // a part of an answer was handed on
};

enum class Rerun : signed char {
  kMay,
  kNotIdempotent,  // the service may do twice what it is to do once
  kUsedUp,         // the request can't be made again as it was
};

// The one answer to whether a request may be made a second time, after a run that did `before`.
constexpr Rerun MayRunAgain(const Repeatability& request, Effect before) {
  if (before == Effect::kNone) return Rerun::kMay;
  if (before != Effect::kRefused && !request.idempotent) return Rerun::kNotIdempotent;
  const bool answered = before == Effect::kUnknown || before == Effect::kHandedOn;
  const bool used_up = request.reuse == Reuse::kOnce || before == Effect::kHandedOn ||
                       (request.reuse == Reuse::kUntilAnswered && answered);
  return used_up ? Rerun::kUsedUp : Rerun::kMay;
}

// And the one to whether it may be made while another run of it is under way.
constexpr bool MayRunAtOnce(const Repeatability& request) {
  return request.idempotent && request.reuse == Reuse::kAtOnce;
}

// The same of a call. Of one whose request says nothing: it may run again, and not at once.
// `idempotent`: the caller's word that it is, which does not make a request that is used up whole.
Rerun MayRunAgain(const Call& call, Effect before, bool idempotent = false);
bool MayRunAtOnce(const Call& call, bool idempotent = false);

// Whether the call may go on while a run of it is under way: that run and a later one are then
// two at once, and what it is made of has to outlive the call. Of an unknown request: yes, since
// who has it run in a thread pool says so.
bool MayLeave(const Call& call);

namespace internal {

// What a call knows of the type of its request; its address stands for the type.
struct RequestType {
  Repeatability (*repeatability)(const void* request);  // null: the type says nothing
  TextOf text;                                          // null: it is none
};

template <class Request>
consteval RequestType RequestTypeOf() {
  if constexpr (HasRequestTraits<Request>) {
    return {[](const void* request) {
              return RequestTraits<Request>::RepeatabilityOf(*static_cast<const Request*>(request));
            },
            TextOfA<Request>()};
  } else {
    return {nullptr, TextOfA<Request>()};
  }
}

// Not const: a linker may fold constants that are equal.
template <class Request>
inline constinit RequestType request_type = RequestTypeOf<Request>();

// Whether a call with these arguments says something.
template <class... Args>
inline constexpr bool kSaysRepeatability = false;
template <class Request, class... More>
inline constexpr bool kSaysRepeatability<Request, More...> =
    HasRequestTraits<std::remove_cvref_t<Request>>;

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_CALL_REPEATABILITY_H_
