#include "holdfast/call/recent_calls.h"

#include <string_view>
#include <utility>

#include "holdfast/base/internal/options_checker.h"
#include "holdfast/base/internal/random.h"
#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/internal/utf8.h"
#include "holdfast/base/internal/validate.h"

namespace holdfast {
namespace {

std::string Shortened(std::string_view text) {
  return internal::KeptText(text, RecentCalls::kMostText);
}

std::string MessageOf(const absl::Status& status) {
  return Shortened(internal::ToStd(status.message()));
}

// By the last 7 bytes of the id, which are random, so that whoever draws by them draws alike.
bool IsDrawn(const TraceId& id, double ratio) {
  std::uint64_t random = 0;
  for (std::size_t i = 9; i < id.size(); ++i) random = random << 8 | id[i];
  return ratio >= 1 || static_cast<double>(random) < ratio * 0x1p56;
}

TraceContext ContextOfCall(const CallStart& start, double sample_ratio) {
  if (start.given != nullptr) return *start.given;
  if (start.parent != nullptr) return start.parent->WithNewSpan(internal::ThreadRandom());
  TraceContext root = TraceContext::NewRoot(internal::ThreadRandom());
  root.set_sampled(IsDrawn(root.trace_id(), sample_ratio));
  return root;
}

}  // namespace

absl::Status Validate(const RecentCallsOptions& options) {
  internal::OptionsChecker check("RecentCalls");
  check(options.capacity >= 1 && options.capacity <= 100'000,
        "capacity must be from 1 to 100000, not ", options.capacity);
  check(options.sample_ratio >= 0 && options.sample_ratio <= 1,
        "sample_ratio must be from 0 to 1, not ", options.sample_ratio);
  check(options.max_attempts >= 1 && options.max_attempts <= 1000,
        "max_attempts must be from 1 to 1000, not ", options.max_attempts);
  check(options.now != nullptr, "now must be a function");
  return check.status();
}

// Of a call that is sampled. Attempts of it run in several threads, and may end when it is looked
// at.
struct RecentCalls::Record {
  std::mutex mutex;
  TimePoint began;  // on the clock of the stack
  RecentCall call;  // guarded by mutex
};

class RecentCalls::Attempt final : public AttemptSpan {
 public:
  static constexpr std::size_t kNotKept = static_cast<std::size_t>(-1);

  Attempt(TraceContext context, TimePoint began, std::shared_ptr<Record> record, std::size_t place)
      : context_(std::move(context)), began_(began), record_(std::move(record)), place_(place) {}

  const TraceContext& context() const override { return context_; }

  void End(const AttemptEnd& end) override {
    if (place_ == kNotKept) return;
    std::string message = MessageOf(end.status);
    const std::lock_guard lock(record_->mutex);
    RecentAttempt& attempt = record_->call.attempts[place_];
    attempt.took = SaturatingSub(end.at, began_);
    attempt.outcome = end.outcome;
    attempt.code = end.status.code();
    attempt.message = std::move(message);
  }

 private:
  const TraceContext context_;
  const TimePoint began_;
  const std::shared_ptr<Record> record_;
  const std::size_t place_;  // in the record
};

class RecentCalls::Span final : public CallSpan {
 public:
  Span(RecentCalls& all, TraceContext context, std::shared_ptr<Record> record)
      : all_(all), context_(std::move(context)), record_(std::move(record)) {}

  const TraceContext& context() const override { return context_; }

  std::unique_ptr<AttemptSpan> StartAttempt(const AttemptStart& start) override {
    TraceContext context =
        start.given != nullptr ? *start.given : context_.WithNewSpan(internal::ThreadRandom());
    const std::size_t place = record_ == nullptr ? Attempt::kNotKept : Add(context, start);
    return std::make_unique<Attempt>(std::move(context), start.at, record_, place);
  }

  void End(const CallEnd& end) override {
    if (record_ == nullptr) return;
    std::string message = MessageOf(end.status);
    {
      const std::lock_guard lock(record_->mutex);
      RecentCall& call = record_->call;
      call.took = SaturatingSub(end.at, record_->began);
      call.outcome = end.outcome;
      call.ended_by = end.ended_by;
      call.code = end.status.code();
      call.message = std::move(message);
    }
    all_.Keep(record_);
  }

 private:
  // Its place among the attempts.
  std::size_t Add(const TraceContext& context, const AttemptStart& start) const {
    const std::lock_guard lock(record_->mutex);
    RecentCall& call = record_->call;
    if (call.attempts.size() >= static_cast<std::size_t>(all_.options_.max_attempts)) {
      ++call.more_attempts;
      return Attempt::kNotKept;
    }
    call.attempts.push_back({.span_id = context.span_id(),
                             .resend_count = start.resend_count,
                             .start = SaturatingSub(start.at, record_->began)});
    return call.attempts.size() - 1;
  }

  RecentCalls& all_;
  const TraceContext context_;
  const std::shared_ptr<Record> record_;  // null: it is not sampled
};

RecentCalls::RecentCalls(RecentCallsOptions options)
    : options_(internal::Validated(std::move(options))) {
  ring_.reserve(static_cast<std::size_t>(options_.capacity));
}

RecentCalls::~RecentCalls() = default;

std::unique_ptr<CallSpan> RecentCalls::StartCall(const CallStart& start) {
  TraceContext context = ContextOfCall(start, options_.sample_ratio);
  std::shared_ptr<Record> record;
  if (context.sampled()) {
    record = std::make_shared<Record>();
    record->began = start.at;
    record->call.stack = Shortened(start.stack);
    record->call.trace_id = context.trace_id();
    record->call.span_id = context.span_id();
    if (start.parent != nullptr) record->call.parent_id = start.parent->span_id();
    record->call.at = options_.now();
  }
  return std::make_unique<Span>(*this, std::move(context), std::move(record));
}

void RecentCalls::Keep(std::shared_ptr<Record> record) {
  // The one whose place it takes is destroyed outside of the lock.
  const std::lock_guard lock(mutex_);
  if (ring_.size() < static_cast<std::size_t>(options_.capacity)) {
    ring_.push_back(std::move(record));
    return;
  }
  ring_[next_].swap(record);
  next_ = (next_ + 1) % ring_.size();
}

std::vector<RecentCall> RecentCalls::Snapshot() const {
  std::vector<std::shared_ptr<Record>> records;
  {
    const std::lock_guard lock(mutex_);
    records.reserve(ring_.size());
    for (std::size_t i = 0; i < ring_.size(); ++i) {
      records.push_back(ring_[(next_ + ring_.size() - 1 - i) % ring_.size()]);
    }
  }
  std::vector<RecentCall> calls;
  calls.reserve(records.size());
  for (const auto& record : records) {
    const std::lock_guard lock(record->mutex);
    calls.push_back(record->call);
  }
  return calls;
}

}  // namespace holdfast
