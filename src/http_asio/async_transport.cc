#include "holdfast/http_asio/async_transport.h"

#include <memory>
#include <mutex>
#include <utility>

#include "src/http/pool.h"
#include "src/http/sending.h"
#include "src/http_asio/async_exchange.h"

namespace holdfast::http {
namespace internal {

AsyncLimits LimitsOf(Call& call) {
  AsyncLimits limits = {.deadline = SteadyDeadline(call),
                        .stopped = call.stop().stop_requested(),
                        .attempt = call.attempt(),
                        .traced = call.traced()};
  if (const TraceContext* const trace = call.attempt_trace()) limits.trace = *trace;
  return limits;
}

AsyncCanceller::AsyncCanceller() : link_(std::make_shared<Link>()) {}

void AsyncCanceller::operator()(net::cancellation_type type) const {
  using Type = net::cancellation_type;
  if (type == Type::none) return;
  const bool terminal = (type & (Type::terminal | Type::partial)) != Type::none;
  const std::lock_guard lock(link_->mutex);
  (terminal ? link_->terminal : link_->total) = true;
  if (link_->call != nullptr) link_->call->Cancel(terminal);
}

void StartAsync(const AsyncPool& pool, const net::any_io_executor& executor, Request request,
                const AsyncLimits& limits, const AsyncCanceller* canceller, AsyncDone done) {
  AsyncExchange::Start(pool->Get(), executor, std::move(request), limits,
                       canceller != nullptr ? canceller->link_ : nullptr, std::move(done));
}

}  // namespace internal

AsyncTransport::AsyncTransport(net::any_io_executor executor, std::string_view origin,
                               TransportOptions options)
    : executor_(std::move(executor)), pool_(internal::MakePool(origin, std::move(options))) {}

TransportStats AsyncTransport::stats() const { return pool_->Get()->stats(); }

std::string_view AsyncTransport::name() const { return pool_->Get()->meter().name(); }

void AsyncTransport::Collect(Collector& collector) const { pool_->Get()->Collect(collector); }

CollectedObject AsyncTransport::Collected() const {
  return internal::CollectedPool(pool_, "AsyncTransport");
}

}  // namespace holdfast::http
