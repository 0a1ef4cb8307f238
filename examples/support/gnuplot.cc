#include "examples/support/gnuplot.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <absl/strings/substitute.h>

#include <cstdio>
#include <cstdlib>

namespace support {

// Single quotes end a string there, and two of them are one.
std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "''"}, {"\n", " "}}), "'");
}

std::string BeginPage(const Page& page) {
  constexpr int kPanelHeight = 300;  // pixels
  constexpr int kMargins = 110;
  const int height = kPanelHeight * page.panels + kMargins;
  return absl::Substitute(
      "set terminal svg size 1100,$0 font 'sans-serif,13' background '#ffffff'\n"
      "set output $1\n"
      "set multiplot layout $2,1 margins 0.09,0.98,$3,$4 spacing 0,$5\n"
      "set style fill solid noborder\n"
      "set xrange [0:$6]\n"
      "set yrange [0:$7]\n"
      "set ylabel $8\n"
      "set tics nomirror out\n"
      "set border 3 lc rgb '#70707c'\n"
      "set grid ytics lc rgb '#e4e4ea'\n"
      "set key at screen 0.98, screen $9 right top horizontal maxrows 1 Left reverse samplen 1.5\n",
      height, Quoted(page.path), page.panels, 50.0 / height, 1 - 60.0 / height, 70.0 / height,
      page.end, page.top, Quoted(page.label), 1 - 8.0 / height);
}

std::string Shade(double from, double to) {
  return absl::Substitute(
      "set object rectangle from $0, graph 0 to $1, graph 1 behind fc rgb '$2' fs solid noborder\n",
      from, to, kShadeColor);
}

absl::Status Draw(const std::string& script) {
  if (std::system("command -v gnuplot >/dev/null 2>&1") != 0) {
    return absl::NotFoundError("gnuplot is not installed (Debian: gnuplot-nox)");
  }
  std::FILE* const gnuplot = popen("gnuplot -d >/dev/null 2>&1", "w");
  if (gnuplot == nullptr) return absl::UnavailableError("cannot start gnuplot");
  const bool written = std::fwrite(script.data(), 1, script.size(), gnuplot) == script.size();
  if (pclose(gnuplot) != 0 || !written) return absl::UnknownError("gnuplot failed");
  return absl::OkStatus();
}

}  // namespace support
