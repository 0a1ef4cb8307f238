// Decides which of several threads works on an asynchronous operation.
#ifndef HOLDFAST_ASIO_INTERNAL_EVENT_WORD_H_
#define HOLDFAST_ASIO_INTERNAL_EVENT_WORD_H_

#include <atomic>
#include <cstdint>

namespace holdfast::internal {

// A lock that nobody waits for. The thread that holds it is the owner. A thread that finds it held
// leaves its event in the word instead, and the owner handles that event before it lets go.
//
// Model. The word is one bit for "there is an owner" and one bit for each kind of pending event.
//
//   Raise       no owner:  the caller becomes the owner and gets the event to handle
//               an owner:  the event becomes pending
//   Take        the owner gets all pending events, and none is pending any more
//   TryRelease  nothing pending: there is no owner any more
//               something pending: nothing changes; the owner must Take and handle it
//
// Invariants.
//   1. There is at most one owner: only the change of the owner bit from 0 to 1 makes one, and only
//      TryRelease, which the owner calls, changes it back.
//   2. Without an owner nothing is pending: TryRelease compares the whole word with "an owner,
//      nothing pending", and Raise sets the owner bit in the same step as the event.
//   3. So each event is handled by an owner that took it after it was raised. Events of one kind
//      that are raised before the owner takes them are handled once, together.
//
// Memory order. Each change of the word is an acquire and a release, so each owner sees what every
// earlier owner wrote, and what a thread wrote before it raised an event. What only owners use
// needs no other protection.
//
// It begins with an owner: the thread that makes it.
class EventWord {
 public:
  using Events = std::uint32_t;  // a set of Event
  enum Event : Events { kEnded = 2, kWoken = 4 };

  // Any thread. The events that the caller must handle, as the owner that it has become; 0: there
  // is another owner, which handles `event`.
  Events Raise(Event event) {
    // The common case leaves the event out of the word.
    Events idle = 0;
    if (word_.compare_exchange_strong(idle, kOwned, std::memory_order_acq_rel)) return event;
    if ((word_.fetch_or(event | kOwned, std::memory_order_acq_rel) & kOwned) != 0) return 0;
    return Take();
  }

  // The owner only: leaves an event for itself.
  void Add(Event event) { word_.fetch_or(event, std::memory_order_acq_rel); }

  // The owner only.
  Events Take() { return word_.fetch_and(kOwned, std::memory_order_acq_rel) & ~kOwned; }

  // The owner only. False: an event is pending, and the caller still is the owner.
  bool TryRelease() {
    Events owned = kOwned;
    return word_.compare_exchange_strong(owned, 0, std::memory_order_acq_rel);
  }

 private:
  static constexpr Events kOwned = 1;

  std::atomic<Events> word_{kOwned};
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_ASIO_INTERNAL_EVENT_WORD_H_
