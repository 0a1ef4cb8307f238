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

// Throws std::invalid_argument with what is wrong.
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
  if (path == host || text[host] == ':') throw bad("names no host");
  if (text.find_first_of(" \t\r\n") != std::string::npos) throw bad("has white space in it");
  std::string target = text.substr(path, text.find('#', path) - path);  // a fragment is not sent
  if (!target.starts_with('/')) target.insert(0, "/");
  // A request without a method is refused before it is sent, but a bad origin before that.
  const holdfast::http::Transport transport(text.substr(0, path));
  const absl::Status refused = transport(httplib::Request()).status();
  if (refused.message().find("bad URL") != absl::string_view::npos) {
    throw bad("is no URL that can be asked");
  }
  return {.origin = text.substr(0, path), .path = std::move(target)};
}

// Finds out before the run, rather than after it, that the picture could not be written.
std::string CheckWritable(const std::string& path) {
  std::error_code ignored;
  const bool existed = std::filesystem::exists(path, ignored);
  const bool writable = std::ofstream(path, std::ios::app).is_open();
  if (writable && !existed) std::filesystem::remove(path, ignored);
  return writable ? "" : "'" + path + "' can't be written";
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
      "Sends the same requests twice to a server that misbehaves: through a plain client, and\n"
      "through a Holdfast stack. Prints how both fared and draws it.",
      "demo");
  std::string url;
  app.add_option("--url", url, "A real server to ask instead: http://host:port/path");
  app.add_option("--requests", options.requests, "How many, each time")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  app.add_option("--concurrency", options.concurrency, "How many at once, at most")
      ->check(CLI::Range(1, 512))
      ->capture_default_str();
  app.add_option("--rate", options.rate, "How many arrive per second, busy or not")
      ->check(CheckRate)
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Of the server's misbehaviour")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()))
      ->capture_default_str();
  app.add_option("--output", options.output, "Where to draw the timeline, as SVG")
      ->check(CheckWritable)
      ->capture_default_str();
  app.failure_message(OneLine);
  try {
    app.parse(argc, argv);
    if (app.count("--url") > 0) options.url = ParseUrl(url);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::invalid_argument& error) {
    app.exit(CLI::ValidationError(error.what()));
    return 2;
  }
  return std::nullopt;
}

}  // namespace demo
