/* SPDX-License-Identifier: MIT
 *
 * Small helpers to read files of /proc whole and to pick fields out of them.
 */
#ifndef STRAND_TARGET_PROCFS_H
#define STRAND_TARGET_PROCFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Read the file whole; malloc'd, terminated, the caller's; NULL with errno set. *bytes, if not
 * NULL, is its length without the terminator. */
char *procfs_read(const char *path, size_t *bytes);

/* The same into a buffer: what fits, terminated. Returns the bytes, or -1 with errno set. */
ssize_t procfs_read_into(const char *path, char *buf, size_t size);

/* The value behind "Key:" in the text of a status file, NULL if there is none. */
const char *procfs_find_field(const char *status, const char *key);

/* The n-th field of a stat file (as proc(5) counts, n > 2), NULL if there is none: the name in
 * field 2 may hold anything, so counting begins behind its last parenthesis. */
const char *procfs_find_stat_field(const char *stat, int n);

/* Does a stat file tell of a process made by fork or the like that has not called exec since? */
bool procfs_is_copy(const char *stat);

/* What a link of /proc points to; malloc'd; NULL with errno set. */
char *procfs_read_link(const char *path);

#endif
