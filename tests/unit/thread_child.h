/* SPDX-License-Identifier: MIT
 *
 * A process whose threads have memory of every kind, and write down where it is: the test program that
 * runs itself. What they write is on a board that both processes have.
 */
#ifndef STRAND_TESTS_UNIT_THREAD_CHILD_H
#define STRAND_TESTS_UNIT_THREAD_CHILD_H

#include <stdint.h>
#include <sys/types.h>

#include "stack/unwind.h"
#include "wire.h"

#define THREAD_CHILD_CACHED 3
#define THREAD_CHILD_LOCALS 100 /* bytes of thread-locals of the program that are written down */
#define THREAD_CHILD_TABLE  "/dev/shm/strand-unit-%d" WIRE_TABLE_SUFFIX

enum role {
	ROLE_MAIN,
	ROLE_PLAIN,
	ROLE_IN_HEAP,	/* its stack is malloc'ed memory */
	ROLE_IN_STATIC, /* … or a variable of the program */
	ROLE_NO_GUARD,
	ROLE_ALTERNATE,	  /* in a signal handler on a stack of its own */
	ROLE_NESTED_ALT,  /* … that is an array in the thread's own stack */
	ROLE_COROUTINE,	  /* in a coroutine on a stack from the heap */
	ROLE_NESTED_CORO, /* … on an array in the thread's own stack */
	ROLE_DEEP,	  /* more frames than are followed */
	ROLE_DEEP_OUTER,  /* likewise, and its stack holds the next one's */
	ROLE_IN_DEEP,
	ROLE_UNBORN,   /* has not entered its start routine */
	ROLE_RECORDED, /* … and its argument is a record of the recording side */
	ROLE_OUTER,    /* its stack holds the next one's */
	ROLE_INNER,
	ROLE_LENDER, /* the next one runs a coroutine on an array in its stack */
	ROLE_BORROWER,
	ROLES
};

/* What a thread says of itself; in memory that both processes have. */
struct facts {
	pid_t tid;
	uint64_t handle, local, outer_local, errno_at, own_locals, library_locals;
	uint64_t lowest, end; /* by pthread_getattr_np */
};

struct board {
	struct facts facts[ROLES];
	uint64_t ended
		[THREAD_CHILD_CACHED]; /* an address in the stack of each thread that has ended */
	uint64_t ended_handle[THREAD_CHILD_CACHED];
	int unborn_fails;  /* errno; 0: it worked */
	uint64_t argument; /* of the one that is recorded */
	int ready;
};

/* Be that process; the board is behind the descriptor `fd`. Does not return before it is killed. */
int thread_child_run(const char *fd);

#endif
