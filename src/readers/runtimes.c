/* SPDX-License-Identifier: MIT
 *
 * Looking for the runtimes of runtimes.def among the modules. A module whose file cannot be read is
 * known by its name only.
 */
#include "readers/runtimes.h"

#include <fnmatch.h>
#include <string.h>

#include "target/elf_file.h"

enum runtime_how { LIBRARY, PROGRAM, EXPORT, SECTION };

static const struct runtime {
	enum runtime_how how;
	const char *pattern, *words;
} runtimes[] = {
#define RUNTIME(how, pattern, words) { how, pattern, words },
#include "readers/runtimes.def"
#undef RUNTIME
};

#define RUNTIME_COUNT (sizeof(runtimes) / sizeof(runtimes[0]))

static bool runtimes_is_named(const struct module *m, const char *pattern)
{
	return !fnmatch(pattern, m->name, 0) || (m->soname && !fnmatch(pattern, m->soname, 0));
}

static bool runtimes_is(const struct module *m, const struct runtime *r)
{
	switch (r->how) {
	case LIBRARY:
		return runtimes_is_named(m, r->pattern);
	case PROGRAM:
		return m->main_program && runtimes_is_named(m, r->pattern);
	case SECTION:
		return module_has_section(m, r->pattern);
	default:
		return false;
	}
}

/* The one that exports `name`. */
static const struct runtime *runtimes_of_symbol(const char *name)
{
	for (size_t i = 0; i < RUNTIME_COUNT; i++)
		if (runtimes[i].how == EXPORT &&
		    !strncmp(name, runtimes[i].pattern, strlen(runtimes[i].pattern)))
			return &runtimes[i];
	return NULL;
}

static const struct runtime *runtimes_of_exports(const struct module *m)
{
	const struct elf_symbols *t;

	if (!m->file)
		return NULL;
	t = elf_file_dynsym(m->file);
	for (size_t i = 1; i < t->n; i++) {
		const struct runtime *r = NULL;

		if (t->v[i].st_shndx != SHN_UNDEF)
			r = runtimes_of_symbol(elf_symbols_name(t, i));
		if (r)
			return r;
	}
	return NULL;
}

const char *runtimes_find(const struct modules *mods)
{
	for (size_t i = 0; i < modules_count(mods); i++) {
		const struct module *m = modules_get(mods, i);
		const struct runtime *r;

		for (size_t k = 0; k < RUNTIME_COUNT; k++)
			if (runtimes_is(m, &runtimes[k]))
				return runtimes[k].words;
		r = runtimes_of_exports(m);
		if (r)
			return r->words;
	}
	return NULL;
}
