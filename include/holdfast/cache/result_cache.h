// A ResultCache keeps results by key for a limited time, in limited memory.
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
#include "holdfast/call/collector.h"

namespace holdfast {

template <class R>
class Cache;

// Bounded by entries and by bytes; the least recently used entry is evicted first. Get returns a
// copy. Thread-safe: one mutex, held for a lookup, but not while a result is copied, made or
// destroyed.
template <class R>
class ResultCache {
 public:
  struct Options {
    // How long a success is fresh; > 0, required.
    TimeSpan ttl{0};
    // How long a failure of the service is kept; >= 0, zero: failures are not kept.
    TimeSpan negative_ttl{0};
    // How long after its ttl a success may still be returned while one call revalidates it; >= 0
    // (RFC 5861, stale-while-revalidate).
    TimeSpan stale_while_revalidate{0};
    // How long after its ttl a success replaces a failure; >= 0 (RFC 5861, stale-if-error). If that
    // failure was the service's, the stale success is then returned for negative_ttl before the
    // next call goes down.
    TimeSpan stale_if_error{0};
    // Entries at most; >= 1.
    std::int64_t max_entries = 10'000;
    // The sum of the sizes of all entries, at most, in bytes; >= 0. An entry that is larger by
    // itself is not kept. The default, 100 MiB, is that of ASP.NET Core's response cache
    // (SizeLimit).
    std::int64_t max_bytes = std::int64_t{100} << 20;
    // The size of a result in bytes; a negative one counts as 0. Null: sizeof(R), without the
    // memory that a result points to (the characters of a std::string): give one for such results.
    // The size of the key is added.
    std::function<std::int64_t(const R&)> size_of = nullptr;
    // How long this result is fresh, in place of ttl or negative_ttl; zero or less: it is not kept.
    // Called by Cache, not by Put. Its exceptions pass to the caller.
    std::function<TimeSpan(const Call&, const R&)> ttl_of = nullptr;
    std::string name = {};   // for messages
    Clock* clock = nullptr;  // for methods without At; null: SteadyClock(); must outlive this
  };

  // Throws std::invalid_argument with the text of Validate.
  explicit ResultCache(Options options)
      : name_(options.name),
        options_(internal::Validated(std::move(options))),
        table_(Terms(*options_.Read(), name_)),
        refusals_(RejectionKind::kOther, "Cache", name_, "answer"),
        clock_(options_.Read()->clock) {}

  // The fresh result for the key; nullopt if there is none.
  [[nodiscard]] std::optional<R> Get(std::string_view key) { return GetAt(Now(), key); }
  [[nodiscard]] std::optional<R> GetAt(TimePoint now, std::string_view key) {
    const internal::CacheTable::Value value = table_.Get(key, now);
    if (value == nullptr) return std::nullopt;
    return *static_cast<const R*>(value.get());
  }

  // Keeps a result for ttl, a failure too, and replaces the entry for the key.
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

  // Drop one entry, or all. A call for the key that is below a Cache at that moment does not store
  // its result, and calls that come afterwards do not wait for it.
  void Erase(std::string_view key) { table_.Erase(key); }
  void Clear() { table_.Clear(); }

  CacheStats stats() const { return table_.stats(); }
  // Tells holdfast.cache.*; drops no entry.
  void Collect(Collector& collector) const { table_.Collect(collector); }
  const std::string& name() const { return name_; }

  // Replaces all options while calls run. Results that come from now on follow the new ttl,
  // negative_ttl, ttl_of and size_of; present entries keep their expiry and their size. The times
  // for stale results apply from the next lookup on; a call that is below keeps what it found.
  // Entries beyond smaller bounds are evicted at once. Name and clock cannot change: leave them
  // out, or give the present ones. kInvalidArgument, with nothing changed, for what Validate
  // refuses and for another name or clock.
  absl::Status Update(Options options) {
    return internal::CommitNow(PrepareUpdate(std::move(options)));
  }
  // The present options; to change one of them, Update with a changed copy.
  Options options() const {
    Options options = *options_.Read();
    options.clock = clock_.given();
    return options;
  }
  // For UpdateAll: see internal/changes.h.
  absl::StatusOr<internal::Commit> PrepareUpdate(Options options) {
    if (absl::Status status =
            internal::KeepNameAndValidate("ResultCache", name_, clock_.given(), options);
        !status.ok()) {
      return status;
    }
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
  // A type without ResultTraits has no failures.
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
