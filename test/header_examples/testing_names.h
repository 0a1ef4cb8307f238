#include "test/header_examples/core_names.h"
