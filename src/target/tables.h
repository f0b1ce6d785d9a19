/* SPDX-License-Identifier: MIT
 *
 * Where the files of the recording side are (DESIGN 4): the directory of tables, the table of a
 * process, those of processes that are no more.
 */
#ifndef STRAND_TARGET_TABLES_H
#define STRAND_TARGET_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"

/* The directory for this user's tables: $STRAND_DIR, else $XDG_RUNTIME_DIR/strand, else
 * /dev/shm/strand-<uid>. */
int tables_directory(char *path, size_t size, struct err *e);

/* … made if it is not there (0700); refused if it is somebody else's or no directory, or cannot be
 * written. */
int tables_make_directory(char *path, size_t size, struct err *e);

/* A file of the directory, from its name alone. */
struct tables_entry {
	char name[96];
	pid_t pid; /* in the process's own PID namespace */
	uint64_t start_ticks;
	unsigned image; /* n of its name */
	bool control;	/* a control file, not a table */
};

/* The entries of `directory`, ordered by pid, start and image; malloc'd, the caller's. A directory
 * that is not there has none. */
int tables_list(const char *directory, struct tables_entry **out, size_t *n, struct err *e);

/* Is the process that a file is of still there? `pid_namespace` as in the table, 0 if not known;
 * when it cannot be told (another namespace) it is. */
bool tables_entry_lives(const struct tables_entry *entry, uint64_t pid_namespace);

/* The inode of strand's own PID namespace; 0 if it cannot be known. */
uint64_t tables_own_namespace(void);

/* Remove files of processes that are no more. Errors are nobody's trouble. */
void tables_remove_stale(const char *directory);

/* The newest table of process `pid` (strand's PID namespace) in the directories where it can be:
 * tables_directory(), that of the process's own user, as seen through its root and its environment's
 * STRAND_DIR. 0 and "" in `path` if it has none. */
int tables_find(pid_t pid, uint64_t start_ticks, char *path, size_t size, struct err *e);

#endif
