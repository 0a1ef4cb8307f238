// A value that is replaced while others read it.
#ifndef HOLDFAST_BASE_INTERNAL_VERSIONS_H_
#define HOLDFAST_BASE_INTERNAL_VERSIONS_H_

#include <absl/base/attributes.h>
#include <absl/base/optimization.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>

namespace holdfast::internal {

// Readers take no lock and wait for nobody. A reader pins the version that it finds, and that one
// lives until the last pin of it has gone; the first lives as long as this does, so that reading
// costs a load until there is another one.
//
// Why that is safe: one word holds where the present version is and how often it was pinned, so to
// find it and to be counted is one step. What was unpinned is counted in the version itself. Who
// replaces a version takes the word's count with it and adds that to the version's own, which so
// far was kept from being zero by kPresent; from then on it says how many pins there still are, and
// whoever makes it zero deletes the version. (Split reference counts: "C++ Concurrency in Action",
// A. Williams, 2nd edition, 7.2.4.)
template <class T>
class Versions {
  struct Version;

 public:
  // Made beforehand, so that to replace a version can't fail.
  using Next = std::unique_ptr<Version>;

  // Of one version. Empty, it is of none. The Versions must outlive it.
  class Pin {
   public:
    Pin() = default;
    // Of a value that never changes.
    explicit Pin(const T& value) : value_(&value) {}
    Pin(Pin&& other) noexcept
        : value_(std::exchange(other.value_, nullptr)),
          counted_(std::exchange(other.counted_, nullptr)) {}
    Pin& operator=(Pin&& other) noexcept {
      std::swap(value_, other.value_);
      std::swap(counted_, other.counted_);
      return *this;
    }
    ABSL_ATTRIBUTE_ALWAYS_INLINE ~Pin() {
      if (ABSL_PREDICT_FALSE(counted_ != nullptr)) Unpin(counted_);
    }

    explicit operator bool() const { return value_ != nullptr; }
    const T& operator*() const { return *value_; }
    const T* operator->() const { return value_; }

   private:
    friend class Versions;
    Pin(const T& value, Version* counted) : value_(&value), counted_(counted) {}

    const T* value_ = nullptr;
    Version* counted_ = nullptr;  // null: it needs none
  };

  explicit Versions(T first)
      : first_(Make(std::move(first))),
        word_(WordOf(first_.get())),
        first_word_(WordOf(first_.get())) {}
  Versions(const Versions&) = delete;
  Versions& operator=(const Versions&) = delete;
  ~Versions() {
    Version* const present = VersionOf(word_.load(std::memory_order_acquire));
    if (present != first_.get()) delete present;
  }

  ABSL_ATTRIBUTE_ALWAYS_INLINE Pin Read() const {
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    return ABSL_PREDICT_TRUE(word == first_word_) ? Pin(first_->value) : ReadCounted();
  }

  static Next Make(T value) {
    Next version = std::make_unique<Version>(std::move(value));
    if (AddressOf(version.get()) >> kAddressBits != 0) throw std::bad_alloc();
    return version;
  }

  void Replace(Next next) noexcept {
    const std::uint64_t before = word_.exchange(WordOf(next.release()), std::memory_order_acq_rel);
    if (before == first_word_) return;
    const auto pinned = static_cast<std::int64_t>(before & kCount);
    Version* const version = VersionOf(before);
    if (version->pins.fetch_add(pinned - kPresent, std::memory_order_acq_rel) ==
        kPresent - pinned) {
      delete version;
    }
  }

 private:
  // A version's address has kAddressBits, of which the lowest are zero (and no tag in those above,
  // as some tools for finding errors put there); above it in the word it
  // has no more than that, and below it there is room for a count.
  static constexpr int kAlignmentBits = 6;
  static constexpr std::size_t kAlignment = std::size_t{1} << kAlignmentBits;
  static constexpr int kCountBits = 16;
  static constexpr int kAddressBits = 64 - kCountBits + kAlignmentBits;
  static constexpr std::uint64_t kCount = (std::uint64_t{1} << kCountBits) - 1;
  static constexpr std::uint64_t kHalf = (kCount + 1) / 2;
  static constexpr std::int64_t kPresent = std::int64_t{1} << 62;

  struct alignas(kAlignment) Version {
    explicit Version(T v) : value(std::move(v)) {}

    const T value;
    std::atomic<std::int64_t> pins{kPresent};  // less those that the word counts
  };

  static std::uint64_t AddressOf(const Version* version) {
    return reinterpret_cast<std::uintptr_t>(version);
  }
  static std::uint64_t WordOf(const Version* version) {
    return (AddressOf(version) >> kAlignmentBits) << kCountBits;
  }
  static Version* VersionOf(std::uint64_t word) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): it was a pointer
    return reinterpret_cast<Version*>((word >> kCountBits) << kAlignmentBits);
  }

  // The first version never comes back, so this finds a later one.
  ABSL_ATTRIBUTE_NOINLINE Pin ReadCounted() const {
    const std::uint64_t word = word_.fetch_add(1, std::memory_order_acquire) + 1;
    Version* const version = VersionOf(word);
    if (ABSL_PREDICT_FALSE((word & kCount) >= kHalf)) MoveCount(word);
    return Pin(version->value, version);
  }

  // From the word to the version, long before the word has no more room: for that, as many threads
  // as half of it would have to be between two of the steps above. The version counts them first,
  // so it never has too few; and not less than this thread's own pin if somebody else takes the
  // word.
  void MoveCount(std::uint64_t word) const {
    Version* const version = VersionOf(word);
    version->pins.fetch_add(kHalf, std::memory_order_relaxed);
    while (VersionOf(word) == version && (word & kCount) >= kHalf) {
      if (word_.compare_exchange_weak(word, word - kHalf, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
        return;
      }
    }
    version->pins.fetch_sub(kHalf, std::memory_order_relaxed);
  }

  static void Unpin(Version* version) {
    if (version->pins.fetch_sub(1, std::memory_order_acq_rel) == 1) delete version;
  }

  const Next first_;
  mutable std::atomic<std::uint64_t> word_;
  const std::uint64_t first_word_;
};

}  // namespace holdfast::internal

#endif  // HOLDFAST_BASE_INTERNAL_VERSIONS_H_
