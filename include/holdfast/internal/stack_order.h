// The orders of policies that make no sense, whatever their settings. They don't compile.
#ifndef HOLDFAST_INTERNAL_STACK_ORDER_H_
#define HOLDFAST_INTERNAL_STACK_ORDER_H_

#include <string_view>
#include <tuple>
#include <type_traits>

namespace holdfast::internal {

// A policy is known by its kName, if that is a constant.
template <class P>
consteval std::string_view NameInOrder() {
  if constexpr (requires {
                  typename std::bool_constant<(static_cast<void>(std::string_view(P::kName)),
                                               true)>;
                }) {
    return P::kName;
  } else {
    return {};
  }
}

// Whether one of the policies, outermost first, is an `inner` somewhere inside of an `outer`. One
// that has a kNested is meant to be.
template <class... P>
consteval bool Inside(std::string_view inner, std::string_view outer) {
  bool below_outer = false;
  bool found = false;
  [[maybe_unused]] const auto visit = [&](std::string_view name, bool nested) {
    found = found || (below_outer && name == inner && !nested);
    below_outer = below_outer || name == outer;
  };
  (visit(NameInOrder<P>(), requires { P::kNested; }), ...);
  return found;
}

template <class... P>
consteval bool CheckOrder(std::type_identity<std::tuple<P...>>) {
  static_assert(!Inside<P...>("Fallback", "Retry"),
                "Fallback inside of Retry: to Retry its answer is a success, and nothing is tried "
                "again; put Fallback outside of Retry");
  static_assert(!Inside<P...>("Fallback", "Hedge"),
                "Fallback inside of Hedge: its answer to one attempt that failed would win over "
                "the others; put Fallback outside of Hedge");
  static_assert(!Inside<P...>("Fallback", "CircuitBreak"),
                "Fallback inside of CircuitBreak: the breaker would count its answers as successes "
                "and never open; put Fallback outside of CircuitBreak");
  static_assert(!Inside<P...>("Fallback", "KeyedCircuitBreak"),
                "Fallback inside of KeyedCircuitBreak: the breakers would count its answers as "
                "successes and never open; put Fallback outside of KeyedCircuitBreak");
  static_assert(!Inside<P...>("Fallback", "Throttle"),
                "Fallback inside of Throttle: its answers would count as the backend's, and "
                "nothing would ever be refused; put Fallback outside of Throttle");
  static_assert(
      !Inside<P...>("Cache", "CircuitBreak"),
      "Cache inside of CircuitBreak: the breaker would count what it knows as successes of "
      "the service, and refuse what needs no service; put Cache outside of CircuitBreak");
  static_assert(!Inside<P...>("Cache", "KeyedCircuitBreak"),
                "Cache inside of KeyedCircuitBreak: the breakers would count what it knows as "
                "successes of the service, and refuse what needs no service; put Cache outside of "
                "KeyedCircuitBreak");
  static_assert(!Inside<P...>("Cache", "Throttle"),
                "Cache inside of Throttle: what it knows would count as accepted by the backend; "
                "put Cache outside of Throttle");
  static_assert(!Inside<P...>("Cache", "AdaptiveLimit"),
                "Cache inside of AdaptiveLimit: what it knows would count as the latency of the "
                "service; put Cache outside of AdaptiveLimit");
  static_assert(!Inside<P...>("Cache", "Hedge"),
                "Cache inside of Hedge: what is sent again would wait for what was sent first, as "
                "who asks for the same key does; put Cache outside of Hedge");
  static_assert(!Inside<P...>("Retry", "Retry"),
                "Retry inside of Retry: their attempts multiply; keep one of them, or say that it "
                "is meant with NestedRetry (nested_retry.h) for the inner one");
  return true;
}

}  // namespace holdfast::internal

#endif  // HOLDFAST_INTERNAL_STACK_ORDER_H_
