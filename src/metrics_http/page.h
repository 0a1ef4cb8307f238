// The page of a server of metrics: one document, made of the files in page/.
#ifndef HOLDFAST_SRC_METRICS_HTTP_PAGE_H_
#define HOLDFAST_SRC_METRICS_HTTP_PAGE_H_

#include <span>
#include <string>
#include <string_view>

namespace holdfast::internal {

// The files, which cmake/HoldfastPage.cmake writes into a source.
extern const std::string_view kPageHtml;
extern const std::string_view kPageCss;
extern const std::span<const std::string_view> kPageScripts;

std::string PageDocument();

// The value of Content-Security-Policy: nothing but the style and the script that are in the
// document, which are named by their SHA-256, and requests to where it came from.
std::string PagePolicy();

}  // namespace holdfast::internal

#endif  // HOLDFAST_SRC_METRICS_HTTP_PAGE_H_
