/* SPDX-License-Identifier: MIT
 *
 * Separate debug files: found by build id or by .gnu_debuglink below /usr/lib/debug and beside
 * the file itself, inside the process's own root first, then in ours. What is found must carry
 * the same build id, or the checksum that the link asks for. Nothing is ever fetched.
 */
#ifndef STRAND_STACK_DEBUG_FILE_H
#define STRAND_STACK_DEBUG_FILE_H

#include <sys/types.h>

#include "target/elf_file.h"
#include "target/modules.h"

/* The debug file of `m`, the caller's (elf_file_close()); NULL if there is none. `pid` 0: only
 * our own root. */
struct elf_file *debug_file_open(const struct module *m, pid_t pid);

/* The file that `f`, a debug file or a module's own, shares debug information with (dwz), by the
 * name and build id that it gives. NULL if it cannot be had. */
struct elf_file *debug_file_open_shared(const struct elf_file *f, pid_t pid, const char *name,
					const void *build_id, size_t build_id_bytes);

#endif
