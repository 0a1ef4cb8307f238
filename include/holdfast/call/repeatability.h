// Repeatability says whether a request may be sent more than once, one after the other or at the
// same time. Everything that would run a call again decides by it: Retry, Hedge, and a transport
// that replaces a connection.
//
//   template <>
//   struct holdfast::RequestTraits<Query> {
//     static holdfast::Repeatability RepeatabilityOf(const Query& query) {
//       return {.idempotent = query.reads_only};
//     }
//   };
#ifndef HOLDFAST_CALL_REPEATABILITY_H_
#define HOLDFAST_CALL_REPEATABILITY_H_

#include <absl/strings/string_view.h>
#include <absl/types/span.h>

#include <concepts>
#include <functional>
#include <span>
#include <string_view>
#include <type_traits>
#include <typeinfo>

#include "holdfast/call/internal/request_text.h"

namespace holdfast {

class Call;

// How often the parts of a request can be used. Each value permits what those before it permit.
enum class Reuse : signed char {
  kOnce,           // one run uses the request up, as a body that can't be rewound
  kUntilAnswered,  // again, until a run has delivered a part of an answer, as to a callback
  kInTurn,         // again, but not by two runs at once, which would share a callback or a stream
  kAtOnce,         // by several runs at once; and a copy remains valid after the call has returned
};

struct Repeatability {
  bool idempotent = false;  // a service that gets it twice has the same effect as once
  Reuse reuse = Reuse::kAtOnce;
};

// Specialize it for the type of a call's first argument, beside the definition of that type.
// Without it, Retry decides by the failure alone, and Hedge requires the word of its user
// (HedgeAll()).
//   RepeatabilityOf  called only when a call is to run again or an attempt is to be abandoned; in
//                    the thread that makes the call, possibly while an attempt is running
template <class Request>
struct RequestTraits;

template <class Request>
concept HasRequestTraits = requires(const Request& request) {
  { RequestTraits<Request>::RepeatabilityOf(request) } -> std::same_as<Repeatability>;
};

// What a run that has ended can have done, as told by the EffectOf of its result's ResultTraits
// (result.h).
enum class Effect : signed char {
  kNone,        // the request never reached the service, and no part of it was used
  kRefused,     // the service says that it did not act on the request
  kUnanswered,  // the service may have acted; no part of an answer was delivered
  kUnknown,     // any of these
  kHandedOn,    // a part of an answer was delivered
};

enum class Rerun : signed char {
  kMay,
  kNotIdempotent,  // the service might act twice
  kUsedUp,         // the request can't be sent again unchanged
};

// Whether a request may be sent again after a run with the effect `before`. This is the only place
// that decides that.
constexpr Rerun MayRunAgain(const Repeatability& request, Effect before) {
  if (before == Effect::kNone) return Rerun::kMay;
  if (before != Effect::kRefused && !request.idempotent) return Rerun::kNotIdempotent;
  const bool answered = before == Effect::kUnknown || before == Effect::kHandedOn;
  const bool used_up = request.reuse == Reuse::kOnce || before == Effect::kHandedOn ||
                       (request.reuse == Reuse::kUntilAnswered && answered);
  return used_up ? Rerun::kUsedUp : Rerun::kMay;
}

// Whether a request may be sent while another run of it is under way.
constexpr bool MayRunAtOnce(const Repeatability& request) {
  return request.idempotent && request.reuse == Reuse::kAtOnce;
}

// The same for a call. A call whose first argument has no RequestTraits may run again, but not at
// once. `idempotent`: true if the user of the policy vouches that the call is idempotent; that does
// not make a request usable that is used up.
Rerun MayRunAgain(const Call& call, Effect before, bool idempotent = false);
bool MayRunAtOnce(const Call& call, bool idempotent = false);

// Whether the call may abandon a running attempt: that attempt and a later one are then under way
// at once, and the request must stay valid after the call has returned. True for a call whose first
// argument has no RequestTraits, as its user chose to run it in a thread pool.
bool MayLeave(const Call& call);

// Whether a copy of an argument may be used after the call has returned. Below a policy that forks
// (Hedge, Timeout with a thread pool) attempts get copies, and an abandoned attempt uses them after
// that: an argument whose type is false here does not compile there. False by default: pointers to
// objects (a string literal is passed as one), std::reference_wrapper, std::string_view, std::span
// and their like in Abseil and std::ranges. A view inside of another type is not found.
// Specialize it to vouch for a type:
//   template <>  // there is one Config, which lives as long as the program
//   inline constexpr bool holdfast::kMayOutliveCall<const Config*> = true;
template <class Argument>
inline constexpr bool kMayOutliveCall =
    !std::is_pointer_v<Argument> || std::is_function_v<std::remove_pointer_t<Argument>>;
template <class T>
  requires std::ranges::enable_borrowed_range<T>
inline constexpr bool kMayOutliveCall<T> = false;
template <class T>
inline constexpr bool kMayOutliveCall<std::reference_wrapper<T>> = false;
template <class T>
  requires(std::same_as<T, absl::string_view> && !std::ranges::enable_borrowed_range<T>)
inline constexpr bool kMayOutliveCall<T> = false;
template <class T>
  requires(!std::ranges::enable_borrowed_range<absl::Span<T>>)
inline constexpr bool kMayOutliveCall<absl::Span<T>> = false;

namespace internal {

// What a call knows of the type of its request. Its address stands for the type; shared objects
// with hidden visibility have one each, of which the type_info are equal.
struct RequestType {
  Repeatability (*repeatability)(const void* request);  // null: the type says nothing
  TextOf text;                                          // null: it is none
  const std::type_info* type;                           // null: compiled without RTTI
};

template <class Request>
consteval const std::type_info* TypeInfoOf() {
#ifdef __cpp_rtti
  return &typeid(Request);
#else
  return nullptr;
#endif
}

template <class Request>
consteval RequestType RequestTypeOf() {
  if constexpr (HasRequestTraits<Request>) {
    return {[](const void* request) {
              return RequestTraits<Request>::RepeatabilityOf(*static_cast<const Request*>(request));
            },
            TextOfA<Request>(), TypeInfoOf<Request>()};
  } else {
    return {nullptr, TextOfA<Request>(), TypeInfoOf<Request>()};
  }
}

// Not const: a linker may fold constants that are equal.
template <class Request>
inline constinit RequestType request_type = RequestTypeOf<Request>();

// Whether that is the type of a call's request; `type` is null in a call without one.
template <class Request>
bool IsType(const RequestType* type) {
  if (type == &request_type<Request>) return true;
  if (type == nullptr || type->type == nullptr) return false;
  const std::type_info* const wanted = request_type<Request>.type;
  return wanted != nullptr && *type->type == *wanted;
}

// Whether a call with these arguments says something.
template <class... Args>
inline constexpr bool kSaysRepeatability = false;
template <class Request, class... More>
inline constexpr bool kSaysRepeatability<Request, More...> =
    HasRequestTraits<std::remove_cvref_t<Request>>;

}  // namespace internal
}  // namespace holdfast

#endif  // HOLDFAST_CALL_REPEATABILITY_H_
