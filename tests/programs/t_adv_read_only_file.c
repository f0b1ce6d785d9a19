/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 20
 * ends: quit
 * variants: -O0 -O2
 *
 * What it is: everybody sleeps on a word of a file that is mapped as private, but for reading
 * only: no copy of the page is ever made, and another process that has the same file mapped as
 * shared changes the word and wakes.
 */
#include "prog.h"
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { PAGE = 4096, WORD = 64 };

static void *wait_for_word(void *arg)
{
	while (!__atomic_load_n((int *)arg, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, arg, FUTEX_WAIT, 0, NULL, NULL, 0);
	return arg;
}

static void wake_later(int fd)
{
	int *page;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	PROG_CHECK(page != MAP_FAILED);
	(void)!read(STDIN_FILENO, &byte, 1);
	__atomic_store_n(page + WORD, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, page + WORD, FUTEX_WAKE, 1, NULL, NULL, 0);
	_exit(0);
}

int main(void)
{
	char path[] = "/tmp/strand-page-XXXXXX";
	int fd = mkstemp(path);
	pthread_t thread;
	pid_t child;
	int *page;
	int status;

	PROG_CHECK(fd >= 0 && unlink(path) == 0 && ftruncate(fd, PAGE) == 0);
	page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	PROG_CHECK(page != MAP_FAILED);
	child = fork();
	PROG_CHECK(child >= 0);
	if (child == 0)
		wake_later(fd);
	close(fd);
	thread = prog_thread(wait_for_word, page + WORD);
	prog_ready();
	pthread_join(thread, NULL);
	PROG_CHECK(waitpid(child, &status, 0) == child);
	prog_end(status == 0);
}
