// A request type, and functions of a shared object that is built with hidden visibility.
#ifndef HOLDFAST_TEST_CALL_VISIBILITY_REQUEST_H_
#define HOLDFAST_TEST_CALL_VISIBILITY_REQUEST_H_

#include <string>

#include "holdfast/call/key_function.h"

namespace holdfast::visibility {

struct Request {
  std::string host;
};

// By FromRequest in the shared object.
__attribute__((visibility("default"))) KeyFunction HostOfRequest();
__attribute__((visibility("default"))) KeyFunction Text();
// The address by which the shared object knows the type of a request.
__attribute__((visibility("default"))) const void* MarkOfRequest();

}  // namespace holdfast::visibility

#endif  // HOLDFAST_TEST_CALL_VISIBILITY_REQUEST_H_
