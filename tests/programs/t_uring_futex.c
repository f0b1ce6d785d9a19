/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * args: mapped | unmapped
 * ends: quit
 * variants: -O2
 *
 * What it is: every thread sleeps on a futex, but the kernel was told by io_uring to wake it once
 * the standard input becomes readable. No thread of any process will run for it. "unmapped": the
 * program has given up its view of the ring; the request is with the kernel.
 */
#include "uring.h"
#include <linux/futex.h>

/* IORING_OP_FUTEX_WAKE of Linux 6.7 and its flag for a private 32-bit word. */
enum { OP_FUTEX_WAKE = 52, FUTEX2_U32 = 2, FUTEX2_IS_PRIVATE = 128 };

static unsigned word;

static void *sleep_on_word(void *arg)
{
	PROG_CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0) == 0);
	return arg;
}

int main(int argc, char **argv)
{
	struct io_uring_sqe entry[2] = {
		{ .opcode = IORING_OP_POLL_ADD, .fd = STDIN_FILENO, .flags = IOSQE_IO_LINK },
		{ .opcode = OP_FUTEX_WAKE, .fd = FUTEX2_U32 | FUTEX2_IS_PRIVATE },
	};
	struct uring uring;
	pthread_t thread;

	PROG_CHECK(argc == 2);
	uring_open(&uring);
	entry[0].poll32_events = POLLIN;
	entry[1].addr = (unsigned long)&word;
	entry[1].off = 8;     /* how many to wake */
	entry[1].addr3 = ~0u; /* the bits */
	if (!uring_submit(&uring, entry, 2))
		return 77;
	if (strcmp(argv[1], "unmapped") == 0)
		uring_unmap(&uring);
	thread = prog_thread(sleep_on_word, NULL);
	prog_ready();
	pthread_join(thread, NULL);
	prog_end(true);
}
