#include "holdfast/call/trace_context.h"

#include <absl/random/distributions.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace holdfast {
namespace {

constexpr std::size_t kMostKey = 256;
constexpr std::size_t kMostValue = 256;
constexpr std::size_t kLongMember = 128;  // goes before shorter ones where there is no room
constexpr std::string_view kBlanks = " \t";

// Lower-case digits only; -1: none.
int DigitOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// False unless the text is two digits for each byte.
bool ReadHex(std::string_view text, std::span<std::uint8_t> bytes) {
  if (text.size() != 2 * bytes.size()) return false;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = DigitOf(text[2 * i]);
    const int low = DigitOf(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return true;
}

bool IsLowerOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool IsKey(std::string_view key) {
  if (key.empty() || key.size() > kMostKey || !IsLowerOrDigit(key.front())) return false;
  return std::ranges::all_of(key, [](char c) {
    return IsLowerOrDigit(c) || c == '_' || c == '-' || c == '*' || c == '/' || c == '@';
  });
}

// A blank may stand in it, but not at its end.
bool IsValue(std::string_view value) {
  if (value.empty() || value.size() > kMostValue || value.back() == ' ') return false;
  return std::ranges::all_of(value,
                             [](char c) { return c >= ' ' && c <= '~' && c != ',' && c != '='; });
}

std::string_view WithoutBlanks(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// The members of a tracestate, whole, in their order.
class Members {
 public:
  // False: malformed, or there are too many.
  bool AddLine(std::string_view line) {
    for (;;) {
      const std::size_t comma = line.find(',');
      if (!Add(WithoutBlanks(line.substr(0, comma)))) return false;
      if (comma == std::string_view::npos) return true;
      line.remove_prefix(comma + 1);
    }
  }

  // What there is room for.
  std::string Join() {
    while (Length() > TraceContext::kMostState) DropOne();
    std::string text;
    text.reserve(Length());
    for (const std::string_view member : members_) {
      if (!text.empty()) text += ',';
      text += member;
    }
    return text;
  }

 private:
  static std::string_view KeyOf(std::string_view member) {
    return member.substr(0, member.find('='));
  }

  // An empty one is allowed, and does not count. Of equal keys the first, which is the latest, is
  // kept.
  bool Add(std::string_view member) {
    if (member.empty()) return true;
    const std::size_t equals = member.find('=');
    if (equals == std::string_view::npos) return false;
    if (!IsKey(KeyOf(member)) || !IsValue(member.substr(equals + 1))) return false;
    if (++count_ > TraceContext::kMostMembers) return false;
    if (std::ranges::find(members_, KeyOf(member), &KeyOf) == members_.end()) {
      members_.push_back(member);
    }
    return true;
  }

  std::size_t Length() const {
    std::size_t length = members_.empty() ? 0 : members_.size() - 1;  // the commas
    for (const std::string_view member : members_) length += member.size();
    return length;
  }

  void DropOne() {
    const auto long_one =
        std::find_if(members_.rbegin(), members_.rend(),
                     [](std::string_view member) { return member.size() > kLongMember; });
    members_.erase(long_one == members_.rend() ? std::prev(members_.end())
                                               : std::prev(long_one.base()));
  }

  std::vector<std::string_view> members_;
  std::size_t count_ = 0;  // with those whose key was there
};

template <std::size_t kSize>
std::array<std::uint8_t, kSize> RandomId(absl::BitGenRef random) {
  std::array<std::uint8_t, kSize> id = {};
  do {
    for (std::size_t i = 0; i < kSize; i += 8) {
      const auto word = absl::Uniform<std::uint64_t>(random);
      for (std::size_t j = 0; j < 8; ++j) id[i + j] = static_cast<std::uint8_t>(word >> (8 * j));
    }
  } while (std::ranges::count(id, 0) == kSize);
  return id;
}

}  // namespace

std::string ToHex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

TraceContext TraceContext::NewRoot(absl::BitGenRef random) {
  return {RandomId<16>(random), RandomId<8>(random), kRandom};
}

std::optional<TraceContext> TraceContext::Parse(std::string_view traceparent,
                                                std::span<const std::string_view> tracestate) {
  // 00-<32 digits>-<16 digits>-<2 digits>
  constexpr std::size_t kSize = 55;
  if (traceparent.size() < kSize) return std::nullopt;
  if (traceparent[2] != '-' || traceparent[35] != '-' || traceparent[52] != '-') {
    return std::nullopt;
  }
  std::array<std::uint8_t, 1> version = {};
  std::array<std::uint8_t, 1> flags = {};
  TraceId trace = {};
  SpanId span = {};
  if (!ReadHex(traceparent.substr(0, 2), version) || !ReadHex(traceparent.substr(3, 32), trace) ||
      !ReadHex(traceparent.substr(36, 16), span) || !ReadHex(traceparent.substr(53, 2), flags)) {
    return std::nullopt;
  }
  if (version[0] == 0xff) return std::nullopt;
  // A later version may append to it.
  if (traceparent.size() > kSize && (version[0] == 0 || traceparent[kSize] != '-')) {
    return std::nullopt;
  }
  if (version[0] != 0) flags[0] &= kSampled;
  TraceContext context(trace, span, flags[0]);
  if (!context.valid()) return std::nullopt;
  (void)context.SetTracestate(tracestate);
  return context;
}

std::string TraceContext::traceparent() const {
  return "00-" + ToHex(trace_) + "-" + ToHex(span_) + "-" + ToHex(std::span(&flags_, 1));
}

bool TraceContext::SetTracestate(std::span<const std::string_view> lines) {
  state_.clear();
  Members members;
  for (const std::string_view line : lines) {
    if (!members.AddLine(line)) return false;
  }
  state_ = members.Join();
  return true;
}

TraceContext TraceContext::WithSpan(const SpanId& span) const {
  TraceContext context = *this;
  context.span_ = span;
  return context;
}

TraceContext TraceContext::WithNewSpan(absl::BitGenRef random) const {
  return WithSpan(RandomId<8>(random));
}

}  // namespace holdfast
