#include "src/http/coding/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <new>
#include <span>
#include <stdexcept>
#include <string_view>

#include "src/http/coding/part_decoder.h"

namespace holdfast::http::internal {
namespace {

// What zlib calls window bits: the greatest window, and which format is around the blocks.
enum class InflateFormat : signed char { kRaw = -15, kZlib = 15, kGzip = 15 + 16 };

class Inflater {
 public:
  explicit Inflater(InflateFormat format) {
    Check(inflateInit2(&stream_, static_cast<int>(format)));
  }
  Inflater(const Inflater&) = delete;  // zlib's state points to the stream
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  void Restart(InflateFormat format) {
    Check(inflateReset2(&stream_, static_cast<int>(format)));
    ended_ = false;
  }

  // Takes and writes until the end of what the format is around, or until `bytes` or `room` is
  // empty. False: malformed.
  bool Run(std::string_view& bytes, std::span<char>& room) {
    do {
      const int answer = RunOnce(bytes, room);
      if (answer == Z_MEM_ERROR) throw std::bad_alloc();
      ended_ = answer == Z_STREAM_END;
      // Z_BUF_ERROR: there was nothing left to write.
      const bool may_go_on = answer == Z_OK || (answer == Z_BUF_ERROR && bytes.empty());
      if (!ended_ && !may_go_on) return false;
    } while (!ended_ && !bytes.empty() && !room.empty());
    return true;
  }

  bool ended() const { return ended_; }

 private:
  static void Check(int answer) {
    if (answer == Z_MEM_ERROR) throw std::bad_alloc();
    if (answer != Z_OK) throw std::runtime_error("zlib does not begin to inflate");
  }

  int RunOnce(std::string_view& bytes, std::span<char>& room) {
    constexpr std::size_t kMost = std::numeric_limits<uInt>::max();
    const std::size_t given = std::min(bytes.size(), kMost);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));  // it only reads
    stream_.avail_in = static_cast<uInt>(given);
    stream_.next_out = reinterpret_cast<Bytef*>(room.data());
    stream_.avail_out = static_cast<uInt>(room.size());
    const int answer = inflate(&stream_, Z_NO_FLUSH);
    bytes.remove_prefix(given - stream_.avail_in);
    room = room.last(stream_.avail_out);
    return answer;
  }

  z_stream stream_{};
  bool ended_ = false;
};

class GzipDecoder final : public PartDecoder {
 private:
  enum class Place : signed char { kMember, kBetween, kPadding };

  bool Step(std::string_view& bytes, std::span<char>& room) override {
    do {
      if (place_ == Place::kBetween && !bytes.empty() && !BeginNext(bytes.front())) return false;
      if (place_ == Place::kPadding) {
        if (bytes.find_first_not_of('\0') != std::string_view::npos) return false;
        bytes = {};
      } else if (place_ == Place::kMember) {
        if (!inflater_.Run(bytes, room)) return false;
        if (inflater_.ended()) place_ = Place::kBetween;
      }
    } while (!bytes.empty() && !room.empty());
    return true;
  }

  // Behind a member. One byte that begins no other (RFC 1952, 2.3.1) is not a cut one.
  bool BeginNext(char first) {
    place_ = first == '\0' ? Place::kPadding : Place::kMember;
    if (place_ == Place::kMember) inflater_.Restart(InflateFormat::kGzip);
    return first == '\0' || first == '\x1f';
  }

  bool AtEnd() const override { return place_ != Place::kMember; }

  Inflater inflater_{InflateFormat::kGzip};
  Place place_ = Place::kMember;
};

class DeflateDecoder final : public PartDecoder {
 private:
  bool Step(std::string_view& bytes, std::span<char>& room) override {
    if (head_size_ < head_.size()) {
      const std::size_t taken = bytes.copy(&head_[head_size_], head_.size() - head_size_);
      bytes.remove_prefix(taken);
      head_size_ += taken;
      if (head_size_ < head_.size()) return true;
      if (!IsZlib(head_)) inflater_.Restart(InflateFormat::kRaw);
      // Two bytes leave room in any part.
      std::string_view head(head_.data(), head_.size());
      if (!inflater_.Run(head, room) || !head.empty()) return false;
    }
    if (inflater_.ended()) return bytes.empty();
    return inflater_.Run(bytes, room) && (!inflater_.ended() || bytes.empty());
  }

  bool AtEnd() const override { return inflater_.ended(); }

  // RFC 1950, 2.2. Deflate alone begins like this only with a stored block whose bits of padding
  // are not zero, which no encoder writes.
  static bool IsZlib(const std::array<char, 2>& head) {
    const unsigned first = static_cast<unsigned char>(head[0]);
    const unsigned second = static_cast<unsigned char>(head[1]);
    return (first & 0x0f) == Z_DEFLATED && first >> 4 <= 7 && (first << 8 | second) % 31 == 0;
  }

  Inflater inflater_{InflateFormat::kZlib};
  std::array<char, 2> head_{};
  std::size_t head_size_ = 0;
};

}  // namespace

std::unique_ptr<ContentDecoder> MakeGzipDecoder() { return std::make_unique<GzipDecoder>(); }

std::unique_ptr<ContentDecoder> MakeDeflateDecoder() { return std::make_unique<DeflateDecoder>(); }

}  // namespace holdfast::http::internal
