// The axes of a KeyedShard: which limits its keys have, and how a bucket goes on with new ones.
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "src/rate/keyed_shard.h"

namespace holdfast::internal {

// Without a function all keys have the same limits, and their axis stays.
std::uint32_t KeyedShard::Intern(const Limits& limits) {
  if (limits_for_ == nullptr) {
    if (default_axis_ == kNone) {
      default_axis_ = NewAxis(limits_);
      axes_[default_axis_].keys = 1;
    }
    return default_axis_;
  }
  const auto known = axis_of_.try_emplace({limits.rate, limits.burst}, kNone).first;
  if (known->second == kNone) known->second = NewAxis(limits);
  return known->second;
}

std::uint32_t KeyedShard::NewAxis(const Limits& limits) {
  if (free_axes_.empty()) {
    axes_.push_back({});
    limits_of_.resize(axes_.size());
    free_axes_.reserve(axes_.capacity());
    free_axes_.push_back(static_cast<std::uint32_t>(axes_.size() - 1));
  }
  const std::uint32_t number = free_axes_.back();
  free_axes_.pop_back();
  limits_of_[number] = limits;
  axes_[number] = {.axis = AxisFor(limits.rate, limits.burst, now_), .keys = 0, .outdated = false};
  return number;
}

void KeyedShard::Leave(std::uint32_t number) {
  if (--axes_[number].keys > 0) return;
  const Limits& limits = limits_of_[number];
  const auto known = axis_of_.find({limits.rate, limits.burst});
  if (known != axis_of_.end() && known->second == number) axis_of_.erase(known);
  free_axes_.push_back(number);
}

void KeyedShard::BeginAnew(std::uint32_t number) {
  TokenAxis& axis = axes_[number].axis;
  TokenAxis next = AxisFor(limits_of_[number].rate, limits_of_[number].burst, now_);
  next.Continue(axis);
  keys_.ForEach([&](std::uint32_t key) {
    if (keys_[key].limits == number) Convert(keys_[key], axis, next, TokenCarryOver::kAsIs);
  });
  axis = next;
}

// Goes on with what the bucket holds at now_, on another axis; that one begins now if anybody
// waits.
void KeyedShard::Convert(KeyState& state, const TokenAxis& from, const TokenAxis& to,
                         TokenCarryOver carry_over) {
  tally_.NextAxis();
  if (from.infinite() && now_ > from.begin) tally_.Forgive();
  CoreOn(state, from).MoveTo(to, carry_over);
}

void KeyedShard::Move(KeyState& state, std::uint32_t number, TokenCarryOver carry_over) {
  Convert(state, axes_[state.limits].axis, axes_[number].axis, carry_over);
  ++axes_[number].keys;
  Leave(state.limits);
  state.limits = number;
}

void KeyedShard::Settle(std::uint32_t key, const Limits& limits) {
  KeyState& state = keys_[key];
  const bool waits = ScheduleOf(state, Present(state.limits)) != nullptr;
  const std::uint32_t number = waits ? NewAxis(limits) : Intern(limits);
  Present(number);
  Move(state, number, carry_over_);
  Enqueue(key);
}

std::size_t KeyedShard::SetLimits(const Limits& limits, TokenCarryOver carry_over) {
  ++settings_;
  limits_ = limits;
  limits_for_ = nullptr;
  const std::size_t forgotten = carry_over == TokenCarryOver::kReset ? ForgetIdle() : 0;
  if (axes_.size() == free_axes_.size()) return forgotten;  // no keys

  const std::uint32_t old = std::exchange(default_axis_, NewAxis(limits));
  Axis& next = axes_[default_axis_];
  next.keys = 1;
  if (old != kNone) next.axis.Continue(axes_[old].axis);
  idle_.Clear();
  keys_.ForEach([&](std::uint32_t key) {
    Move(keys_[key], default_axis_, carry_over);
    idle_.Push(keys_, key, FullAt(key));
  });
  if (old != kNone) Leave(old);
  return forgotten;
}

std::size_t KeyedShard::SetLimits(const LimitsFor& limits_for, TokenCarryOver carry_over) {
  ++settings_;
  limits_for_ = limits_for;
  carry_over_ = carry_over;
  const std::size_t forgotten = carry_over == TokenCarryOver::kReset ? ForgetIdle() : 0;
  for (Axis& axis : axes_) axis.outdated = true;
  axis_of_.clear();
  if (default_axis_ != kNone) Leave(std::exchange(default_axis_, kNone));
  // Who waits comes to have its key's limits asked for.
  for (const auto& waiting : waiting_) {
    waiting->schedule.ForEach([](const Promise& promise) {
      if (promise.waker != nullptr) promise.waker->Wake();
    });
  }
  return forgotten;
}

bool KeyedShard::AnyMoves(std::uint32_t key) const {
  const std::uint32_t number = keys_[key].waiting;
  return number != kNone && waiting_[number]->schedule.AnyMoves();
}

// Which leaves each with a full bucket, once it is seen again; all but those for which a call
// waits.
std::size_t KeyedShard::ForgetIdle() {
  const std::size_t size = keys_.size();
  tally_.Forgive();
  std::vector<std::uint32_t> idle;
  if (std::ranges::any_of(waiting_, [](const auto& w) { return w->schedule.AnyMoves(); })) {
    keys_.ForEach([&](std::uint32_t key) {
      if (!AnyMoves(key)) idle.push_back(key);
    });
    for (const std::uint32_t key : idle) {
      const std::uint32_t number = keys_[key].waiting;
      if (number != kNone) waiting_[number]->schedule.ForgetFixed();
      idle_.Remove(keys_, key);
      Erase(key);
    }
    return idle.size();
  }
  for (const auto& waiting : waiting_) waiting->schedule.ForgetFixed();
  waiting_.clear();
  idle_.Clear();
  keys_.Clear();
  axes_.clear();
  limits_of_.clear();
  free_axes_.clear();
  axis_of_.clear();
  default_axis_ = kNone;
  return size;
}

}  // namespace holdfast::internal
