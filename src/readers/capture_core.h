/* SPDX-License-Identifier: MIT
 *
 * A struct capture made of a core file. What only the living process could have told (handlers, what
 * the kernel holds, who shares the memory) is set to what makes verdicts milder.
 */
#ifndef STRAND_READERS_CAPTURE_CORE_H
#define STRAND_READERS_CAPTURE_CORE_H

#include "err.h"
#include "readers/capture.h"
#include "readers/libc.h"
#include "target/core.h"
#include "target/modules.h"

/* All three must outlive it. `t` is the core's. The caller's, with capture_free(). */
int capture_from_core(const struct core *core, const struct target *t, const struct modules *mods,
		      const struct libc *libc, struct capture **out, struct err *e);

#endif
