#include "test/header_examples/core_names.h"
#pragma once

// What the examples of testing's headers call without saying what it is.
holdfast::testing::World world;
holdfast::testing::Server backend(world, {});
holdfast::testing::Population clients(world, holdfast::testing::ClosedClients{}, backend,
                                      [] { return holdfast::Stack(); });
const holdfast::testing::Results without, with;
struct Bell final : holdfast::testing::Event {
  void Happen() override {}
} event;
