#include "src/metrics_http/page.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <stdexcept>

#include "holdfast/base/internal/string_view.h"

namespace holdfast::internal {
namespace {

constexpr std::string_view kStyleMark = "/* page.css */";
constexpr std::string_view kScriptMark = "// page.js";

std::string PageScript() {
  std::string script;
  for (const std::string_view part : kPageScripts) script += part;
  return script;
}

void ReplaceMark(std::string& text, std::string_view mark, std::string_view by) {
  text.replace(text.find(mark), mark.size(), by);
}

// "'sha256-<base64>'" (CSP 3, 2.3.1).
std::string HashSource(std::string_view text) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) {
    throw std::runtime_error("MetricsServer: OpenSSL has no SHA-256");
  }
  const absl::string_view bytes(reinterpret_cast<const char*>(digest.data()), size);
  return absl::StrCat("'sha256-", absl::Base64Escape(bytes), "'");
}

}  // namespace

std::string PageDocument() {
  std::string document(kPageHtml);
  ReplaceMark(document, kStyleMark, kPageCss);
  ReplaceMark(document, kScriptMark, PageScript());
  return document;
}

std::string PagePolicy() {
  return absl::StrCat("default-src 'none'; script-src ", HashSource(PageScript()), "; style-src ",
                      HashSource(kPageCss),
                      "; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
                      "frame-ancestors 'none'");
}

}  // namespace holdfast::internal
