#include "holdfast/base/error.h"

#include <absl/strings/string_view.h>

#include <cerrno>
#include <string>
#include <string_view>

#include "holdfast/base/internal/string_view.h"
#include "holdfast/base/result.h"

namespace holdfast {
namespace {

using internal::ToAbsl;

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "holdfast"; }
  std::string message(int code) const override {
    return absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
  }
  std::error_condition default_error_condition(int code) const noexcept override {
    switch (static_cast<absl::StatusCode>(code)) {
      case absl::StatusCode::kCancelled:
        return std::errc::operation_canceled;
      case absl::StatusCode::kDeadlineExceeded:
        return std::errc::timed_out;
      default:
        return {code, *this};
    }
  }
};

absl::StatusCode CodeOf(const std::error_code& error) {
  const std::error_category& category = error.category();
  if (category == StatusCategory()) return static_cast<absl::StatusCode>(error.value());
  // Asio's, by name, since Asio is not to be needed here: eof, and host_not_found_try_again.
  const std::string_view name = category.name();
  if (error.value() == 2 && (name == "asio.misc" || name == "asio.netdb")) {
    return absl::StatusCode::kUnavailable;
  }
  // Asio's own system category does not say that its values are errno's.
  const std::error_condition condition = error.default_error_condition();
  if (condition.category() != std::generic_category() && category != std::system_category() &&
      name != "asio.system" && name != "system") {
    return absl::StatusCode::kUnknown;
  }
  switch (condition.value()) {
    case EPIPE:
    case ENOTCONN:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::ErrnoToStatusCode(condition.value());
  }
}

}  // namespace

StatusError::StatusError(absl::Status status)
    : std::runtime_error(status.ToString()), status_(std::move(status)) {}

absl::Status StatusOf(const std::error_code& error) {
  if (!error) return absl::OkStatus();
  return absl::Status(CodeOf(error), ToAbsl(error.message()));
}

const std::error_category& StatusCategory() {
  static const Category category;
  return category;
}

const absl::Status& internal::NoValue() {
  static const absl::Status status = absl::UnavailableError("the result has no value");
  return status;
}

absl::Status StatusOfException(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const StatusError& e) {
    return e.status();
  } catch (const std::system_error& e) {
    if (e.code()) return absl::Status(CodeOf(e.code()), ToAbsl(std::string_view(e.what())));
    return absl::UnknownError(ToAbsl(std::string_view(e.what())));
  } catch (const std::exception& e) {
    return absl::UnknownError(ToAbsl(std::string_view(e.what())));
  } catch (...) {
    return absl::UnknownError("an exception that is no std::exception");
  }
}

}  // namespace holdfast
