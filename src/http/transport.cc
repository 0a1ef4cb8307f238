#include "holdfast/http/transport.h"

#include <algorithm>
#include <stop_token>
#include <utility>

#include "holdfast/base/internal/process.h"
#include "holdfast/call/repeatability.h"
#include "holdfast/http/request.h"
#include "holdfast/http/transport_error.h"
#include "src/http/exchange_error.h"
#include "src/http/exchange_meter.h"
#include "src/http/net/tls_error.h"
#include "src/http/net/waiting.h"
#include "src/http/origin.h"
#include "src/http/pool.h"
#include "src/http/sending.h"

namespace holdfast::http {
namespace {

using internal::Cancelled;
using internal::DeadlineExceeded;

absl::Status Check(const absl::StatusOr<internal::Route>& route, const Request& request) {
  return route.ok() ? internal::CheckRequest(*route, request) : route.status();
}

absl::StatusOr<Response> SendAnew(internal::Pool& pool, internal::Sending& sending,
                                  const internal::SendLimits& limits) {
  auto connection = pool.Open(limits.deadline, limits.stop);
  if (!connection.ok()) return connection.status();
  return sending.Over(*std::move(connection), limits);
}

// Over an idle connection; and over a fresh one if there is none, or if the idle one was found to
// be given up by the server and the request may be sent twice.
absl::StatusOr<Response> Send(internal::Pool& pool, const Request& request,
                              const internal::OfCall& of_call, const internal::SendLimits& limits,
                              internal::ExchangeTimer& timer) {
  const internal::Pool::Running running(pool);
  internal::Sending sending(pool, request, of_call, timer);
  if (absl::Status refusal = sending.refusal(); !refusal.ok()) {
    timer.Drop();
    return refusal;
  }
  const TimePoint now = holdfast::internal::ReadClock(nullptr);
  auto idle = pool.TakeIdle(now);
  if (!idle) return SendAnew(pool, sending, limits);
  auto response = sending.Over(*std::move(idle), limits);
  if (!sending.lost()) return response;
  pool.DropIdle(now);
  if (!internal::MayGoAgain(sending, RequestTraits<Request>::RepeatabilityOf(request))) {
    return response;
  }
  internal::Sending anew(pool, request, of_call, timer);
  return internal::AfterResend(sending, SendAnew(pool, anew, limits));
}

// Waits for a connection, and sends over it.
absl::StatusOr<Response> AdmitAndSend(internal::Pool& pool, const Request& request,
                                      const internal::OfCall& of_call, TimePoint deadline,
                                      const std::stop_token& stop, internal::ExchangeTimer& timer) {
  const internal::Route& route = *pool.route();
  const auto permit = pool.Admit(deadline, stop);
  if (!permit.ok()) {
    return absl::IsCancelled(permit.status()) ? Cancelled(route, TransportError::kConnect)
                                              : DeadlineExceeded(route, TransportError::kConnect);
  }
  const internal::StopSignal signal(stop);
  if (absl::Status status = signal.status(); !status.ok()) {
    return WithTransportError(internal::AtPeer(route.Describe(), status), TransportError::kConnect);
  }
  return Send(pool, request, of_call, {.deadline = deadline, .stop = signal}, timer);
}

absl::StatusOr<Response> Exchange(internal::Pool& pool, const Request& request,
                                  const internal::OfCall& of_call, TimePoint deadline,
                                  const std::stop_token& stop) {
  const TimePoint began = holdfast::internal::ReadClock(nullptr);
  deadline = std::min(deadline, SaturatingAdd(began, pool.options().total_timeout));
  internal::ExchangeTimer timer(pool.meter(), request.method, began,
                                internal::ExchangeError::kException);
  auto response = AdmitAndSend(pool, request, of_call, deadline, stop, timer);
  timer.End(response);
  return response;
}

}  // namespace

Transport::Transport(std::string_view origin, TransportOptions options)
    : pool_(internal::MakePool(origin, std::move(options))) {}

absl::StatusOr<Response> Transport::operator()(const Request& request, Call& call) const {
  internal::Pool& pool = *pool_->Get();
  if (absl::Status wrong = Check(pool.route(), request); !wrong.ok()) return wrong;
  const internal::Route& route = *pool.route();
  if (call.stop().stop_requested()) return Cancelled(route, TransportError::kConnect);
  const auto deadline = internal::SteadyDeadline(call);
  if (!deadline) return DeadlineExceeded(route, TransportError::kConnect);
  const internal::OfCall of_call = {
      .attempt = call.attempt(), .trace = call.attempt_trace(), .traced = call.traced()};
  return Exchange(pool, request, of_call, *deadline, call.stop());
}

absl::StatusOr<Response> Transport::operator()(const Request& request) const {
  internal::Pool& pool = *pool_->Get();
  if (absl::Status wrong = Check(pool.route(), request); !wrong.ok()) return wrong;
  return Exchange(pool, request, {}, TimePoint::max(), {});
}

TransportStats Transport::stats() const { return pool_->Get()->stats(); }

std::string_view Transport::name() const { return pool_->Get()->meter().name(); }

void Transport::Collect(Collector& collector) const { pool_->Get()->Collect(collector); }

CollectedObject Transport::Collected() const { return internal::CollectedPool(pool_, "Transport"); }

std::string Transport::origin() const { return std::string(name()); }

}  // namespace holdfast::http
