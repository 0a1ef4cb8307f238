#include "src/http/exchange/upload.h"

#include <absl/container/inlined_vector.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/http/transport_error.h"

namespace holdfast::http::internal {
namespace {

using Fields = absl::InlinedVector<wire::Field, 16>;

constexpr std::size_t kUsualHead = 500;  // bytes

absl::Status Refused(absl::string_view why) {
  return WithTransportError(absl::InvalidArgumentError(why), TransportError::kRequest);
}

// What the request says of its body in two ways.
absl::Status CheckBody(const Request& request) {
  if (request.sender && !request.body.empty()) {
    return Refused("the request has both a body and a sender");
  }
  if (request.sender_length && !request.sender) {
    return Refused("the request has a sender_length and no sender");
  }
  if (request.trailers && (!request.sender || request.sender_length)) {
    return Refused("the request has trailers, which need a sender without a length");
  }
  const bool bare = request.method == "CONNECT" || request.method == "TRACE";
  if (bare && (request.sender || !request.body.empty())) {
    return Refused(absl::StrCat("a request with ", request.method, " has no body"));
  }
  return absl::OkStatus();
}

bool Names(std::span<const wire::Field> fields, std::string_view name) {
  return wire::FindField(fields, name).has_value();
}

// An expectation without content is not to be sent (RFC 9110, 10.1.1).
Fields FieldsOf(const Request& request, const UploadOptions& options, bool has_content) {
  Fields fields;
  fields.reserve(request.headers.size() + options.defaults.size() + options.overrides.size());
  for (const Header& header : request.headers) {
    if (Names(options.overrides, header.name)) continue;
    const wire::Field field = {.name = header.name, .value = header.value};
    const bool expects = wire::EqualsIgnoringCase(field.name, "Expect") &&
                         wire::EqualsIgnoringCase(field.value, "100-continue");
    if (!expects || has_content) fields.push_back(field);
  }
  for (const wire::Field& field : options.defaults) {
    if (!request.headers.Has(field.name) && !Names(options.overrides, field.name)) {
      fields.push_back(field);
    }
  }
  std::ranges::copy_if(options.overrides, std::back_inserter(fields),
                       [](const wire::Field& field) { return !field.value.empty(); });
  return fields;
}

wire::BodyPlan PlanOf(const Request& request) {
  if (request.sender) {
    return request.sender_length ? wire::BodyPlan::Length(*request.sender_length)
                                 : wire::BodyPlan::Chunked();
  }
  // A caller may say that there is nothing.
  const bool says_length = request.headers.Has("Content-Length");
  if (request.body.empty() && !says_length) return {};
  return wire::BodyPlan::Length(request.body.size());
}

}  // namespace

Upload::Upload(const Request& request, const UploadOptions& options) : request_(request) {
  status_ = Begin(options);
}

bool Upload::has_content() const {
  return request_.sender ? request_.sender_length != 0 : !request_.body.empty();
}

absl::Status Upload::Begin(const UploadOptions& options) {
  if (absl::Status status = CheckBody(request_); !status.ok()) return status;
  const Fields fields = FieldsOf(request_, options, has_content());
  const bool says_close = wire::HasToken(fields, "Connection", "close");
  const bool says_keep = wire::HasToken(fields, "Connection", "keep-alive");
  closes_ = options.close || says_close;
  asks_upgrade_ = Names(fields, "Upgrade");
  const std::string_view target = options.target.empty() ? request_.target : options.target;
  buffer_.reserve(kUsualHead);
  // To ask for a connection that is kept, and to close it, is no contradiction.
  absl::Status status =
      wire::WriteHead({.method = request_.method,
                       .target = target,
                       .host = wire::FindField(fields, "Host").value_or(options.host),
                       .fields = fields,
                       .body = PlanOf(request_),
                       .close = says_close || (options.close && !says_keep)},
                      buffer_);
  if (!status.ok()) return WithTransportError(std::move(status), TransportError::kRequest);
  if (has_content()) {
    stage_ = wire::HasToken(fields, "Expect", "100-continue") ? Stage::kHeld : Stage::kBody;
  }
  return absl::OkStatus();
}

std::span<const std::string_view> Upload::Next() {
  if (stopped_ || !status_.ok()) return {};
  // The first part of the body goes with the head.
  if (stage_ == Stage::kBody && (!given_ || empty())) Refill();
  if (!status_.ok()) return {};
  std::size_t count = 0;
  const std::string_view front = std::string_view(buffer_).substr(begin_);
  if (!front.empty()) parts_[count++] = front;
  if (!rest_.empty()) parts_[count++] = rest_;
  given_ = given_ || count > 0;
  all_given_ = given_ && stage_ == Stage::kOver;
  return std::span<const std::string_view>(parts_).first(count);
}

void Upload::Refill() {
  if (!request_.sender) {
    rest_ = request_.body;
    offset_ = rest_.size();
    stage_ = Stage::kOver;
    return;
  }
  piece_.clear();
  const BodyAnswer answer = request_.sender(offset_, piece_);
  if (answer.cancels()) {
    Fail(absl::CancelledError("the request's sender cancelled it"));
    return;
  }
  stalls_ = answer.later() && piece_.empty();
  if (stalls_) return;
  if (chunked()) {
    AddChunk();
  } else {
    AddPart();
  }
}

void Upload::AddPart() {
  const std::uint64_t left = request_.sender_length.value_or(0) - offset_;
  if (piece_.empty() || piece_.size() > left) {
    Fail(Refused(absl::StrCat("the request's sender gave ", piece_.empty() ? "less" : "more",
                              " than its length of ", offset_ + left, " bytes")));
    return;
  }
  rest_ = piece_;
  offset_ += piece_.size();
  if (piece_.size() == left) stage_ = Stage::kOver;
}

void Upload::AddChunk() {
  if (!piece_.empty()) {
    wire::WriteChunk(piece_, buffer_);
    chunk_ = piece_.size();
    offset_ += chunk_;
    return;
  }
  const Headers trailers = request_.trailers ? request_.trailers() : Headers();
  Fields fields;
  for (const Header& header : trailers) {
    fields.push_back({.name = header.name, .value = header.value});
  }
  absl::Status status = wire::WriteLastChunk(fields, buffer_);
  if (status.ok()) {
    stage_ = Stage::kOver;
  } else {
    Fail(WithTransportError(std::move(status), TransportError::kRequest));
  }
}

bool Upload::stalls() const { return stalls_ && empty(); }

void Upload::Wrote(std::size_t bytes) {
  const std::size_t front = std::min(bytes, buffer_.size() - begin_);
  begin_ += front;
  if (begin_ == buffer_.size()) {
    buffer_.clear();
    begin_ = 0;
    chunk_ = 0;
  }
  rest_.remove_prefix(std::min(bytes - front, rest_.size()));
  all_given_ = done();
}

bool Upload::wants() const {
  return !stopped_ && status_.ok() && (!empty() || stage_ == Stage::kBody);
}

void Upload::Go() {
  if (stage_ == Stage::kHeld) stage_ = Stage::kBody;
}

std::uint64_t Upload::written() const { return offset_ - chunk_ - rest_.size(); }

std::optional<std::uint64_t> Upload::length() const {
  if (request_.sender) return request_.sender_length;
  return request_.body.size();
}

}  // namespace holdfast::http::internal
