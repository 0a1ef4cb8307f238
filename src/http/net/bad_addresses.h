// Remembers for a while which addresses could not be connected to.
#ifndef HOLDFAST_SRC_HTTP_NET_BAD_ADDRESSES_H_
#define HOLDFAST_SRC_HTTP_NET_BAD_ADDRESSES_H_

#include <absl/container/flat_hash_map.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

#include "holdfast/base/time.h"
#include "src/http/net/address.h"

namespace holdfast::http::internal {

// A race of connections begins with the addresses that are not bad, so that a host whose first
// address is silent costs a delay once, and not with each connection. A bad address is tried after
// the others, never left out. Thread-safe.
class BadAddresses {
 public:
  struct Options {
    TimeSpan memory = std::chrono::seconds(60);  // how long a failure counts
    // 1 or more. Of more the one is forgotten whose failure is the oldest.
    std::size_t max_addresses = 256;
  };

  BadAddresses() : BadAddresses(Options()) {}
  explicit BadAddresses(Options options) : options_(options) {}
  BadAddresses(const BadAddresses&) = delete;
  BadAddresses& operator=(const BadAddresses&) = delete;

  // The one for the transports of this process, whose addresses they share.
  static BadAddresses& OfProcess();

  void Failed(const Address& address, TimePoint now);
  void Succeeded(const Address& address);

  // Puts those that are bad behind the others; among each kind the order stays.
  void MoveBehind(std::vector<Address>& addresses, TimePoint now) const;

  std::size_t size() const;

  // The child of a fork() begins with none (process.h).
  std::shared_ptr<BadAddresses> MakeAnew() const {
    return std::make_shared<BadAddresses>(options_);
  }
  void Abandon() noexcept {}

 private:
  void MakeRoom(TimePoint now);

  const Options options_;
  mutable std::mutex mutex_;
  absl::flat_hash_map<Address, TimePoint> until_;  // forgotten then
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_BAD_ADDRESSES_H_
