#include "holdfast/http/headers.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "holdfast/http/wire/message.h"

namespace holdfast::http {
namespace {

auto IsNamed(std::string_view name) {
  return [name](const Header& header) { return wire::EqualsIgnoringCase(header.name, name); };
}

}  // namespace

void Headers::Add(std::string name, std::string value) {
  all_.push_back({.name = std::move(name), .value = std::move(value)});
}

void Headers::Set(std::string name, std::string value) {
  const auto first = std::ranges::find_if(all_, IsNamed(name));
  if (first == all_.end()) {
    Add(std::move(name), std::move(value));
    return;
  }
  all_.erase(std::remove_if(std::next(first), all_.end(), IsNamed(name)), all_.end());
  *first = {.name = std::move(name), .value = std::move(value)};
}

// `name` may be a view of one that moves.
std::size_t Headers::Remove(std::string_view name) {
  const std::string copy(name);
  return std::erase_if(all_, IsNamed(copy));
}

std::optional<std::string_view> Headers::Find(std::string_view name) const {
  const auto first = std::ranges::find_if(all_, IsNamed(name));
  if (first == all_.end()) return std::nullopt;
  return first->value;
}

std::size_t Headers::Count(std::string_view name) const {
  return static_cast<std::size_t>(std::ranges::count_if(all_, IsNamed(name)));
}

bool operator==(const Headers& a, const Headers& b) {
  return std::ranges::equal(a.all_, b.all_, [](const Header& one, const Header& other) {
    return wire::EqualsIgnoringCase(one.name, other.name) && one.value == other.value;
  });
}

}  // namespace holdfast::http
