// StopToken is a std::stop_token in options: made from one, and used as one.
//
//   const holdfast::WaitOptions options{.stop = token};
//   bool stopped = options.stop.stop_requested();
#ifndef HOLDFAST_BASE_STOP_TOKEN_H_
#define HOLDFAST_BASE_STOP_TOKEN_H_

#include <memory>
#include <stop_token>
#include <utility>

namespace holdfast {

// Options are written in braces, also within a co_await expression. There g++ 12 copies the members
// of a braced aggregate bit by bit out of temporaries and then destroys both, so that a
// std::stop_token gives up its share of the state twice. So this one knows where it was made: what
// is elsewhere is such a copy, reads the same, as the temporary lives until the end of the
// expression, and gives up nothing. A copy that is made as copies should be is one like any other.
class StopToken {
 public:
  StopToken() noexcept {}                    // of nothing: never stopped
  StopToken(std::stop_token token) noexcept  // NOLINT(google-explicit-constructor): as it is one
      : home_(this), token_(std::move(token)) {}
  // Also from what is about to go away: a copy in bits has nothing to give.
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
    std::stop_token token_ = {};  // of nothing, where home_ is null
  };
};

}  // namespace holdfast

#endif  // HOLDFAST_BASE_STOP_TOKEN_H_
