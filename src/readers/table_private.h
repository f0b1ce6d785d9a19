/* SPDX-License-Identifier: MIT
 *
 * The inside of the table reader. table_file.c opens files, table.c takes copies and checks them,
 * table_tasks.c and table_waits.c carry them into the model of a process that is there,
 * table_holders.c finds who holds a lock for reading, table_dead.c makes the model of a process that
 * is no more.
 */
#ifndef STRAND_READERS_TABLE_PRIVATE_H
#define STRAND_READERS_TABLE_PRIVATE_H

#include "readers/table.h"

/* No number of a task is higher: what is was not written by the shim. */
#define TABLE_NUMBER_MAX (UINT64_C(1) << 48)

/* Is `h` the header of a table that this strand can read? In words why not. */
int table_check_header(const struct wire_table *h, const char *path, struct err *e);

int table_fd(const struct table *t);

/* The record of that number; NULL if there is none. */
const struct wire_task *table_copy_find_number(const struct table_copy *c, uint64_t number);

/* Since a time of the table until now; TIME_UNKNOWN if that makes no sense. */
int64_t table_elapsed(int64_t now_ns, uint64_t since_ns);

/* An operation of the table in the model's words; OP_NONE for what is none. */
enum wait_op table_op(uint16_t op);
enum object_kind table_op_object(enum wait_op op);

/* A record's name, the model's; NULL if it has none. */
const char *table_task_name(struct model *m, const struct wire_task *r);

/* The stack of that id; *out is NULL if there is none. Returns 0 or ERR_NOMEM. */
int table_intern_stack(const struct table_copy *c, uint32_t id, struct stacks *stacks,
		       struct stack **out);
/* A stack of one frame, which is the whole of it or not; NULL for address 0, too. */
struct stack *table_intern_address(struct stacks *stacks, uint64_t address, bool complete);

/* What a record tells of its task, besides waits: name (unless it has one), number, creator,
 * birth. The creators are linked by table_link_parents() when all tasks are there. */
int table_describe_task(const struct table_copy *c, const struct wire_task *r, int64_t now_ns,
			struct stacks *stacks, struct model *m, struct task *t);
void table_link_parents(struct model *m);

/* Is the thread of that record none of these, for certain? */
bool table_thread_is_gone(const struct wire_task *r, struct task *const *threads, size_t n);

/* A thread of which only the record is left, or whose record shows that it has ended. */
struct task *table_add_ended(const struct table_copy *c, const struct wire_task *r, int64_t now_ns,
			     struct stacks *stacks, struct model *m);

/* Has it ended, and nobody has joined it, nor is that needless? */
bool table_task_is_unjoined(const struct wire_task *r);

/* Lost records and the like, in the model and in words. */
int table_describe_losses(const struct table_copy *c, struct model *m);

/* Name the holders of those rwlocks that somebody waits for, where all of them are known. */
int table_find_holders(const struct table_copy *c, int64_t now_ns, struct stacks *stacks,
		       struct model *m);

#endif
