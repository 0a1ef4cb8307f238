#include "holdfast/call/observer.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "holdfast/base/internal/string_view.h"

namespace holdfast {
namespace {

// Whether logfmt takes the text without quotes.
bool IsBare(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return static_cast<unsigned char>(c) > ' ' && c != '"' && c != '=' && c != '\\' && c != 0x7f;
  });
}

void AppendQuoted(std::string& line, std::string_view text) {
  line += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (c == '\n') {
      line += "\\n";
    } else if (static_cast<unsigned char>(c) < ' ' || c == 0x7f) {
      absl::StrAppendFormat(&line, "\\u%04x", static_cast<unsigned char>(c));
    } else {
      line += c;
    }
  }
  line += '"';
}

void AppendPair(std::string& line, std::string_view key, std::string_view value) {
  if (value.empty()) return;
  if (!line.empty()) line += ' ';
  line += key;
  line += '=';
  IsBare(value) ? void(line += value) : AppendQuoted(line, value);
}

void AppendSeconds(std::string& line, std::string_view key, Duration time) {
  if (time == Duration::zero()) return;
  AppendPair(line, key, absl::StrCat(std::chrono::duration<double>(time).count(), "s"));
}

}  // namespace

std::string_view ToString(EventKind kind) {
  constexpr std::array<std::string_view, 12> kNames = {
      "refused", "waited",    "attempt",   "cut_off", "retrying", "gave_up",
      "hedged",  "hedge_won", "fell_back", "dry_run", "ended",    "breaker_changed",
  };
  return kNames[static_cast<std::size_t>(kind)];
}

std::string_view ToString(Severity severity) {
  constexpr std::array<std::string_view, 3> kNames = {"debug", "info", "warning"};
  return kNames[static_cast<std::size_t>(severity)];
}

std::string ToString(const Event& event) {
  std::string line;
  AppendPair(line, "event", ToString(event.kind));
  AppendPair(line, "severity", ToString(event.severity));
  AppendPair(line, "stack", event.stack);
  AppendPair(line, "key", event.key);
  AppendPair(line, "policy", event.policy);
  AppendPair(line, "name", event.name);
  AppendPair(line, "state", event.state);
  AppendPair(line, "reason", event.reason);
  if (event.attempt > 0) AppendPair(line, "attempt", absl::StrCat(event.attempt));
  AppendSeconds(line, "took", event.took);
  AppendSeconds(line, "waited", event.waited);
  if (event.until != TimePoint::min() && event.until != TimePoint::max()) {
    AppendSeconds(line, "until", event.until - event.at);
  }
  if (!event.status.ok()) {
    AppendPair(line, "code", absl::StatusCodeToString(event.status.code()));
    AppendPair(line, "message", internal::ToStd(event.status.message()));
  }
  return line;
}

}  // namespace holdfast
