// Which sanitizer a test is built with.
#ifndef HOLDFAST_TEST_SUPPORT_SANITIZERS_H_
#define HOLDFAST_TEST_SUPPORT_SANITIZERS_H_

// UBSan's look at the type behind a pointer needs a descriptor of its own: no test under it can
// take them all.
#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
#define HOLDFAST_NEEDS_DESCRIPTORS 1
#endif
#endif
#ifndef HOLDFAST_NEEDS_DESCRIPTORS
#define HOLDFAST_NEEDS_DESCRIPTORS 0
#endif

// The address and thread sanitizers make a test that does one thing a million times too slow.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HOLDFAST_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HOLDFAST_SANITIZED 1  // as g++ says it
#endif
#ifndef HOLDFAST_SANITIZED
#define HOLDFAST_SANITIZED 0
#endif

#endif  // HOLDFAST_TEST_SUPPORT_SANITIZERS_H_
