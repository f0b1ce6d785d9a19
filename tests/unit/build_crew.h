/* SPDX-License-Identifier: MIT */
/*
 * A model and a table of the same process, for the tests of what the one adds to the other: four
 * threads with their records. Failure to make them fails the test.
 */
#ifndef STRAND_TESTS_UNIT_BUILD_CREW_H
#define STRAND_TESTS_UNIT_BUILD_CREW_H

#include "build_model.h"
#include "build_table.h"

#define CREW_NOW INT64_C(100000000000)
#define MS	 1000000

struct crew {
	struct build_table *b;
	struct model *m;
	struct modules *mods;
	struct stacks *stacks;
	struct task *t[4]; /* main and three more, tids from 4711; they run */
	struct wire_task *r[4];
};

/* Of cmocka's setup and teardown. */
int build_crew(void **state);
int free_crew(void **state);

/* Write the table, and add what it holds to the model; with judge prove and make findings, too. */
void crew_enrich(struct crew *f);
void crew_judge(struct crew *f);

/* What the task does, in words. */
void crew_check_line(const struct task *t, const char *expected);

/* T2 wants to write to the lock 0xa0, which is held `readers` times by its own count. */
struct wait *crew_want_to_write(struct crew *f, uint32_t readers);

/* The record says that its thread holds `lock` so many times for reading. */
struct wire_task *crew_hold(struct wire_task *r, uint64_t lock, uint8_t times);

/* Thread i ends the process, and this is the look at it. */
void crew_exits(struct crew *f, size_t i);

/* Four have finished: T5 is left, T6 was joined, T7 detached, and T8 is being joined by T4. */
void crew_add_ended(struct crew *f);

#endif
