// What is still to be written of one request.
#ifndef HOLDFAST_SRC_HTTP_EXCHANGE_UPLOAD_H_
#define HOLDFAST_SRC_HTTP_EXCHANGE_UPLOAD_H_

#include <absl/status/status.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "holdfast/http/message.h"
#include "holdfast/http/wire/message.h"
#include "holdfast/http/wire/writer.h"

namespace holdfast::http::internal {

// What a transport says in a request beside what its caller says. The views are used by Upload's
// constructor only.
struct UploadOptions {
  std::string_view host = {};    // of the origin: the value of Host, unless the request has one
  std::string_view target = {};  // instead of the request's, as for a proxy; empty: the request's
  std::span<const wire::Field> defaults = {};  // where the request has no field of that name
  // Instead of all fields of that name; one without a value takes them away.
  std::span<const wire::Field> overrides = {};
  bool close = false;  // the connection is to end with this exchange, and the request says so
};

// The head, then the body and its end. One thread at a time. An exception of the request's sender
// passes through; the object is then only to be destroyed.
class Upload {
 public:
  // `request` must stay as it is and where it is.
  Upload(const Request& request, const UploadOptions& options);
  Upload(Request&& request, const UploadOptions& options) = delete;
  Upload(const Upload&) = delete;  // the views into it must stay true
  Upload& operator=(const Upload&) = delete;

  // Not OK: the request is refused (kRequest), its sender gave another length than it said
  // (kRequest), or its sender cancelled it. Nothing is given any more.
  const absl::Status& status() const { return status_; }

  // Up to two parts to be written now, in this order, neither of them empty; none if there is
  // nothing (now). They live until the next call of Next or Wrote. Asks the sender for more if all
  // that was given is written.
  std::span<const std::string_view> Next();
  // So many bytes of what Next gave last are written.
  void Wrote(std::size_t bytes);

  // Whether Next gives something, or asks the sender for it.
  bool wants() const;
  // Whether Next gave nothing since the sender had nothing when it was asked last.
  bool stalls() const;

  // With "Expect: 100-continue" the body is held back until Go.
  bool holds() const { return stage_ == Stage::kHeld; }
  bool waits() const { return holds() && empty() && !stopped_; }  // and all else is written
  void Go();
  // Nothing is given any more. What was given may still be written.
  void Stop() { stopped_ = true; }

  bool given() const { return given_; }  // something was given to be written
  bool done() const { return given_ && stage_ == Stage::kOver && empty(); }  // all is written
  // All of it is written, or was given to be and is perhaps written by now.
  bool all_given() const { return all_given_; }

  // Whether the connection ends with this exchange as far as the request says.
  bool closes() const { return closes_; }
  bool asks_upgrade() const { return asks_upgrade_; }

  // Of the body.
  std::uint64_t written() const;
  std::optional<std::uint64_t> length() const;

 private:
  enum class Stage : signed char {
    kHeld,  // the body waits for Go
    kBody,  // more of it is to be taken from the request
    kOver,  // all of the request is in buffer_ and rest_
  };

  absl::Status Begin(const UploadOptions& options);
  bool has_content() const;
  bool chunked() const { return request_.sender && !request_.sender_length; }
  bool empty() const { return begin_ == buffer_.size() && rest_.empty(); }
  void Refill();
  void AddPart();
  void AddChunk();
  void Fail(const absl::Status& status) { status_ = status; }

  const Request& request_;
  absl::Status status_;
  Stage stage_ = Stage::kOver;
  bool stopped_ = false;
  bool given_ = false;
  bool all_given_ = false;
  bool closes_ = false;
  bool asks_upgrade_ = false;
  bool stalls_ = false;  // the sender had nothing
  // The head or a chunk; written up to begin_. Then rest_: of the request's body, or of piece_.
  std::string buffer_;
  std::size_t begin_ = 0;
  std::string_view rest_;
  std::string piece_;
  std::uint64_t offset_ = 0;  // what has been taken of the body
  std::size_t chunk_ = 0;     // bytes of the body in buffer_
  std::array<std::string_view, 2> parts_;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_EXCHANGE_UPLOAD_H_
