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

#endif  // HOLDFAST_TEST_SUPPORT_SANITIZERS_H_
