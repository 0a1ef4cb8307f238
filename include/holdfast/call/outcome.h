// Outcome is how a call went, as breakers, throttlers and adaptive limiters count it.
//
//   absl::StatusOr<holdfast::Ticket> ticket = breaker->Admit();
//   if (!ticket.ok()) return;
//   ticket->Done(transport().ok() ? holdfast::Outcome::kSuccess : holdfast::Outcome::kFailure);
#ifndef HOLDFAST_CALL_OUTCOME_H_
#define HOLDFAST_CALL_OUTCOME_H_

namespace holdfast {

enum class Outcome {
  kSuccess,
  kFailure,
  kIgnored,  // says nothing about the service: the caller cancelled, or a policy refused
};

}  // namespace holdfast

#endif  // HOLDFAST_CALL_OUTCOME_H_
