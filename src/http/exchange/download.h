// What comes of the response to one request, and who gets it.
#ifndef HOLDFAST_SRC_HTTP_EXCHANGE_DOWNLOAD_H_
#define HOLDFAST_SRC_HTTP_EXCHANGE_DOWNLOAD_H_

#include <absl/status/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "holdfast/http/message.h"
#include "holdfast/http/wire/reader.h"
#include "src/http/coding/content_decoder.h"

namespace holdfast::http::internal {

struct DownloadOptions {
  // limits.body bounds a body as it comes, and once more as it is decoded, but for one that the
  // request's receiver gets.
  wire::Limits limits = {};
  bool decode = true;  // what MakeContentDecoder undoes; else bodies and fields stay as they come
};

inline constexpr int kMostInterimResponses = 32;

// kDataLoss with kMalformed. No policy retries that code by itself, and a breaker counts a failure.
absl::Status MalformedResponse(std::string_view why);

// Bytes in, one Response out, which is the same whatever the pieces the bytes come in. One thread
// at a time. An exception of a callback passes through; the object is then only to be destroyed.
class Download {
 public:
  enum class Event : signed char {
    kNeedMore,  // all bytes are taken; the response goes on
    kInterim,   // a response before the one that counts is there
    kHead,      // status and fields of the one that counts are
    kPaused,    // much of the body was decoded, and there is more, or the receiver did not take a
                // part: as kNeedMore, but see paused
    kEnd,       // the response is over
    kFailed,    // see failure
  };

  // `request` must stay as it is and where it is. Throws std::invalid_argument for limits that
  // wire::Validate refuses.
  Download(const Request& request, const DownloadOptions& options);
  Download(Request&& request, const DownloadOptions& options) = delete;

  // Takes bytes from the front of `bytes`, up to the next event. Bytes behind the end are left.
  Event Next(std::string_view& bytes);
  // Next is to be called though nothing came, with what kPaused left of the bytes.
  bool paused() const { return paused_; }
  // And the receiver has not taken what it was given.
  bool held() const { return !held_.empty(); }
  std::uint64_t received() const { return received_; }  // bytes that the receiver took
  // The peer sends no more, and said so. kNeedMore: the response is cut.
  Event Close();

  // After kFailed: with kMalformed, or no kind where a callback cancelled it or it is cut.
  const absl::Status& failure() const { return failure_; }

  int status() const { return reader_.status(); }                // of the latest kInterim or kHead
  int minor_version() const { return reader_.minor_version(); }  // likewise
  bool has_head() const { return has_head_; }                    // kHead was there
  bool handed_on() const { return handed_on_; }                  // the receiver has got something
  wire::Framing framing() const { return reader_.framing(); }    // after kHead
  bool keeps_alive() const { return reader_.keeps_alive(); }     // after kEnd
  Response& response() { return response_; }                     // after kEnd

 private:
  Event OnInterim();
  Event OnHead();
  Event OnEnd();
  bool OnBody(std::string_view part);
  bool Take(std::string_view part);
  bool Resume();
  bool Decode(std::string_view encoded);
  bool Deliver(std::string_view part);
  bool Report();
  void FindDecoder();
  Event Malformed(std::string_view why);
  Event Cancelled();

  const Request& request_;
  const std::uint64_t most_;  // bytes of a body
  const bool decode_;
  wire::ResponseReader reader_;
  std::unique_ptr<ContentDecoder> decoder_;
  bool paused_ = false;
  std::string held_;     // what the receiver did not take
  std::string encoded_;  // what comes behind that, or what is left of the body's bytes to decode
  Response response_;
  absl::Status failure_;
  int interim_ = 0;          // how many of them came
  std::uint64_t taken_ = 0;  // of the body, as it came
  bool has_head_ = false;
  bool to_receiver_ = false;
  bool handed_on_ = false;
  std::uint64_t received_ = 0;
};

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_EXCHANGE_DOWNLOAD_H_
