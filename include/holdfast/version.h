// The version of Holdfast, for the preprocessor.
//
//   #if HOLDFAST_VERSION_NUMBER >= 100           // 0.1.0 or later
//   log("built with Holdfast ", HOLDFAST_VERSION);
//   #endif
#ifndef HOLDFAST_VERSION_H_
#define HOLDFAST_VERSION_H_

#define HOLDFAST_VERSION "0.1.0"
#define HOLDFAST_VERSION_MAJOR 0
#define HOLDFAST_VERSION_MINOR 1
#define HOLDFAST_VERSION_PATCH 0

// To compare with: major * 10000 + minor * 100 + patch.
#define HOLDFAST_VERSION_NUMBER \
  (HOLDFAST_VERSION_MAJOR * 10000 + HOLDFAST_VERSION_MINOR * 100 + HOLDFAST_VERSION_PATCH)

#endif  // HOLDFAST_VERSION_H_
