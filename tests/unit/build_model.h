/* SPDX-License-Identifier: MIT */
/*
 * Models made by hand, for the tests of what comes behind the prover. Failure to allocate ends
 * the test program.
 */
#ifndef STRAND_TESTS_UNIT_BUILD_MODEL_H
#define STRAND_TESTS_UNIT_BUILD_MODEL_H

#include "model/model.h"

/* A process 4711, /srv/shop, seen and proved in full. */
struct model *build_model(void);

/* A running, live thread; tids count up from 4711. Tasks are numbered once all are there. */
struct task *build_task(struct model *m, const char *name);

struct object *build_object(struct model *m, enum object_kind kind, uint64_t address,
			    const char *name);

/* A mutex held by `owner` (NULL: by nobody). */
struct object *build_mutex(struct model *m, uint64_t address, const char *name, struct task *owner);

/* Block `t` on an object; if that has an owner, the chain goes on there. Stays live. */
struct wait *build_wait(struct model *m, struct task *t, enum wait_op op, struct object *o);

/* `t` is in a call: "recv(12) tcp 127.0.0.1:80". */
struct wait *build_io(struct model *m, struct task *t, const char *text);

void build_stuck(struct task *t, enum reason_code reason, unsigned group);

/* Frames by macros: FRAME for the user's own code, LIBC for the C library's. */
#define FRAME(name, path, at, begins)                                                     \
	{                                                                                 \
		.function = name, .file = path, .line = at, .function_line = begins,      \
		.module = "shop", .address = 0x401000 + at, .module_offset = 0x1000 + at, \
		.function_offset = 4 * (at - begins)                                      \
	}
#define LIBC(name)                                                                  \
	{                                                                           \
		.function = name, .module = "libc.so.6", .address = 0x7f0000001000, \
		.module_offset = 0x1000, .function_offset = 5, .system = true       \
	}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct stack *build_stack(struct model *m, const struct frame *frames, size_t n);

/* The whole report in this format; the caller frees it. */
char *build_report(const struct model *m, const char *format, size_t max_tasks, bool all);

/* T3 and T4 wait for each other, T1 joins T3, T2 is in recv: the shop of the examples. Each has
 * its stack; findings are made. */
struct model *build_shop(void);

#endif
