// A ResultCache keeps results for a while, by a key.
//
//   holdfast::ResultCache<absl::StatusOr<Reply>> replies(
//       {.ttl = 60s, .stale_if_error = 1h, .max_entries = 1000});
//   if (auto reply = fetch(request); reply.ok()) replies.Put("config", reply);
//   if (auto reply = replies.Get("config")) log("known");
//
// Most callers want Cache (cache.h) in a stack.
#ifndef HOLDFAST_CACHE_RESULT_CACHE_H_
#define HOLDFAST_CACHE_RESULT_CACHE_H_

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "holdfast/base/internal/changes.h"
#include "holdfast/base/internal/object_clock.h"
#include "holdfast/base/internal/refusals.h"
#include "holdfast/base/internal/validate.h"
#include "holdfast/base/internal/versions.h"
#include "holdfast/base/result.h"
#include "holdfast/base/time.h"
#include "holdfast/cache/internal/cache_table.h"
#include "holdfast/call/call.h"

namespace holdfast {

template <class R>
class Cache;

// Bounded by entries and by bytes: what was not used for longest makes room. Results are copied
// out. Thread-safe; one mutex is held for a lookup, and never while a result is copied, made or
// destroyed for its caller.
template <class R>
class ResultCache {
 public:
  struct Options {
    TimeSpan ttl{0};           // > 0; for which a success is fresh
    TimeSpan negative_ttl{0};  // the same for a failure of what was asked; zero: none is kept
    // For so long after its ttl a success still answers while one call asks anew, and for so long
    // it stands in where that fails (RFC 5861); where it does so, it does for negative_ttl before
    // there is another try, unless that was refused or ended by its own deadline.
    TimeSpan stale_while_revalidate{0};
    TimeSpan stale_if_error{0};
    std::int64_t max_entries = 10'000;
    std::int64_t max_bytes = std::int64_t{100} << 20;
    // What a result counts for, >= 0; null: sizeof(R). Its key counts as well.
    std::function<std::int64_t(const R&)> size_of = nullptr;
    // How long this result is fresh, in place of ttl and negative_ttl; zero: it is not kept. What
    // it throws passes to the caller.
    std::function<TimeSpan(const Call&, const R&)> ttl_of = nullptr;
    std::string name = {};   // for messages
    Clock* clock = nullptr;  // of Get and Put; must outlive the cache
  };

  // Throws std::invalid_argument with the text of Validate.
  explicit ResultCache(Options options)
      : name_(options.name),
        options_(internal::Validated(std::move(options))),
        table_(Terms(*options_.Read(), name_)),
        refusals_(RejectionKind::kOther, "Cache", name_, "answer"),
        clock_(options_.Read()->clock) {}

  // What is kept and fresh; nullopt where there is none.
  [[nodiscard]] std::optional<R> Get(std::string_view key) { return GetAt(Now(), key); }
  [[nodiscard]] std::optional<R> GetAt(TimePoint now, std::string_view key) {
    const internal::CacheTable::Value value = table_.Get(key, now);
    if (value == nullptr) return std::nullopt;
    return *static_cast<const R*>(value.get());
  }

  // Keeps a result for ttl, a failure as well, in place of what there is.
  void Put(std::string_view key, R result) { PutAt(Now(), key, std::move(result)); }
  void PutAt(TimePoint now, std::string_view key, R result) {
    const auto value = std::make_shared<const R>(std::move(result));
    const auto options = options_.Read();
    table_.Put(key, {.now = now,
                     .value = value,
                     .ttl = options->ttl,
                     .bytes = SizeOf(*options, key, *value),
                     .success = IsSuccess(*value)});
  }

  // Forgets; what is being asked for at that moment is not kept when it comes, and who asks after
  // that asks anew.
  void Erase(std::string_view key) { table_.Erase(key); }
  void Clear() { table_.Clear(); }

  CacheStats stats() const { return table_.stats(); }

  // Replaces the options, all of them, while calls run. Results that come from now on go by the new
  // ttl, negative_ttl, ttl_of and size_of; what is kept stays fresh for as long as it was to be,
  // and counts for what it did. For how long it answers when it is stale, and stands in for
  // failures, follows the new options at the next lookup; who is asking goes by what it found. What
  // smaller bounds have no room for is evicted at once. Name and clock stay: left out they are as
  // before, and others are refused. kInvalidArgument, with nothing changed, for that and for what
  // Validate refuses.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // Those of now: to change one, change a copy of them.
  Options options() const {
    Options options = *options_.Read();
    options.clock = clock_.given();
    return options;
  }
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options) {
    if (absl::Status status =
            internal::CheckSame("ResultCache", name_, options.name, clock_.given(), options.clock);
        !status.ok()) {
      return status;
    }
    options.name = name_;
    if (absl::Status status = Validate(options); !status.ok()) return status;
    options.clock = options_.Read()->clock;
    return [this, next = internal::Versions<Options>::Make(std::move(options))]() mutable {
      Change(std::move(next));
    };
  }

  // For stacks: see internal/object_clock.h.
  void BindClock(internal::ClockBinder& binder, std::string_view policy) {
    binder.Bind(policy, name_, clock_);
  }

 private:
  friend class Cache<R>;
  friend absl::Status Validate(const Options& options) {
    return internal::Validate(Terms(options, options.name));
  }

  void Change(typename internal::Versions<Options>::Next next) {
    const internal::CacheTerms terms = Terms(next->value, name_);
    typename internal::Versions<Options>::Pin before;  // destroyed without the table's mutex
    table_.Change(terms, [&] {
      before = options_.Read();
      options_.Replace(std::move(next));
    });
  }

  static internal::CacheTerms Terms(const Options& options, std::string_view name) {
    return {.name = name,
            .ttl = options.ttl,
            .negative_ttl = options.negative_ttl,
            .stale_while_revalidate = options.stale_while_revalidate,
            .stale_if_error = options.stale_if_error,
            .max_entries = options.max_entries,
            .max_bytes = options.max_bytes};
  }
  // What is no result of a call can't be a failure.
  static bool IsSuccess(const R& result) {
    if constexpr (HasResultTraits<R>) {
      return ResultTraits<R>::StatusOf(result).ok();
    } else {
      return true;
    }
  }
  TimePoint Now() const { return clock_.Now(); }
  static std::int64_t SizeOf(const Options& options, std::string_view key, const R& result) {
    const std::int64_t size =
        options.size_of ? options.size_of(result) : static_cast<std::int64_t>(sizeof(R));
    const auto most = std::numeric_limits<std::int64_t>::max() - std::ssize(key);
    return std::clamp<std::int64_t>(size, 0, most) + std::ssize(key);
  }

  const std::string name_;
  internal::Versions<Options> options_;  // replaced with the table's mutex held
  internal::CacheTable table_;
  const internal::Refusals refusals_;
  internal::ObjectClock clock_;
};

}  // namespace holdfast

#endif  // HOLDFAST_CACHE_RESULT_CACHE_H_
