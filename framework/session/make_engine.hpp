// SPDX-License-Identifier: Apache-2.0
//
// An engine over a session that the caller made.

#pragma once

#include <memory>

#include "framework/session/engine.hpp"
#include "framework/session/loaded_model.hpp"

namespace tessera::session {

// Requires  `session` runs `model`
std::unique_ptr<Engine> make_engine(LoadedModel model,
                                    std::unique_ptr<Session> session);

}  // namespace tessera::session
