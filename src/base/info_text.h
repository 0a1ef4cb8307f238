// The words of PolicyInfo::settings, and how messages begin.
#ifndef HOLDFAST_SRC_BASE_INFO_TEXT_H_
#define HOLDFAST_SRC_BASE_INFO_TEXT_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "holdfast/base/time.h"

namespace holdfast::internal {

// Those that are not empty.
std::string JoinSettings(std::initializer_list<std::string> settings);

// "<type> <name>: <text>", without the name if that is empty.
std::string TitledText(std::string_view type, std::string_view name, std::string_view text);

std::string DurationText(Duration d);                             // 1.5s
std::string NameText(const std::string& name);                    // "orders", in quotes
std::string CountText(std::int64_t n, std::string_view of_what);  // 1 probe, 2 probes
std::string RateText(double rate);                                // 100/s
std::string QuantileText(double quantile);                        // p99
std::string MaxWaitText(Duration max_wait);                       // waits up to 2s

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_BASE_INFO_TEXT_H_
