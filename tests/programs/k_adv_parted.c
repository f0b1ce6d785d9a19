/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * args: plain | named | zero | private_memfd | shared_memfd | break
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: memory of the program's own in which things are found by offsets from its beginning; a
 * page in its midst has got another protection, so that the kernel lists it in pieces.
 */
#include "k_adv.h"
#include <stdint.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>

enum { PAGE = 4096, ARENA = 64 * PAGE, MIDDLE = 30 * PAGE, QUEUE_AT = 50 * PAGE };

static char *arena;

static char *make(const char *how)
{
	int flags = MAP_PRIVATE, fd = -1;
	char *at;

	if (!strcmp(how, "break")) {
		at = sbrk(ARENA + PAGE);
		PROG_CHECK(at != (void *)-1);
		return (char *)(((uintptr_t)at + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
	}
	if (strstr(how, "memfd")) {
		flags = how[0] == 's' ? MAP_SHARED : MAP_PRIVATE;
		fd = memfd_create("arena", 0);
		PROG_CHECK(fd >= 0 && !ftruncate(fd, ARENA + 2 * PAGE));
	} else if (!strcmp(how, "zero")) {
		fd = open("/dev/zero", O_RDWR);
	} else {
		flags |= MAP_ANONYMOUS;
	}
	at = mmap(NULL, ARENA + 2 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
	PROG_CHECK(at != MAP_FAILED);
	close(fd);
	/* Nobody else's memory beside it. */
	PROG_CHECK(!munmap(at, PAGE) && !munmap(at + PAGE + ARENA, PAGE));
	return at + PAGE;
}

static __attribute__((noinline)) pthread_t start(const char *how)
{
	arena = make(how);
	if (!strcmp(how, "named"))
		prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, arena + MIDDLE, PAGE, "middle");
	else
		PROG_CHECK(!mprotect(arena + MIDDLE, PAGE, PROT_READ));
	return prog_thread(queue_work, queue_init((struct queue *)(arena + QUEUE_AT)));
}

int main(int argc, char **argv)
{
	pthread_t worker = start(argc > 1 ? argv[1] : "plain");

	scrub();
	prog_ready();
	wait_for_stop();
	queue_put((struct queue *)(arena + QUEUE_AT));
	pthread_join(worker, NULL);
	prog_end(true);
}
