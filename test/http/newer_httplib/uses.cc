// What a program does with cpp-httplib's types, with the spelling of its newer releases: compiled,
// and never run.
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <httplib.h>

#include <chrono>
#include <cstddef>

#include "holdfast/http.h"
#include "holdfast/http/httplib.h"
#include "holdfast/http/httplib_client.h"
#include "src/http/httplib/names.h"

namespace holdfast::http {

static_assert(
    requires(httplib::DataSink& sink) { sink.done_with_trailer; },
    "this is the stand-in, and not the installed release");
static_assert(HasMessageTraits<httplib::Request>);
static_assert(HasResponseTraits<httplib::Response>);
static_assert(HasRequestTraits<httplib::Request>);
static_assert(HasResultTraits<httplib::Result>);

absl::StatusOr<httplib::Response> Send(const Transport& transport, httplib::Request request,
                                       const httplib::UploadFormDataItems& items) {
  if (absl::Status status = SetMultipart(request, items); !status.ok()) return status;
  return Stack(Retry({}), Timeout(std::chrono::seconds(1))).Around(transport)(request);
}

absl::StatusOr<httplib::Response> Send(const StandardClient& client,
                                       const httplib::Request& request) {
  return client(request);
}

httplib::Result Wrap(const httplib::Request& request) {
  return Stack(Retry({})).Around([](const httplib::Request&) {
    return httplib::Result(nullptr, httplib::Error::Timeout);
  })(request);
}

// NOLINTNEXTLINE(readability-function-size): as many calls as there are kinds of body
httplib::Result Call(HttplibClient& client, const httplib::Headers& headers,
                     const httplib::Params& params, const httplib::UploadFormDataItems& items) {
  client.set_default_headers(headers);
  client.set_basic_auth("user", "password");
  const auto receive = [](const char*, std::size_t) { return true; };
  const auto on_head = [](const httplib::Response&) { return true; };
  const auto progress = [](std::size_t, std::size_t) { return true; };
  const auto provide = [](std::size_t, std::size_t, httplib::DataSink&) { return true; };
  const auto stream = [](std::size_t, httplib::DataSink&) { return true; };
  (void)client.Get("/", progress);
  (void)client.Get("/", headers, on_head, receive, progress);
  (void)client.Get("/", params, headers, receive);
  (void)client.Head("/", headers);
  (void)client.Post("/", items);
  (void)client.Post("/", headers, params);
  (void)client.Put("/", headers, 1, provide, "text/plain");
  (void)client.Patch("/", stream, "text/plain");
  (void)client.Delete("/", headers, "body", "text/plain");
  return client.send(httplib::Request());
}

bool Probes(const httplib::Request& request, const httplib::Result& result) {
  return internal::HasForm(request) || internal::HasProgress(request) ||
         internal::RequestHeaderOf(result, "a", 1).empty();
}

}  // namespace holdfast::http
