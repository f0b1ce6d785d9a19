/* SPDX-License-Identifier: MIT
 *
 * What the wrappers of libstrand.so report, made visible: libtrace.so is made of the same wrappers,
 * but with a record.h that keeps what it was told, for the program that it is preloaded into. Every
 * test program checks itself by it; bare, or with libstrand.so, trace() is NULL and only what the
 * program sees is checked.
 */
#ifndef STRAND_TESTS_PRELOAD_TRACE_H
#define STRAND_TESTS_PRELOAD_TRACE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "wire.h"

struct trace {
	unsigned begun, ended; /* waits of this thread */
	unsigned open;	       /* … begun, and not ended */
	struct wire_wait last; /* the one that began last */
	unsigned stack_bytes;  /* of a wrapper, from its caller to record.h, at most */
	unsigned holds_added, holds_removed, holds_forgotten;
	unsigned finds, joins, detaches;
	uintptr_t handle; /* of the last find, join or name */
	char name[32];
	unsigned handlers;
	int handler_signal;
	int handler_restarts;
	unsigned sandboxed;
};

/* The calling thread's. */
struct trace *strand_trace(void) __attribute__((weak));

static inline struct trace *trace(void)
{
	return strand_trace ? strand_trace() : NULL;
}

/* Until a thread of this process sleeps in a futex; where the kernel does not tell, a while. */
static inline void wait_until_asleep(pid_t tid)
{
	char path[64], line[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)tid);
	do {
		usleep(20000);
		file = fopen(path, "r");
		if (!file || !fgets(line, sizeof(line), file))
			strcpy(line, "202 ");
		if (file)
			fclose(file);
	} while (strncmp(line, "202 ", 4) != 0);
}

/* Forget what constructors did. */
static inline void trace_reset(void)
{
	if (trace())
		memset(trace(), 0, sizeof(struct trace));
}

#define CHECK(condition)                                                                        \
	do {                                                                                    \
		if (!(condition)) {                                                             \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
			exit(1);                                                                \
		}                                                                               \
	} while (0)

/* Where there is a trace, it is as said. */
#define CHECK_TRACE(condition) CHECK(!trace() || (condition))

/* `call` is recorded as one wait, which is over. */
#define CHECK_RECORDED(op_, object_, call)                                 \
	do {                                                               \
		unsigned before_ = trace() ? trace()->begun : 0;           \
		call;                                                      \
		CHECK_TRACE(trace()->begun == before_ + 1);                \
		CHECK_TRACE(trace()->open == 0);                           \
		CHECK_TRACE(trace()->last.op == WIRE_OP_##op_);            \
		CHECK_TRACE(trace()->last.object == (uintptr_t)(object_)); \
		CHECK_TRACE(trace()->last.flags &WIRE_WAIT_CALLEE_REGS);   \
	} while (0)

#define CHECK_NOT_RECORDED(call)                                 \
	do {                                                     \
		unsigned before_ = trace() ? trace()->begun : 0; \
		call;                                            \
		CHECK_TRACE(trace()->begun == before_);          \
	} while (0)

#endif
