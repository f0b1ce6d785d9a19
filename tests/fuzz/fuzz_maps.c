/* SPDX-License-Identifier: MIT
 *
 * Any text as /proc/PID/maps: what is taken for a map must be one, ascending and without overlaps,
 * for lookups rely on it.
 */
#include "fuzz.h"

#include <string.h>

#include "target/maps.h"

void fuzz_make_seeds(void)
{
	static const char odd[] =
		"00400000-00401000 r-xp 00000000 08:01 131 /a b\\012c (deleted)\n"
		"7f00000000-7f00001000 rw-s 00001000 00:05 0\n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";

	fuzz_seed(odd, sizeof(odd) - 1);
	fuzz_seed_file("/proc/self/maps", 65536);
}

static void check_map(const struct maps *m)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct mapping *v = &m->v[i];

		FUZZ_CHECK(v->start < v->end);
		FUZZ_CHECK(i == 0 || v[-1].end <= v->start);
		FUZZ_CHECK(maps_find(m, v->start) == v);
		FUZZ_CHECK(maps_find(m, v->end - 1) == v);
		FUZZ_CHECK(strlen(v->path) < 1u << 20);
	}
	maps_find(m, 0);
	maps_find(m, UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct maps maps;
	struct err e;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (maps_parse(text, &maps, &e) == 0)
		check_map(&maps);
	maps_free(&maps);
	return 0;
}
