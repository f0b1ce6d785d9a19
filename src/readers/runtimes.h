/* SPDX-License-Identifier: MIT
 *
 * Runtimes that keep pointers in another form than the processor's: what leads to an object cannot be
 * found by searching memory for words.
 */
#ifndef STRAND_READERS_RUNTIMES_H
#define STRAND_READERS_RUNTIMES_H

#include "target/modules.h"

/* One that is loaded, in words ("a Java virtual machine is loaded, which compresses pointers"), static;
 * NULL if none of those known is. */
const char *runtimes_find(const struct modules *mods);

#endif
