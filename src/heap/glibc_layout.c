/* SPDX-License-Identifier: MIT
 *
 * What differs between the releases of glibc's malloc (malloc/malloc.c, malloc/arena.c): 2.32
 * brought safe-linking, 2.34 the random key in thread caches, 2.35 huge pages, for which struct
 * heap_info got `pagesize` and struct malloc_par `thp_pagesize`, `hp_pagesize` and `hp_flags`.
 */
#include "heap/glibc_layout.h"

#include <stddef.h>

#define BEFORE_HUGE_PAGES                                                                  \
	.heap_info_bytes = 32, .params_mmaps = 40, .params_mapped = 56, .params_base = 72, \
	.params_tcache = 80, .params_bytes = 112

static const struct glibc_layout layouts[] = {
	{ .first = 31,
	  .last = 31,
	  .safe_linking = false,
	  .key_is_pointer = true,
	  BEFORE_HUGE_PAGES },
	{ .first = 32,
	  .last = 33,
	  .safe_linking = true,
	  .key_is_pointer = true,
	  BEFORE_HUGE_PAGES },
	{ .first = 34,
	  .last = 34,
	  .safe_linking = true,
	  .key_is_pointer = false,
	  BEFORE_HUGE_PAGES },
	{ .first = 35,
	  .last = 41,
	  .heap_info_bytes = 48,
	  .safe_linking = true,
	  .key_is_pointer = false,
	  .params_mmaps = 60,
	  .params_mapped = 80,
	  .params_base = 96,
	  .params_tcache = 104,
	  .params_bytes = 136 },
};

const struct glibc_layout *glibc_layout_find(int minor)
{
	size_t i;

	for (i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)
		if (minor >= layouts[i].first && minor <= layouts[i].last)
			return &layouts[i];
	return NULL;
}
