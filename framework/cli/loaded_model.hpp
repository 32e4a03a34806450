// SPDX-License-Identifier: Apache-2.0
//
// A model on the host, as the commands name it.

#pragma once

#include "framework/session/loaded_model.hpp"

namespace tessera::cli {

using tessera::checkpoint_dtype;
using tessera::choose_scheme;
using tessera::load_model;
using tessera::LoadedModel;
using tessera::open_session;

}  // namespace tessera::cli
