/* A playbook: an ordered list of rules over a thread, in a file; decides without a model. Pure. */
#pragma once

#include "agents/thread.h"
#include "gateway/base/err.h"

struct playbook;
