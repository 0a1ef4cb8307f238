#include "src/http/net/bad_addresses.h"

#include <algorithm>
#include <utility>

#include "holdfast/base/internal/process.h"

namespace holdfast::http::internal {

BadAddresses& BadAddresses::OfProcess() {
  using PerProcess = holdfast::internal::PerProcess<BadAddresses>;
  static const PerProcess& addresses = *new PerProcess(std::make_shared<BadAddresses>());
  return *addresses.Get();
}

void BadAddresses::Failed(const Address& address, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (!until_.contains(address)) MakeRoom(now);
  until_[address] = SaturatingAdd(now, options_.memory);
}

void BadAddresses::Succeeded(const Address& address) {
  const std::lock_guard lock(mutex_);
  until_.erase(address);
}

void BadAddresses::MoveBehind(std::vector<Address>& addresses, TimePoint now) const {
  const std::lock_guard lock(mutex_);
  if (until_.empty()) return;
  std::vector<Address> bad;
  std::vector<Address> good;
  for (const Address& address : addresses) {
    const auto found = until_.find(address);
    (found != until_.end() && now < found->second ? bad : good).push_back(address);
  }
  good.insert(good.end(), bad.begin(), bad.end());
  addresses = std::move(good);
}

std::size_t BadAddresses::size() const {
  const std::lock_guard lock(mutex_);
  return until_.size();
}

// With the lock held.
void BadAddresses::MakeRoom(TimePoint now) {
  if (until_.size() < std::max<std::size_t>(options_.max_addresses, 1)) return;
  absl::erase_if(until_, [now](const auto& entry) { return entry.second <= now; });
  if (until_.size() < std::max<std::size_t>(options_.max_addresses, 1)) return;
  until_.erase(std::min_element(until_.begin(), until_.end(),
                                [](const auto& a, const auto& b) { return a.second < b.second; }));
}

}  // namespace holdfast::http::internal
