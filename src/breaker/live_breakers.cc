#include "src/breaker/live_breakers.h"

#include <utility>

#include "src/breaker/breaker_machine.h"

namespace holdfast::internal {

class LiveBreakers::Member {
 public:
  Member(std::shared_ptr<LiveBreakers> live, CircuitBreaker::Options options, std::size_t key_size)
      : live_(std::move(live)), breaker_(std::move(options)), part_(live_->NextPart()) {
    breaker_.watches_ = {live_, &live_->watches()};
    breaker_.key_size_ = key_size;
    const std::lock_guard lock(part_.mutex);
    place_ = part_.members.size();
    part_.members.push_back(this);
  }
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;
  ~Member() {
    Sums sums;
    const std::lock_guard lock(part_.mutex);
    AddTo(sums, breaker_);
    part_.gone.Add(sums.totals);
    part_.members[place_] = part_.members.back();
    part_.members[place_]->place_ = place_;
    part_.members.pop_back();
  }

  CircuitBreaker& breaker() { return breaker_; }

 private:
  const std::shared_ptr<LiveBreakers> live_;
  CircuitBreaker breaker_;
  Part& part_;
  std::size_t place_;  // in part_.members; under its mutex
};

std::shared_ptr<CircuitBreaker> LiveBreakers::Make(std::shared_ptr<LiveBreakers> live,
                                                   CircuitBreaker::Options options,
                                                   std::size_t key_size) {
  auto member = std::make_shared<Member>(std::move(live), std::move(options), key_size);
  CircuitBreaker* const breaker = &member->breaker();
  return {std::move(member), breaker};
}

LiveBreakers::Sums LiveBreakers::Look() const {
  Sums sums;
  for (const Part& part : parts_) {
    const std::lock_guard lock(part.mutex);
    sums.totals.Add(part.gone);
    for (Member* const member : part.members) AddTo(sums, member->breaker());
  }
  return sums;
}

void LiveBreakers::AddTo(Sums& sums, const CircuitBreaker& breaker) {
  const std::lock_guard lock(breaker.mutex_);
  sums.totals.Add(breaker.machine_->totals());
  ++sums.in_state[static_cast<std::size_t>(breaker.machine_->state())];
}

}  // namespace holdfast::internal
