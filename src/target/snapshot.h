/* SPDX-License-Identifier: MIT
 *
 * What was copied from a process while it stood still: pieces of memory by address.
 *
 * Used in two steps: add pieces, fetch them all at once (one batch of reads, so the stop stays
 * short), then ask for bytes by address at leisure after the process runs again. More pieces may
 * be added and fetched as long as the process is stopped.
 */
#ifndef STRAND_TARGET_SNAPSHOT_H
#define STRAND_TARGET_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "target/source.h"

struct snapshot;

int snapshot_create(pid_t pid, struct snapshot **out, struct err *e);
/* Of memory that stays as it is (a core): nothing need be wanted or fetched, all of it is there. */
int snapshot_create_over(struct memory_source source, struct snapshot **out, struct err *e);
void snapshot_free(struct snapshot *s);

/* Want `bytes` at `address` copied at the next fetch. */
int snapshot_want(struct snapshot *s, uint64_t address, size_t bytes);

/* Copy all that is wanted. Memory that cannot be read is left out, counted, not an error. */
int snapshot_fetch(struct snapshot *s, struct err *e);

/* Bytes at `address`, from the copies only. Returns how many could be given from there on. */
size_t snapshot_read(const struct snapshot *s, uint64_t address, void *buf, size_t bytes);

/* All `bytes` or nothing. */
bool snapshot_read_whole(const struct snapshot *s, uint64_t address, void *buf, size_t bytes);

size_t snapshot_bytes(const struct snapshot *s);	 /* copied so far */
size_t snapshot_unread_pieces(const struct snapshot *s); /* wanted and not readable at all */

#endif
