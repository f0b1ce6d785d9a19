/* SPDX-License-Identifier: MIT
 *
 * A core file, as the kernel or gcore writes it: threads with their registers, the memory that was
 * dumped, the files that were mapped. It stands in for a stopped process: from it come the same
 * objects that a live one gives (struct target, stop, maps, modules, a source of memory, pages).
 *
 * Nothing in a core is trusted: every count, size and offset is checked against the file, which is read
 * by pread(2) piece by piece, never mapped and never taken in whole. A core that is cut short is read
 * as far as it goes.
 */
#ifndef STRAND_TARGET_CORE_H
#define STRAND_TARGET_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"
#include "target/maps.h"
#include "target/modules.h"
#include "target/pages.h"
#include "target/source.h"
#include "target/stop.h"
#include "target/target.h"

struct core;

/* Open the core at `path` and find the files it names: the main program at `exe` (NULL: where it was),
 * all below `sysroot` (NULL: /). Fails in words for what is no core of an x86-64 process, has no
 * threads or is compressed, and if the main program, or any file given, is another than the one that ran. */
int core_open(const char *path, const char *exe, const char *sysroot, struct core **out,
	      struct err *e);

/* The same of an open file, which it takes over on success; `name` is for messages. */
int core_open_fd(int fd, const char *name, const char *exe, const char *sysroot, struct core **out,
		 struct err *e);
void core_close(struct core *c);

/* What is not as it would be in the process itself, one sentence each. */
const char *const *core_remarks(const struct core *c, size_t *n);

/* Who it was. What a core does not tell is set to what makes verdicts milder: `forked` and
 * `renumbered` unless the process is known to have called exec last; start_ticks is 0. */
int core_make_target(const struct core *c, struct target **out, struct err *e);

/* The name of its main thread, "" if unknown. */
const char *core_name(const struct core *c);

/* Is memory missing that every core should have: is it cut short, or without private memory? */
bool core_is_partial(const struct core *c);

/* Its threads, all of them stopped, with the main one as ended if it is not there. `tid_offset` is where
 * thread descriptors hold their thread id (0: unknown): that tells the ids of another PID namespace. `c` must
 * outlive it (stop_read_vector() reads from the core). */
int core_make_stop(const struct core *c, uint64_t tid_offset, struct stop **out, struct err *e);

/* Which of its threads' vector registers may be others than the core says: gcore of gdb before 14 mixes up those of
 * AVX-512 on some processors. */
bool core_mixes_vectors(const struct core *c, pid_t tid);

/* The memory map; belongs to `c`. Mappings of files have numbers of their own for inodes, no device. A
 * writable mapping of anything but a module counts as shared: it may have been. */
const struct maps *core_maps(const struct core *c);

/* Its memory: what was dumped, and what was left out because it is a module's file unchanged. `c` must
 * outlive it. */
struct memory_source core_source(const struct core *c);

/* The runs that were dumped and can hold pointers of the program's. The caller frees with pages_free(), also after an
 * error. */
int core_list_pages(const struct core *c, struct pages *out, struct err *e);

/* Is there anonymous memory of which nothing was dumped? It was never touched, or it was kept out
 * (madvise(2)). */
bool core_has_gaps(const struct core *c);

/* The modules. Files that are missing, or others than those that ran, are left out (fd -1), as the remarks
 * say. The caller's, with modules_close(). */
int core_open_modules(const struct core *c, struct modules **out, struct err *e);

#endif
