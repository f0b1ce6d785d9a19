/* SPDX-License-Identifier: MIT
 *
 * The ELF files mapped into a process: the program, its libraries, the vdso.
 *
 * Made from the memory map; the files are opened through /proc/PID/map_files or /proc/PID/root,
 * so that they are the very files of the process, whatever namespace it lives in and even if
 * they were deleted or replaced since. ELF content is not trusted: every offset is checked.
 * Files are read, never mapped: one that is truncated meanwhile comes back short.
 * Single-threaded use: what is read from a file is kept with its module.
 */
#ifndef STRAND_TARGET_MODULES_H
#define STRAND_TARGET_MODULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "target/maps.h"

#define MODULE_BUILD_ID_MAX 64

struct elf_file;

struct module {
	char *name;	       /* last part of the path: "libc.so.6", "[vdso]" */
	char *path;	       /* as the process sees it */
	char *soname;	       /* DT_SONAME, NULL if there is none or the file could not be read */
	uint64_t start;	       /* lowest address of its mappings */
	uint64_t end;	       /* one past the highest */
	uint64_t offset;       /* file offset of the mapping at `start` */
	uint64_t bias;	       /* run-time address minus ELF virtual address; valid if `fd` >= 0 */
	int fd;		       /* the ELF file (the vdso: a copy), -1 if it could not be opened */
	struct elf_file *file; /* its contents (target/elf_file.h), NULL if fd < 0 */
	uint8_t build_id[MODULE_BUILD_ID_MAX];
	size_t build_id_bytes; /* 0: none */
	bool main_program;
};

struct modules;

/* Find and open the modules of process `pid` in `maps`. A file that cannot be opened or parsed
 * stays listed with fd -1. Fails only for lack of memory. Frees with modules_close(). */
int modules_open(pid_t pid, const struct maps *maps, struct modules **out, struct err *e);

/* The same with files that come from elsewhere. */
struct modules_source {
	/* As module_open_file(): 0 with *out NULL if it cannot be had, ERR_BAD_FORMAT if it is no module. */
	int (*open)(void *ctx, const struct maps *maps, const struct mapping *map,
		    struct elf_file **out);
	bool (*is_executed)(void *ctx, const struct module *m); /* is it the main program's file? */
	void *ctx;
	uint64_t entry; /* AT_ENTRY; 0: unknown */
};
int modules_open_from(const struct modules_source *from, const struct maps *maps,
		      struct modules **out);

/* The same from a list of files and where they were loaded: the modules of a process that is no
 * more. Paths are as strand sees them; what stands there now may not be what stood there then. */
struct modules_file {
	const char *path;
	uint64_t bias;
};
int modules_open_files(const struct modules_file *v, size_t n, struct modules **out, struct err *e);

void modules_close(struct modules *m);

size_t modules_count(const struct modules *m);
const struct module *modules_get(const struct modules *m, size_t i); /* ascending by start */
const struct module *modules_find(const struct modules *m, uint64_t address); /* or NULL */

/* Bytes that the file holds for run-time address `address` (text and read-only data: what is
 * writable may differ in memory). Returns how many could be given. */
size_t modules_read(const struct modules *m, uint64_t address, void *buf, size_t bytes);

/* The exported (.dynsym) or, if `also_static`, any (.symtab) symbol `name` of a module: run-time
 * address and size. False if there is none. */
struct module_symbol {
	uint64_t address;
	uint64_t bytes;
};
bool module_find_symbol(const struct module *m, const char *name, bool also_static,
			struct module_symbol *out);

/* Does the module import (have undefined in .dynsym) the symbol `name`? */
bool module_imports(const struct module *m, const char *name);

/* Does the file have a section of this name (".go.buildinfo")? */
bool module_has_section(const struct module *m, const char *section);

#endif
