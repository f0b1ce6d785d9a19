/* SPDX-License-Identifier: MIT
 *
 * The modules of a core: the files that core_files.c believes, and the vdso, which the core holds.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/core_private.h"
#include "target/elf_file.h"
#include "target/module_open.h"

static size_t core_read_vdso(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	return core_read_dumped(ctx, address, buf, bytes);
}

static int core_open_module(void *ctx, const struct maps *maps, const struct mapping *map,
			    struct elf_file **out)
{
	const struct core *c = ctx;
	const struct core_file *f = c->pieces[map - maps->v].file;
	const struct memory_source dumped = { core_read_vdso, ctx };
	int fd, rc;

	*out = NULL;
	if (f && f->state == CORE_FILE_DATA)
		return ERR_BAD_FORMAT;
	if (f)
		fd = f->fd < 0 ? -1 : dup(f->fd);
	else
		fd = module_open_vdso(&dumped, map);
	if (fd < 0)
		return 0;
	rc = elf_file_open(fd, out);
	if (rc)
		close(fd);
	return rc;
}

static bool core_is_main(void *ctx, const struct module *m)
{
	const struct core *c = ctx;
	const struct mapping *map = maps_find(&c->maps, m->start);
	const struct core_file *f = map ? c->pieces[map - c->maps.v].file : NULL;

	return f && f->main;
}

int core_open_modules(const struct core *c, struct modules **out, struct err *e)
{
	const struct modules_source source = {
		.open = core_open_module,
		.is_executed = core_is_main,
		.ctx = (void *)c,
		.entry = c->entry,
	};
	int rc = modules_open_from(&source, &c->maps, out);

	return rc ? err_set(e, rc, "cannot list the modules of '%s'", c->name) : 0;
}
