#include "options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <utility>

#include "holdfast/http.h"

namespace demo {
namespace {

// Throws std::invalid_argument with a message that says what is wrong with `text`.
Url ParseUrl(const std::string& text) {
  const auto bad = [&](const char* why) {
    return std::invalid_argument("--url: '" + text + "' " + why);
  };
  const std::size_t scheme_end = text.find("://");
  const std::string scheme = text.substr(0, scheme_end);
  if (scheme_end == std::string::npos || (scheme != "http" && scheme != "https")) {
    throw bad("does not begin with http:// or https://");
  }
  const std::size_t host = scheme_end + 3;
  const std::size_t path = std::min(text.find_first_of("/?#", host), text.size());
  if (path == host || text[host] == ':') throw bad("has no host");
  if (text.find_first_of(" \t\r\n") != std::string::npos) throw bad("contains white space");
  std::string target = text.substr(path, text.find('#', path) - path);  // a fragment is not sent
  if (!target.starts_with('/')) target.insert(0, "/");
  // A request without a method is refused before it is sent, but a bad origin before that.
  const holdfast::http::Transport transport(text.substr(0, path));
  const absl::Status refused = transport({.method = ""}).status();
  if (refused.message().find("bad URL") != absl::string_view::npos) {
    throw bad("is not a valid URL");
  }
  return {.origin = text.substr(0, path), .path = std::move(target)};
}

// Checks before the run, rather than after it, whether the timeline can be written.
std::string CheckWritable(const std::string& path) {
  std::error_code ignored;
  const bool existed = std::filesystem::exists(path, ignored);
  const bool writable = std::ofstream(path, std::ios::app).is_open();
  if (writable && !existed) std::filesystem::remove(path, ignored);
  return writable ? "" : "'" + path + "' is not writable";
}

std::string CheckRate(const std::string& text) {
  double rate = 0;
  // The negation refuses NaN as well.
  if (!CLI::detail::lexical_cast(text, rate) || !(rate >= 0.1 && rate <= 10'000)) {
    return "'" + text + "' is not between 0.1 and 10000";
  }
  return "";
}

std::string OneLine(const CLI::App* app, const CLI::Error& error) {
  return app->get_name() + ": " + error.what() + " (see --help)\n";
}

}  // namespace

std::optional<int> ParseOptions(int argc, char** argv, Options& options) {
  CLI::App app(
      "Runs the same load on a failing server through a plain client and through a Holdfast\n"
      "stack. Prints a comparison and writes the timeline of both as SVG.",
      "demo");
  std::string url;
  app.add_option("--url", url,
                 "Server to use: http://host:port/path (default: a failing server on loopback)");
  app.add_option("--requests", options.requests, "Requests per client")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--concurrency", options.concurrency, "Maximum concurrent requests per client")
      ->check(CLI::Range(1, 512))
      ->capture_default_str();
  app.add_option("--rate", options.rate,
                 "Arrivals per second, 0.1 to 10000, whether or not earlier requests have ended")
      ->check(CheckRate)
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Seed of the server's fault schedule")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()))
      ->capture_default_str();
  app.add_option("--output", options.output, "File to write the timeline to (SVG)")
      ->check(CheckWritable)
      ->capture_default_str();
  std::string serve;
  app.add_flag("--serve{0}", serve,
               "Show the run on a page, and keep it open until Ctrl-C; --serve=PORT chooses the\n"
               "port on loopback (default: a free one)")
      ->check(CLI::Range(0, 65'535));
  app.failure_message(OneLine);
  try {
    app.parse(argc, argv);
    if (app.count("--url") > 0) options.url = ParseUrl(url);
    if (app.count("--serve") > 0) options.serve = std::stoi(serve);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::invalid_argument& error) {
    app.exit(CLI::ValidationError(error.what()));
    return 2;
  }
  return std::nullopt;
}

}  // namespace demo
