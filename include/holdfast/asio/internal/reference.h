// A counted reference to an object that counts for itself.
#ifndef HOLDFAST_ASIO_INTERNAL_REFERENCE_H_
#define HOLDFAST_ASIO_INTERNAL_REFERENCE_H_

#include <utility>

namespace holdfast::internal {

template <class T>
class Reference {
 public:
  explicit Reference(T& object) : object_(&object) { object.AddReference(); }
  // Takes over a reference that is already counted.
  static Reference Adopt(T& object) { return Reference(&object); }
  Reference(const Reference& other) : object_(other.object_) {
    if (object_ != nullptr) object_->AddReference();
  }
  Reference(Reference&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  Reference& operator=(Reference other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Reference() {
    if (object_ != nullptr) object_->DropReference();
  }

  explicit operator bool() const { return object_ != nullptr; }
  T* operator->() const { return object_; }
  T& operator*() const { return *object_; }

 private:
  explicit Reference(T* object) : object_(object) {}

  T* object_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_ASIO_INTERNAL_REFERENCE_H_
