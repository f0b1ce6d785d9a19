/* SPDX-License-Identifier: MIT
 *
 * The modules of the program, from the loader's own list: for names of addresses when the process is
 * no more, and for the CFI, which may remember what it found in those that stay. Read where there is
 * one thread only: walking the list takes no lock.
 */
#include <link.h>
#include <stddef.h>

#include "cfi.h"
#include "real.h"
#include "shim.h"
#include "sys.h"
#include "table.h"

static bool add_module(uint8_t *at, uint32_t *used, uintptr_t bias, const char *path)
{
	struct wire_module *m = (struct wire_module *)(void *)(at + *used);
	size_t length = text_length(path);
	size_t bytes = (sizeof(*m) + length + 1 + 7) / 8 * 8;
	size_t i;

	/* Room stays for the entry that ends the list. */
	if (*used + bytes + sizeof(*m) > WIRE_MODULES_BYTES)
		return false;
	m->load_bias = bias;
	for (i = 0; i <= length; i++)
		m->path[i] = path[i];
	m->bytes = (uint32_t)bytes;
	*used += (uint32_t)bytes;
	((struct wire_module *)(void *)(at + *used))->bytes = 0;
	return true;
}

void modules_write(void)
{
	const struct link_map *map = real_modules();
	uint8_t *at;
	uint32_t used = 0;

	if (!shim.table || !map || shim.table->tasks_born > 1)
		return;
	at = table_modules();
	if (!add_module(at, &used, map->l_addr, shim.table->exe))
		return;
	for (map = map->l_next; map; map = map->l_next)
		if (map->l_name && map->l_name[0] &&
		    !add_module(at, &used, map->l_addr, map->l_name))
			return;
}

const char *modules_note(void)
{
	const struct link_map *map;
	const char *ours = NULL;

	for (map = real_modules(); map; map = map->l_next) {
		cfi_note_module((uintptr_t)map->l_ld);
		if (map->l_ld == _DYNAMIC)
			ours = map->l_name;
	}
	return ours;
}
