// How long the exchanges of a Transport take, by what they came to.
#ifndef HOLDFAST_SRC_HTTP_EXCHANGE_METER_H_
#define HOLDFAST_SRC_HTTP_EXCHANGE_METER_H_

#include <absl/status/statusor.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "holdfast/base/internal/made_once.h"
#include "holdfast/base/time.h"
#include "holdfast/call/collector.h"
#include "holdfast/call/internal/duration_histogram.h"
#include "holdfast/http/message.h"
#include "src/http/origin.h"

namespace holdfast::http::internal {

// Why an exchange has no whole response.
enum class ExchangeError : std::uint8_t {
  kNone,  // it has one
  kTimeout,
  kCancelled,
  kException,
  kAny,        // of the exchanges that have no histogram of their own
  kTransport,  // and up: a TransportError
};

// The attributes of an exchange, by OpenTelemetry's conventions for http.client.request.duration.
struct ExchangeLabels {
  std::uint8_t method = 0;   // the number of its name
  std::uint8_t version = 0;  // of the response: 1 for HTTP/1.0, 2 for HTTP/1.1; 0: there is none
  ExchangeError error = ExchangeError::kNone;
  std::uint16_t status = 0;  // of the response; 0: there is none

  bool failed() const { return error != ExchangeError::kNone || status >= 400; }
};

// Thread-safe and lock-free. Nothing is measured until somebody asks for it. There is a histogram
// for each of the first kMostLabels labels that occur, made when it is needed; what other exchanges
// took is in one of two more, that of successes or that of failures. So the sums are those of all
// exchanges, however many labels a server makes. Where there is no memory, nothing is measured.
class ExchangeMeter {
 public:
  static constexpr std::size_t kMostLabels = 64;

  explicit ExchangeMeter(const absl::StatusOr<Route>& route);

  std::string_view name() const { return name_; }        // the origin; empty: it is invalid
  std::string_view address() const { return address_; }  // its host, in lower case
  std::string_view port() const { return port_; }

  void Time() noexcept { times_.Get(); }
  bool timed() const { return times_.get() != nullptr; }

  void Record(const ExchangeLabels& labels, Duration took) noexcept;
  void Collect(Collector& collector) const;

 private:
  using Histogram = holdfast::internal::MadeOnce<holdfast::internal::DurationHistogram>;

  // Open addressing; a row is taken once and for all. Relaxed suffices for its labels, which are a
  // value by themselves: whoever finds them uses the histogram beside them.
  struct Row {
    std::atomic<std::uint32_t> labels{0};  // packed; 0: free
    Histogram times;
  };
  struct Times {
    Histogram& Of(const ExchangeLabels& labels);

    std::array<Row, kMostLabels> rows;
    std::array<Histogram, 2> rest;  // of successes, of failures
  };

  void Tell(Collector& collector, const ExchangeLabels& labels, const Histogram& times) const;

  std::string name_;
  std::string address_;
  std::string port_;
  holdfast::internal::MadeOnce<Times> times_;  // made when somebody asks for it
};

// Measures one exchange, if that was asked for when it began.
class ExchangeTimer {
 public:
  // The meter must outlive it. `otherwise`: why the exchange is over if nobody Ends it.
  ExchangeTimer(ExchangeMeter& meter, std::string_view method, TimePoint began,
                ExchangeError otherwise);
  ExchangeTimer(const ExchangeTimer&) = delete;
  ExchangeTimer& operator=(const ExchangeTimer&) = delete;
  // The exchange is over.
  ~ExchangeTimer();

  // Whatever becomes of it, a response began. 0: none did.
  void Saw(int status, int minor_version);
  void End(const absl::StatusOr<Response>& response);
  void TimedOut() { labels_.error = ExchangeError::kTimeout; }
  void Threw() { labels_.error = ExchangeError::kException; }
  void Drop() { meter_ = nullptr; }  // it was none

 private:
  ExchangeMeter* meter_;  // null: it is not measured
  ExchangeLabels labels_;
  TimePoint began_;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_EXCHANGE_METER_H_
