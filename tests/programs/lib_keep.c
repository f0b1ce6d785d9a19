/* SPDX-License-Identifier: MIT
 *
 * The library of k_library.c, loaded while the program runs: its thread-locals are not part of the
 * threads' static ones, and each of them gets its own when it first asks for them. It is loaded
 * a second time in a namespace of its own, with a C library of its own, which allocates by itself.
 */
#include <stdlib.h>

void *lib_global;
__thread void *lib_local;
static void **lib_block;

/* Far from the beginning, so that it is not in the page of what is there anyway. */
__thread char lib_more_locals[20000];

void **lib_local_place(void)
{
	return &lib_local;
}

void **lib_far_local_place(void)
{
	return (void **)(lib_more_locals + 9001);
}

/* A block of whichever C library this one is linked to. */
void **lib_block_place(void)
{
	if (!lib_block)
		lib_block = calloc(1, 500);
	return lib_block + 40;
}
