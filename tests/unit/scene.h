/* SPDX-License-Identifier: MIT
 *
 * A child that puts words where only the kernel keeps them, is stopped and read as a look does it,
 * and takes them out again. Anything unexpected fails the running test, in the child too.
 */
#ifndef STRAND_TESTS_UNIT_SCENE_H
#define STRAND_TESTS_UNIT_SCENE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

#include "readers/held.h"

/* Values that stand nowhere else. */
#define WORD(n) (UINT64_C(0x00007a5b3c1d2e00) + (uint64_t)(n))

/* In the child. */
#define CHECK(condition)                                                        \
	do {                                                                    \
		if (!(condition)) {                                             \
			fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
			_exit(1);                                               \
		}                                                               \
	} while (0)

/* What a child does: put() before the look, take() (may be NULL) after it. The numbers it tells are
 * descriptors. */
struct scene {
	void (*put)(int *told);
	void (*take)(int *told);
};

struct looked {
	pid_t pid;
	int go; /* closing it makes the child go on */
	int told[8];
	struct held held;
	struct err e;
};

void scene_look(const struct scene *scene, struct looked *l);

/* Read what the kernel holds anew, with `wait_us` between the stop and that. */
void scene_read(struct looked *l, const struct stop_limits *limits, useconds_t wait_us);

/* Let the child take its words and end; it must find all as it was. */
void scene_finish(struct looked *l);

/* How often a word stands in the pieces named "WHAT NUMBER"; just WHAT if the number is negative, in
 * any if `what` is NULL. */
size_t scene_count(const struct looked *l, uint64_t word, const char *what, int number);

/* Is what `unread` says (NULL: nothing) said to be unread? */
void scene_check_unread(const struct looked *l, const char *unread);

#endif
