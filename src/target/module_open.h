/* SPDX-License-Identifier: MIT
 *
 * How the file behind a mapping of another process is got at: through /proc/PID/map_files (needs
 * a capability), /proc/PID/root and its path, /proc/PID/exe, or as a copy of the process's
 * memory (the vdso, which has no file; files that were deleted or replaced).
 */
#ifndef STRAND_TARGET_MODULE_OPEN_H
#define STRAND_TARGET_MODULE_OPEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "target/maps.h"
#include "target/modules.h"
#include "target/source.h"

struct module_opener {
	pid_t pid;
	uint64_t entry; /* AT_ENTRY, 0: unknown */
	dev_t exe_dev;	/* of /proc/PID/exe; exe_inode 0: unknown */
	ino_t exe_inode;
};

void module_opener_init(struct module_opener *o, pid_t pid);

/* Open what `map`, one of `maps`, maps. Returns 0 with *out (the caller's); 0 with *out NULL if
 * it cannot be had; ERR_BAD_FORMAT if it is not an ELF file for this processor; ERR_NOMEM. */
int module_open_file(const struct module_opener *o, const struct maps *maps,
		     const struct mapping *map, struct elf_file **out);

/* Do two mappings map the same file? */
bool module_same_file(const struct mapping *a, const struct mapping *b);

/* A descriptor of a copy, made from memory, of the file that `map` maps: its loaded segments, no
 * section headers. -1 if that cannot be done. */
int module_copy_file(pid_t pid, const struct maps *maps, const struct mapping *map);

/* The vdso is a whole ELF file in memory; a copy of it is as good as a file. Its descriptor, made of
 * what `memory` gives; the caller's, -1 if that cannot be done. */
int module_open_vdso(const struct memory_source *memory, const struct mapping *map);

/* Is the module's file the one that the process executed? */
bool module_is_executable_file(const struct module_opener *o, const struct module *m);

#endif
