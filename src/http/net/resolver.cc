#include "src/http/net/resolver.h"

#include <absl/status/status.h>
#include <absl/strings/ascii.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <netdb.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/internal/thread.h"
#include "src/http/net/descriptor.h"

namespace holdfast::http::internal {
namespace {

using holdfast::internal::ProcessGeneration;
using holdfast::internal::ReadClock;
using holdfast::internal::ToAbsl;

// RFC 1035, 2.3.4, written with dots and one at the end.
constexpr std::size_t kMaxName = 254;

absl::Status InvalidHost(std::string_view host) {
  const auto wrong = [host](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("bad host \"", absl::CHexEscape(ToAbsl(host)), "\": ", what));
  };
  if (host.empty()) return wrong("it is empty");
  if (host.find('\0') != std::string_view::npos) return wrong("it has a NUL");
  if (host.find(':') != std::string_view::npos) {
    const auto percent = host.find('%');
    if (percent != std::string_view::npos && Address::Parse(host.substr(0, percent), 0)) {
      return absl::UnavailableError(
          absl::StrCat(ToAbsl(host), ": this machine has no such interface"));
    }
    return wrong("it is no IPv6 address");
  }
  if (host.size() > kMaxName) return wrong("a name has at most 253 characters");
  return absl::OkStatus();
}

// For what needs no thread: a literal, and what can be no host.
std::optional<LookupResult> WithoutLookup(std::string_view host, int port) {
  if (port < 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat(ToAbsl(host), ": the port must be 0 to 65535, not ", port));
  }
  if (const auto literal = Address::Parse(host, port)) return std::vector<Address>{*literal};
  if (absl::Status status = InvalidHost(host); !status.ok()) return status;
  return std::nullopt;
}

LookupResult RunLookup(const Resolver::LookupFunction& lookup, const std::string& host) {
  try {
    return lookup(host);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat(host, ": no memory to resolve the name"));
  } catch (...) {
    return absl::UnavailableError(absl::StrCat(host, ": the lookup threw an exception"));
  }
}

// A result on its way from a thread of a resolver to one that waits for it and for a stop.
class Answered {
 public:
  Answered() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), error_(event_ ? 0 : errno) {}

  int descriptor() const { return event_.get(); }  // readable once it is there; -1: see error()
  int error() const { return error_; }

  void Set(LookupResult result) {
    result_ = std::move(result);
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(event_.get(), &one, sizeof one);
  }
  std::optional<LookupResult>& result() { return result_; }

 private:
  const Descriptor event_;
  const int error_;
  std::optional<LookupResult> result_;
};

}  // namespace

struct Resolver::State {
  explicit State(const Options& its_options) : options(its_options), table(its_options.limits) {}

  // In a child of fork(): there are no threads, and who waits is the parent's.
  std::shared_ptr<State> MakeAnew() const { return std::make_shared<State>(options); }
  void Abandon() noexcept {}

  absl::Status Admit(const std::shared_ptr<State>& self,
                     const std::shared_ptr<LookupRequest>& request);
  void Work();
  void Close();

  const Options options;
  const std::uint32_t generation = ProcessGeneration();  // the process whose threads these are
  mutable std::mutex mutex;
  std::condition_variable bell;
  LookupTable table;
  std::size_t threads = 0;
  std::size_t idle = 0;  // of them
  bool closed = false;

 private:
  bool StartThread(const std::shared_ptr<State>& self);
  void RunOne(const std::string& host, std::unique_lock<std::mutex>& lock);
};

// With the lock held. False: the system has no thread.
bool Resolver::State::StartThread(const std::shared_ptr<State>& self) {
  try {
    // Nobody joins it, since nobody could wait for a lookup that is stuck.
    holdfast::internal::StartThread([self] { self->Work(); }).detach();
  } catch (const std::system_error&) {
    return false;
  } catch (const std::bad_alloc&) {
    return false;
  }
  ++threads;
  return true;
}

absl::Status Resolver::State::Admit(const std::shared_ptr<State>& self,
                                    const std::shared_ptr<LookupRequest>& request) {
  const std::lock_guard lock(mutex);
  const LookupTable::Limits& limits = options.limits;
  const auto refuse = [&request](const auto&... why) {
    return absl::UnavailableError(
        absl::StrCat(request->host(), ": the name was not looked up: ", why...));
  };
  switch (table.Ask(request, ReadClock(nullptr))) {
    case LookupTable::Admission::kFull:
      return refuse(limits.max_running, " lookups run and ", limits.max_queued, " wait");
    case LookupTable::Admission::kStuck:
      return refuse("all ", limits.max_running, " lookups that run have had no answer for ",
                    absl::FormatDuration(absl::FromChrono(limits.stuck_after)));
    case LookupTable::Admission::kAdmitted:
      break;
  }
  const bool needs_thread = table.queued() > idle && threads < limits.max_running;
  if (needs_thread && !StartThread(self) && threads == 0) {
    table.Leave(*request);
    return absl::ResourceExhaustedError(
        absl::StrCat(request->host(), ": no thread to resolve the name"));
  }
  bell.notify_one();
  return absl::OkStatus();
}

void Resolver::State::RunOne(const std::string& host, std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  {
    const LookupResult result = RunLookup(options.lookup, host);
    // It forked, and this is the child, in which nobody waits.
    if (generation != ProcessGeneration()) return;
    lock.lock();
    const LookupRequests waiting = table.End(host);
    lock.unlock();
    for (const auto& [number, request] : waiting) request->Answer(result);
  }
  lock.lock();
}

void Resolver::State::Work() {
  std::unique_lock lock(mutex);
  for (;;) {
    while (const std::optional<std::string> host = table.Begin(ReadClock(nullptr))) {
      RunOne(*host, lock);
      if (!lock.owns_lock()) return;
    }
    if (closed) break;
    ++idle;
    const bool woken = bell.wait_until(lock, SaturatingAdd(ReadClock(nullptr), options.idle),
                                       [this] { return closed || table.queued() > 0; });
    --idle;
    if (!woken) break;
  }
  --threads;
}

void Resolver::State::Close() {
  LookupRequests waiting;
  {
    const std::lock_guard lock(mutex);
    closed = true;
    waiting = table.TakeAll();
  }
  bell.notify_all();
  const LookupResult result = absl::CancelledError("the resolver is gone");
  for (const auto& [number, request] : waiting) request->Answer(result);
}

Resolver::Resolver(Options options)
    : state_(std::make_unique<holdfast::internal::PerProcess<State>>(
          std::make_shared<State>(options))) {}

Resolver::~Resolver() {
  if (State* const state = state_->IfOurs(); state != nullptr) state->Close();
}

Resolver& Resolver::OfProcess() {
  static Resolver& resolver = *new Resolver;
  return resolver;
}

Resolver::Handle::Handle(std::shared_ptr<State> state, std::shared_ptr<LookupRequest> request)
    : state_(std::move(state)), request_(std::move(request)) {}

Resolver::Handle& Resolver::Handle::operator=(Handle&& other) noexcept {
  if (this != &other) {
    Abandon();
    state_ = std::move(other.state_);
    request_ = std::move(other.request_);
  }
  return *this;
}

void Resolver::Handle::Abandon() noexcept {
  const std::shared_ptr<State> state = std::move(state_);
  const std::shared_ptr<LookupRequest> request = std::move(request_);
  // In a child of fork() the locks may be held by threads that are not there.
  if (!state || state->generation != ProcessGeneration()) return;
  {
    const std::lock_guard lock(state->mutex);
    state->table.Leave(*request);
  }
  request->Abandon();
}

Resolver::Handle Resolver::Start(std::string_view host, int port, LookupCallback callback) const {
  auto request = std::make_shared<LookupRequest>(absl::AsciiStrToLower(ToAbsl(host)), port,
                                                 std::move(callback));
  if (const auto known = WithoutLookup(host, port)) {
    request->Answer(*known);
    return {};
  }
  const std::shared_ptr<State>& state = state_->Get();
  const absl::Status status = state->Admit(state, request);
  if (status.ok()) return {state, std::move(request)};
  request->Answer(status);
  return {};
}

LookupResult Resolver::Lookup(std::string_view host, int port, TimePoint deadline,
                              const StopSignal& stop) const {
  if (auto known = WithoutLookup(host, port)) return *std::move(known);
  Answered answered;
  if (answered.descriptor() < 0) {
    return LookupErrorStatus(host, EAI_SYSTEM, answered.error());
  }
  WaitOutcome waited;
  {
    const Handle handle =
        Start(host, port, [&answered](LookupResult result) { answered.Set(std::move(result)); });
    waited = Wait(answered.descriptor(), {.read = true}, deadline, stop);
  }
  // Nobody sets it any more.
  if (waited.end == WaitEnd::kStopped) {
    return absl::CancelledError(absl::StrCat(ToAbsl(host), ": the caller stopped the call"));
  }
  if (answered.result()) return *std::move(answered.result());
  if (waited.end == WaitEnd::kFailed) return LookupErrorStatus(host, EAI_SYSTEM, waited.error);
  return NotResolvedInTime(host);
}

absl::Status NotResolvedInTime(std::string_view host) {
  return absl::UnavailableError(absl::StrCat(ToAbsl(host), ": the name was not resolved in time"));
}

std::size_t Resolver::threads() const {
  const State& state = *state_->Get();
  const std::lock_guard lock(state.mutex);
  return state.threads;
}

}  // namespace holdfast::http::internal
