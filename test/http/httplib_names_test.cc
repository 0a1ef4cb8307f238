// The releases of cpp-httplib that this build does not have, as types with the members that matter.

#include <httplib.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "holdfast/http.h"
#include "src/http/httplib/names.h"
#include "test/http/test_server.h"
#include "test/support/catch.h"

namespace holdfast::http::httplib_names_test {
namespace {

using test::ContainsSubstring;

struct OldClient {
  void set_url_encode(bool on) { encodes = on; }
  bool encodes = true;
};
struct NewClient {
  void set_path_encode(bool on) { encodes = on; }
  bool encodes = true;
};

TEST_CASE("paths are sent as they are by every release") {
  OldClient old;
  internal::SetPathEncode(old, false);
  CHECK_FALSE(old.encodes);
  NewClient fresh;
  internal::SetPathEncode(fresh, false);
  CHECK_FALSE(fresh.encodes);
}

struct OldResult {
  std::string get_request_header_value(const std::string& name, std::size_t id = 0) const {
    return name + std::to_string(id);
  }
};
struct NewResult {
  std::string get_request_header_value(const std::string& name, const char* def = "",
                                       std::size_t id = 0) const {
    return name + def + std::to_string(id);
  }
};

TEST_CASE("the header that is asked for by number is found in every release") {
  CHECK(internal::RequestHeaderOf(OldResult(), "a", 2) == "a2");
  CHECK(internal::RequestHeaderOf(NewResult(), "a", 2) == "a2");
  CHECK(internal::RequestHeaderOf(NewResult(), "a") == "a0");
}

TEST_CASE("a status keeps each of its payloads in a result of the installed release") {
  absl::Status status = absl::UnavailableError("busy");
  status.SetPayload("a", absl::Cord("1"));
  status.SetPayload("b", absl::Cord("2"));
  using Traits = ResultTraits<httplib::Result>;
  CHECK(Traits::StatusOf(Traits::FromStatus(status)) == status);
}

struct OldRequest {
  std::multimap<std::string, std::string> files;
  std::function<bool(std::uint64_t, std::uint64_t)> progress;
};
struct NewRequest {
  struct {
    std::multimap<std::string, std::string> fields, files;
  } form;
  std::function<bool(std::size_t, std::size_t)> download_progress, upload_progress;
};

TEST_CASE("the form of a server's request is noticed in every release") {
  CHECK_FALSE(internal::HasForm(OldRequest()));
  CHECK(internal::HasForm(OldRequest{.files = {{"a", "b"}}, .progress = nullptr}));
  NewRequest fresh;
  CHECK_FALSE(internal::HasForm(fresh));
  SECTION("a field") { fresh.form.fields = {{"a", "b"}}; }
  SECTION("a file") { fresh.form.files = {{"a", "b"}}; }
  CHECK(internal::HasForm(fresh));
}

TEST_CASE("a request with a form is refused by the installed release") {
  httplib::Request request = test::MakeRequest("POST", "/");
  test::AddFormFile(request, "a", "b");
  const absl::Status status = Transport("http://127.0.0.1:1")(request).status();
  CHECK(status.code() == absl::StatusCode::kInvalidArgument);
  CHECK_THAT(std::string(status.message()), ContainsSubstring("SetMultipart"));
}

TEST_CASE("a callback for progress is noticed in every release") {
  const auto go_on = [](std::uint64_t, std::uint64_t) { return true; };
  CHECK_FALSE(internal::HasProgress(OldRequest()));
  CHECK(internal::HasProgress(OldRequest{.files = {}, .progress = go_on}));
  NewRequest fresh;
  CHECK_FALSE(internal::HasProgress(fresh));
  SECTION("of the download") { fresh.download_progress = go_on; }
  SECTION("of the upload") { fresh.upload_progress = go_on; }
  CHECK(internal::HasProgress(fresh));
}

}  // namespace
}  // namespace holdfast::http::httplib_names_test
