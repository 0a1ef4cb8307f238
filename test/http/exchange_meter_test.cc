// Which histogram has the time of an exchange.
#include "src/http/exchange_meter.h"

#include <absl/status/status.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "holdfast/http/message.h"
#include "holdfast/http/transport_error.h"
#include "src/http/origin.h"
#include "test/support/catch.h"
#include "test/support/collected.h"
#include "test/support/threads.h"

namespace holdfast::http::exchange_meter_test {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using internal::ExchangeError;
using internal::ExchangeMeter;
using internal::ExchangeTimer;
using test::Collected;

constexpr const char* kDuration = "http.client.request.duration";

std::string Attributes(const std::string& method, const std::string& status,
                       const std::string& error, const std::string& version) {
  return "http.request.method=" + method +
         ",server.address=orders.example,server.port=8080,http.response.status_code=" + status +
         ",error.type=" + error + ",network.protocol.version=" + version;
}

class Meter {
 public:
  Meter() { meter_.Time(); }

  // An exchange with a response, or without a whole one.
  void Measure(const std::string& method, int status, int minor_version = 1) {
    Measure(method, status, minor_version, Response{.status = status});
  }
  void Measure(const std::string& method, int status, int minor_version,
               const absl::StatusOr<Response>& response) {
    ExchangeTimer timer(meter_, method, TimePoint(), ExchangeError::kException);
    timer.Saw(status, minor_version);
    timer.End(response);
  }
  ExchangeMeter& operator*() { return meter_; }

  Collected Look() const {
    Collected collected;
    meter_.Collect(collected);
    return collected;
  }

 private:
  ExchangeMeter meter_{internal::ParseRoute("http://Orders.Example:8080", {})};
};

TEST_CASE("the attributes of an exchange are those of the conventions") {
  Meter meter;
  meter.Measure("GET", 200);
  meter.Measure("GET", 399, 0);
  meter.Measure("POST", 404);
  meter.Measure("PURGE", 503);
  meter.Measure("get", 200);
  const Collected told = meter.Look();
  CHECK(told.at(kDuration, Attributes("GET", "200", "", "1.1")) == 1);
  CHECK(told.at(kDuration, Attributes("GET", "399", "", "1.0")) == 1);
  CHECK(told.at(kDuration, Attributes("POST", "404", "404", "1.1")) == 1);
  CHECK(told.at(kDuration, Attributes("_OTHER", "503", "503", "1.1")) == 1);
  CHECK(told.at(kDuration, Attributes("_OTHER", "200", "", "1.1")) == 1);
  CHECK(told.all().size() == 5);
}

TEST_CASE("an exchange without a whole response has the kind of its error") {
  Meter meter;
  const auto error = [&](const absl::Status& status, int seen = 0) {
    meter.Measure("GET", seen, 1, status);
  };
  using Kind = TransportError;
  error(WithTransportError(absl::DeadlineExceededError(""), Kind::kConnect));
  error(WithTransportError(absl::CancelledError(""), Kind::kPartialResponse), 200);
  error(WithTransportError(absl::UnavailableError(""), Kind::kConnect));
  error(WithTransportError(absl::UnavailableError(""), Kind::kTls));
  error(WithTransportError(absl::FailedPreconditionError(""), Kind::kCertificate));
  error(WithTransportError(absl::InvalidArgumentError(""), Kind::kRequest));
  error(WithTransportError(absl::UnavailableError(""), Kind::kOutcomeUnknown));
  error(WithTransportError(absl::UnavailableError(""), Kind::kPartialResponse), 500);
  error(WithTransportError(absl::DataLossError(""), Kind::kMalformed));
  {
    const ExchangeTimer threw(*meter, "GET", TimePoint(), ExchangeError::kException);
  }
  const Collected told = meter.Look();
  CHECK(told.at(kDuration, Attributes("GET", "", "timeout", "")) == 1);
  CHECK(told.at(kDuration, Attributes("GET", "200", "cancelled", "1.1")) == 1);
  CHECK(told.at(kDuration, Attributes("GET", "", "connect", "")) == 1);
  CHECK(told.at(kDuration, Attributes("GET", "", "tls", "")) == 1);
  CHECK(told.at(kDuration, Attributes("GET", "", "certificate", "")) == 1);
  CHECK(told.at(kDuration, Attributes("GET", "", "request", "")) == 1);
  CHECK(told.at(kDuration, Attributes("GET", "", "lost", "")) == 1);
  CHECK(told.at(kDuration, Attributes("GET", "500", "cut_short", "1.1")) == 1);
  CHECK(told.at(kDuration, Attributes("GET", "", "malformed", "")) == 1);
  CHECK(told.at(kDuration, Attributes("GET", "", "exception", "")) == 1);
  CHECK(told.all().size() == 10);
}

// A server that makes a status for each request.
TEST_CASE("a transport has a bounded number of series, and each exchange is in one of them") {
  Meter meter;
  for (int round = 0; round < 2; ++round) {
    for (int status = 100; status <= 999; ++status) meter.Measure("GET", status);
  }
  const Collected told = meter.Look();
  CHECK(told.all().size() == ExchangeMeter::kMostLabels + 2);
  CHECK(told.sum(kDuration) == 2 * 900);
  double failures = told.at(kDuration, Attributes("_OTHER", "", "_OTHER", ""));
  const double other_successes = told.at(kDuration, Attributes("_OTHER", "", "", ""));
  double successes = other_successes;
  for (const auto& [series, count] : told.all()) {
    if (series.second.find("_code=,") != std::string::npos) continue;
    const bool failed = series.second.find("error.type=,") == std::string::npos;
    (failed ? failures : successes) += count;
    CHECK(count == 2);
  }
  CHECK(successes == 2 * 300);
  CHECK(failures == 2 * 600);
}

TEST_CASE("threads that come with the same and with other attributes count exactly") {
  constexpr int kThreads = 8;
  constexpr int kRounds = 2000;
  Meter meter;
  test::InThreads(kThreads, [&](int thread) {
    for (int i = 0; i < kRounds; ++i) {
      meter.Measure("GET", i % 2 == 0 ? 200 : 100 + (i * 7 + thread) % 100);
    }
  });
  const Collected told = meter.Look();
  CHECK(told.all().size() <= ExchangeMeter::kMostLabels + 2);
  CHECK(told.sum(kDuration) == kThreads * kRounds);
}

TEST_CASE("nothing is measured before somebody asks, nor of what was dropped") {
  ExchangeMeter meter(internal::ParseRoute("http://orders.example", {}));
  const auto told = [&] {
    Collected collected;
    meter.Collect(collected);
    return collected.sum(kDuration);
  };
  {
    const ExchangeTimer early(meter, "GET", TimePoint(), ExchangeError::kCancelled);
    meter.Time();
  }
  CHECK(told() == 0);
  {
    ExchangeTimer(meter, "GET", TimePoint(), ExchangeError::kCancelled).Drop();
  }
  CHECK(told() == 0);
  {
    const ExchangeTimer timer(meter, "GET", TimePoint(), ExchangeError::kCancelled);
  }
  CHECK(told() == 1);
}

}  // namespace
}  // namespace holdfast::http::exchange_meter_test
