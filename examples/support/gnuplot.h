// Pictures by gnuplot, in one style.
#ifndef HOLDFAST_EXAMPLES_SUPPORT_GNUPLOT_H_
#define HOLDFAST_EXAMPLES_SUPPORT_GNUPLOT_H_

#include <absl/status/status.h>

#include <string>

namespace support {

inline constexpr char kShadeColor[] = "#e4e4ea";
inline constexpr char kTextColor[] = "#70707c";

// `text` as a string of a script, on one line.
std::string Quoted(const std::string& text);

// Panels one below the other, with the same axes.
struct Page {
  std::string path;   // of the SVG file
  int panels = 1;     // >= 1
  double end = 1;     // of the axis of seconds; > 0
  double top = 1;     // of the other axis; > 0
  std::string label;  // of the other axis
};

// What a script begins with; it ends with "unset multiplot\n".
std::string BeginPage(const Page& page);

// A rectangle over the whole height of the next panel, behind everything: a fault.
std::string Shade(double from, double to);

// Runs the script. Errors:
//   kNotFound     gnuplot is not installed
//   kUnavailable  it can't be started
//   kUnknown      it failed, as where the file can't be written
absl::Status Draw(const std::string& script);

}  // namespace support

#endif  // HOLDFAST_EXAMPLES_SUPPORT_GNUPLOT_H_
