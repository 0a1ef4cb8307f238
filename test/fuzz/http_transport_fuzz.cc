// Transport against a server that does what an input says: calls end, each failure says which kind
// it is, no request is sent more often than it may be, and nothing is left over.
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "holdfast/http/transport.h"
#include "test/fuzz/scripted_server.h"

namespace holdfast::fuzz {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using http::Request;
using http::Response;
using http::Transport;
using http::TransportError;
using http::TransportOptions;

constexpr std::size_t kSmallBody = 64;
constexpr Duration kNever = 30s;         // comes only where a call does not end by itself
const std::string kLarge(300'000, 'x');  // more than sockets hold

// One bit each, from the lowest.
class Bits {
 public:
  explicit Bits(std::uint8_t byte) : byte_(byte) {}
  unsigned Take(unsigned count) {
    const unsigned taken = byte_ & ((1U << count) - 1);
    byte_ >>= count;
    return taken;
  }

 private:
  unsigned byte_;
};

// A request, and what has become of it.
struct Fetched {
  Request request;
  bool refuses = false;  // the receiver does
  std::string received = {};
  bool refused = false;
  absl::StatusOr<Response> response = absl::UnknownError("not called");
};

void SetBody(unsigned kind, Request& request) {
  if (kind == 1) request.body = "0123456789";
  if (kind == 2) request.body = kLarge;
  if (kind == 3) {
    request.sender = [](std::uint64_t offset, std::string& bytes) {
      if (offset < 20'000) bytes.assign(10'000, 'y');
      return true;
    };
  }
}

Fetched Planned(std::uint8_t byte, std::size_t number) {
  Bits bits(byte);
  Fetched plan;
  const std::vector<const char*> methods = {"GET", "POST", "PUT", "HEAD"};
  plan.request.method = methods[bits.Take(2)];
  plan.request.target = "/" + std::to_string(number);
  SetBody(bits.Take(2), plan.request);
  if (bits.Take(1) != 0) plan.request.headers.Set("Idempotency-Key", "\"k\"");
  if (bits.Take(1) != 0) plan.request.headers.Set("Expect", "100-continue");
  const bool receives = bits.Take(1) != 0;
  plan.refuses = bits.Take(1) != 0;
  if (receives) plan.request.receiver = [](std::string_view) { return true; };
  return plan;
}

// How often the server may be given the request.
int Most(const Fetched& fetched) {
  const bool may_go_again =
      RequestTraits<Request>::RepeatabilityOf(fetched.request).idempotent &&
      RequestTraits<Request>::RepeatabilityOf(fetched.request).reuse != Reuse::kOnce;
  return may_go_again ? 2 : 1;
}

// `hesitates`: a receiver takes the first few parts the second time only, and gets the same again.
void Make(const Transport& transport, bool hesitates, Fetched& call) {
  int left = hesitates ? 3 : 0;
  std::string held;
  if (call.request.receiver) {
    call.request.receiver = [&](std::string_view part) -> http::BodyAnswer {
      Require(!part.empty() && !call.refused && (held.empty() || held == part));
      if (held.empty() && left > 0) {
        --left;
        held = part;
        return http::BodyAnswer::Later();
      }
      held.clear();
      call.received += part;
      call.refused = call.refuses;
      return !call.refused;
    };
  }
  call.response = transport(call.request);
  const http::TransportStats stats = transport.stats();
  Require(stats.in_use == 0 && stats.queued == 0 && stats.idle <= 1);
}

void JudgeAnswer(const Fetched& call, const TransportOptions& options) {
  const Response& response = *call.response;
  Require(!call.refused);
  Require(response.status == 101 || (response.status >= 200 && response.status <= 999));
  Require(response.body.size() <= options.max_body);
  if (call.request.method == "HEAD") Require(response.body.empty() && call.received.empty());
  if (!call.request.receiver) return;
  if (http::IsForReceiver(response.status)) {
    Require(response.body.empty());
  } else {
    Require(call.received.empty());
  }
}

// `heads`: how many of it the server has read.
void JudgeFailure(const Fetched& call, int heads) {
  const absl::Status& status = call.response.status();
  const std::optional<TransportError> kind = http::TransportErrorOf(status);
  Require(kind.has_value());
  if (*kind == TransportError::kConnect) Require(heads == 0);
  if (*kind == TransportError::kMalformed) Require(absl::IsDataLoss(status));
  if (*kind == TransportError::kPartialResponse) Require(call.request.receiver != nullptr);
  // The server alone is odd: nothing here is a reason to refuse a request, or has to do with TLS.
  Require(*kind != TransportError::kRequest && *kind != TransportError::kTls &&
          *kind != TransportError::kCertificate);
}

void Run(std::string_view input) {
  static auto& server = *new ScriptedServer;
  Bits bits(static_cast<std::uint8_t>(input.front()));
  input.remove_prefix(1);
  const std::size_t count = bits.Take(2) + 1;
  if (input.size() < count) return;
  TransportOptions options = {.total_timeout = kNever, .continue_timeout = 1ms};
  if (bits.Take(1) != 0) options.max_body = kSmallBody;
  if (bits.Take(1) != 0) options.max_head = 256;
  if (bits.Take(1) != 0) options.max_uses = 2;
  options.decode = bits.Take(1) == 0;
  const bool silent = bits.Take(1) != 0;
  const bool hesitates = bits.Take(1) != 0;
  if (silent) options.total_timeout = 10ms;
  std::vector<Fetched> calls;
  for (std::size_t i = 0; i < count; ++i) {
    calls.push_back(Planned(static_cast<std::uint8_t>(input[i]), i));
  }

  server.Begin(input.substr(count), silent);
  {
    const Transport transport(server.Url(), options);
    for (Fetched& call : calls) Make(transport, hesitates, call);
  }
  ScriptedServer::Heads heads = server.End();
  for (const Fetched& call : calls) {
    const int times = heads[call.request.target];
    Require(times <= Most(call));
    if (call.response.ok()) {
      JudgeAnswer(call, options);
    } else {
      Require(silent || !absl::IsDeadlineExceeded(call.response.status()));
      JudgeFailure(call, times);
    }
  }
  Require(heads.size() == count);
}

}  // namespace
}  // namespace holdfast::fuzz

// The first byte has the number of calls and the options, one byte for each call what is sent, and
// the rest is the server's script.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 0) holdfast::fuzz::Run({reinterpret_cast<const char*>(data), size});
  return 0;
}
