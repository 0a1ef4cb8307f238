#include "src/http_asio/watches.h"

#include <algorithm>
#include <utility>

namespace holdfast::http::internal {

using holdfast::internal::ErrorCode;
using holdfast::internal::Reference;

// Has the watcher live as long as the wait.
class Watches::Handler {
 public:
  using executor_type = AsyncStrand;

  Handler(Watches& watches, std::uint64_t number, Interest interest)
      : watches_(&watches),
        watcher_(watches.watcher_),
        strand_(watches.strand_),
        number_(number),
        interest_(interest) {}

  executor_type get_executor() const noexcept { return strand_; }
  void operator()(const ErrorCode& error) const {
    if (error != net::error::operation_aborted) watches_->Ended(number_, interest_);
  }

 private:
  Watches* watches_;  // a part of the watcher
  Reference<Watcher> watcher_;
  AsyncStrand strand_;
  std::uint64_t number_;
  Interest interest_;
};

int Watches::Await(std::span<const Awaited> all) {
  for (const Awaited& one : all) {
    if (!one.interest.any()) continue;
    auto watch = std::ranges::find_if(
        watches_, [&](Watch& w) { return w.stream.native_handle() == one.descriptor; });
    if (watch == watches_.end()) {
      watch = watches_.emplace(watches_.end(), strand_.get_inner_executor(), ++number_);
      ErrorCode error;
      // NOLINTNEXTLINE(bugprone-unused-return-value): `error` has it as well.
      watch->stream.assign(one.descriptor, error);
      if (error) {
        watches_.erase(watch);
        return error.value();
      }
    }
    Begin(*watch, one.interest);
  }
  return 0;
}

void Watches::Begin(Watch& watch, Interest interest) {
  using Wait = net::posix::stream_descriptor::wait_type;
  if (interest.read && !watch.under_way.read) {
    watch.stream.async_wait(Wait::wait_read, Handler(*this, watch.number, {.read = true}));
    watch.under_way.read = true;
  }
  if (interest.write && !watch.under_way.write) {
    watch.stream.async_wait(Wait::wait_write, Handler(*this, watch.number, {.write = true}));
    watch.under_way.write = true;
  }
}

// A wait may have ended before its watch was let go of, and be called after that.
void Watches::Ended(std::uint64_t number, Interest ready) {
  const auto watch =
      std::ranges::find_if(watches_, [=](const Watch& w) { return w.number == number; });
  if (watch == watches_.end()) return;
  if (ready.read) watch->under_way.read = false;
  if (ready.write) watch->under_way.write = false;
  watcher_.OnReady(watch->stream.native_handle(), ready);
}

void Watches::Clear() noexcept {
  for (Watch& watch : watches_) {
    if (watch.stream.is_open()) watch.stream.release();
  }
  watches_.clear();
}

}  // namespace holdfast::http::internal
