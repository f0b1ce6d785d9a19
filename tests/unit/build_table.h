/* SPDX-License-Identifier: MIT */
/*
 * Tables made by hand, as libstrand.so would write them. Failure to allocate or to write ends the
 * test program.
 */
#ifndef STRAND_TESTS_UNIT_BUILD_TABLE_H
#define STRAND_TESTS_UNIT_BUILD_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "readers/table.h"
#include "wire.h"

#define TABLE_TASKS 32 /* records, in two segments */

struct build_table {
	uint8_t *bytes;
	size_t size;
	size_t tasks, stack_bytes, module_bytes; /* used so far */
	char path[64];				 /* "" as long as it was not written */
};

/* Of process 4711, without records. */
struct build_table *build_table(void);
void build_table_free(struct build_table *b);

struct wire_table *build_header(struct build_table *b);

/* A running thread's record, created by `parent`. */
struct wire_task *build_record(struct build_table *b, uint64_t number, pid_t tid, uint64_t parent);

/* It is about to wait since `since_ns`. */
void build_record_wait(struct wire_task *r, enum wire_op op, uint64_t object, uint64_t since_ns);

/* It has ended. */
void build_record_ended(struct wire_task *r);

/* A complete stack; returns its id. */
uint32_t build_record_stack(struct build_table *b, const uint64_t *pcs, size_t n);

void build_record_module(struct build_table *b, const char *path, uint64_t bias);

/* Write the file as it is now, `size` bytes of it, in place if it is there already. */
void build_table_write(struct build_table *b, size_t size);

/* Write, open, copy. */
struct table *build_table_open(struct build_table *b);
struct table_copy *build_table_copy(struct build_table *b);

#endif
