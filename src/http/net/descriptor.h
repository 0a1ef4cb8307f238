// Owns a file descriptor.
#ifndef HOLDFAST_SRC_HTTP_NET_DESCRIPTOR_H_
#define HOLDFAST_SRC_HTTP_NET_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace holdfast::http::internal {

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  ~Descriptor() { Reset(); }

  explicit operator bool() const { return number_ >= 0; }
  int get() const { return number_; }  // -1: none

  [[nodiscard]] int Release() { return std::exchange(number_, -1); }
  void Reset(int number = -1) {
    if (number_ >= 0) ::close(number_);  // the kernel frees it even if this fails
    number_ = number;
  }

 private:
  int number_ = -1;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_NET_DESCRIPTOR_H_
