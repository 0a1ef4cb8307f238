// StopToken holds a std::stop_token in an options struct. It converts from and to std::stop_token.
//
//   const holdfast::WaitOptions options{.stop = token};
//   bool stopped = options.stop.stop_requested();
#ifndef HOLDFAST_BASE_STOP_TOKEN_H_
#define HOLDFAST_BASE_STOP_TOKEN_H_

#include <memory>
#include <stop_token>
#include <utility>

namespace holdfast {

// It works around a defect of g++ 12: where options are written in braces within a co_await
// expression, that compiler copies the members of the temporary aggregate bit by bit and then
// destroys both copies, so that a std::stop_token would release its shared state twice. A StopToken
// remembers the address at which it was constructed. A bitwise copy is at another address: it reads
// the same token, which is valid as the temporary lives until the end of the expression, and its
// destructor releases nothing. Copies made by the copy constructor are independent.
class StopToken {
 public:
  StopToken() noexcept {}                    // without a stop state: never stopped
  StopToken(std::stop_token token) noexcept  // NOLINT(google-explicit-constructor): as it is one
      : home_(this), token_(std::move(token)) {}
  // Used for moves as well: a bitwise copy has nothing that could be moved from it.
  StopToken(const StopToken& other) noexcept
      : home_(other.home_ == nullptr ? nullptr : this), token_(other.token_) {}
  StopToken& operator=(const StopToken& other) noexcept {
    if (this != &other) {
      std::destroy_at(this);
      std::construct_at(this, other);
    }
    return *this;
  }
  ~StopToken() {
    if (home_ == this) std::destroy_at(&token_);
  }

  operator const std::stop_token&() const noexcept {  // NOLINT(google-explicit-constructor)
    return token_;
  }
  const std::stop_token& get() const noexcept { return token_; }
  bool stop_requested() const noexcept { return token_.stop_requested(); }
  bool stop_possible() const noexcept { return token_.stop_possible(); }

 private:
  const StopToken* home_ = nullptr;  // where token_ has to be destroyed; null: nowhere
  union {
    // NOLINTNEXTLINE(readability-identifier-naming): a private member, as the union has no name
    std::stop_token token_ = {};  // without a stop state where home_ is null
  };
};

}  // namespace holdfast

#endif  // HOLDFAST_BASE_STOP_TOKEN_H_
