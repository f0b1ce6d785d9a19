/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * args: tid | flag
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: a thread made by clone(2) for whose end another one waits at a word on the heap. The
 * kernel clears that word and wakes who waits there; the thread itself knows nothing of it.
 */
#include "k_adv.h"
#include <linux/futex.h>
#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>

static int end[2];
static char stack[65536] __attribute__((aligned(64)));
static uint64_t own[512] __attribute__((aligned(64))); /* its thread pointer */

__attribute__((used)) static int run(void *arg)
{
	char byte;
	long rc;

	(void)arg;
	/* No library function: it has no thread-locals. */
	__asm__ volatile("syscall"
			 : "=a"(rc)
			 : "a"(SYS_read), "D"(end[0]), "S"(&byte), "d"(1)
			 : "rcx", "r11", "memory");
	__asm__ volatile("syscall" : : "a"(SYS_exit), "D"(0) : "rcx", "r11", "memory");
	return 0;
}

/* Its creator's registers are not to give the word away. */
int begin(void *arg);
__asm__(".globl begin\n"
	"begin:\n\t"
	"xor %ebx, %ebx\n\txor %ebp, %ebp\n\txor %r12d, %r12d\n\t"
	"xor %r13d, %r13d\n\txor %r14d, %r14d\n\txor %r15d, %r15d\n\t"
	"xor %edx, %edx\n\txor %r8d, %r8d\n\txor %r9d, %r9d\n\t"
	"xor %r10d, %r10d\n\txor %r11d, %r11d\n\t"
	"jmp run\n");

static void *wait_for_end(void *arg)
{
	int *word = malloc(64), tid;
	bool by_tid = arg != NULL;

	PROG_CHECK(word);
	*word = 1;
	tid = clone(begin, stack + sizeof(stack),
		    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			    CLONE_SYSVSEM | CLONE_CHILD_CLEARTID | CLONE_SETTLS |
			    (by_tid ? CLONE_PARENT_SETTID : 0),
		    NULL, word, own, word);
	PROG_CHECK(tid > 0);
	while ((tid = __atomic_load_n(word, __ATOMIC_ACQUIRE)))
		syscall(SYS_futex, word, FUTEX_WAIT, tid, NULL, NULL, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	bool by_tid = argc > 1 && !strcmp(argv[1], "tid");
	pthread_t waiter;

	PROG_CHECK(!pipe(end));
	waiter = prog_thread(wait_for_end, by_tid ? stack : NULL);
	scrub();
	prog_ready();
	wait_for_stop();
	PROG_CHECK(write(end[1], "", 1) == 1);
	pthread_join(waiter, NULL);
	prog_end(true);
}
