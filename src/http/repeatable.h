// Which requests may be sent more than once.
#ifndef HOLDFAST_SRC_HTTP_REPEATABLE_H_
#define HOLDFAST_SRC_HTTP_REPEATABLE_H_

#include <httplib.h>

namespace holdfast::http::internal {

// Whether a server that gets it twice does what it does once.
bool IsIdempotent(const httplib::Request& request);

// Whether its body can be sent again after some of it may have been.
bool CanStartOver(const httplib::Request& request);

}  // namespace holdfast::http::internal

#endif  // HOLDFAST_SRC_HTTP_REPEATABLE_H_
