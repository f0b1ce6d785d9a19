/* SPDX-License-Identifier: MIT
 *
 * syscall() and prctl(): every argument arrives, errors and errno come back, vfork by number leaves
 * the stack alone, bad addresses are the kernel's to complain about, names and filters are noted.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "trace.h"

static int word;

static void check_arguments(void)
{
	char path[] = "/proc/self/exe", found[16];
	void *at;

	CHECK(syscall(SYS_getpid) == getpid());
	/* All six: an offset that is not page-aligned is refused. */
	at = (void *)syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0l);
	CHECK(at != MAP_FAILED && !munmap(at, 4096));
	errno = 0;
	CHECK(syscall(SYS_mmap, NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 1l) == -1);
	CHECK(errno == EINVAL);
	CHECK(syscall(SYS_readlinkat, -1, path, found, sizeof(found)) > 0);
	CHECK(syscall(-1l) == -1 && errno == ENOSYS);
}

static void check_futexes(void)
{
	struct timespec soon = { 0, 1000000 };
	struct timespec *nowhere = (void *)8;

	errno = 0;
	CHECK_RECORDED(FUTEX_WAIT, &word,
		       CHECK(syscall(SYS_futex, &word, FUTEX_WAIT, 1, NULL) == -1));
	CHECK(errno == EAGAIN);
	CHECK_TRACE(!(trace()->last.flags & WIRE_WAIT_DEADLINE));
	CHECK_RECORDED(FUTEX_WAIT, &word,
		       CHECK(syscall(SYS_futex, &word, FUTEX_WAIT, 0, &soon) == -1));
	CHECK(errno == ETIMEDOUT);
	CHECK_TRACE(trace()->last.flags & WIRE_WAIT_DEADLINE);
	/* val3, the last of seven: a mask of 0 is refused. */
	CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0) == -1);
	CHECK(errno == EINVAL);
	clock_gettime(CLOCK_MONOTONIC, &soon);
	CHECK(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &soon, NULL, 4) == -1);
	CHECK(errno == ETIMEDOUT);
	CHECK(syscall(SYS_futex, &word, FUTEX_WAIT, 0, nowhere) == -1 && errno == EFAULT);
	CHECK(syscall(SYS_futex, nowhere, FUTEX_WAIT, 0, NULL) == -1 && errno == EFAULT);
	CHECK_NOT_RECORDED(CHECK(syscall(SYS_futex, &word, FUTEX_WAKE, 1) == 0));
	CHECK(syscall(SYS_futex, &word, FUTEX_LOCK_PI, 0, NULL) == 0 && word);
	CHECK_NOT_RECORDED(CHECK(syscall(SYS_futex, &word, FUTEX_UNLOCK_PI) == 0 && !word));
	CHECK(syscall(449, nowhere, 1, 0, NULL, 0) == -1 && (errno == EFAULT || errno == ENOSYS));
	CHECK_TRACE(trace()->open == 0);
}

/* The child returns on our stack, and must not call anything: that would be where we return to. */
static void check_vfork(void)
{
	volatile int seen = 0;
	int status;
	pid_t pid = (pid_t)syscall(SYS_vfork);

	if (!pid) {
		seen = 1;
		__asm__ volatile("syscall"
				 :
				 : "a"((long)SYS_exit), "D"(3l)
				 : "rcx", "r11", "memory");
	}
	CHECK(pid > 0 && seen == 1);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

static void check_fork(void)
{
	int status;
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, 0, NULL, NULL, 0);

	if (!pid)
		_exit(4);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 4);
}

static void check_names(void)
{
	char name[32];

	CHECK(!prctl(PR_SET_NAME, "by prctl", 0, 0, 0));
	CHECK_TRACE(!strcmp(trace()->name, "by prctl") && trace()->handle == pthread_self());
	CHECK(!syscall(SYS_prctl, PR_SET_NAME, "by syscall", 0, 0, 0));
	CHECK_TRACE(!strcmp(trace()->name, "by syscall"));
	CHECK(!prctl(PR_GET_NAME, name, 0, 0, 0) && !strcmp(name, "by syscall"));
	CHECK(!pthread_setname_np(pthread_self(), "by pthread"));
	CHECK_TRACE(!strcmp(trace()->name, "by pthread"));
	CHECK(pthread_setname_np(pthread_self(), "far too long for a name") == ERANGE);
	CHECK_TRACE(!strcmp(trace()->name, "by pthread"));
	CHECK(prctl(PR_SET_NAME, 8, 0, 0, 0) == -1 && errno == EFAULT);
	CHECK(prctl(-1, 0, 0, 0, 0) == -1 && errno == EINVAL);
}

/* That one was tried is enough; without a filter it was not. */
static void check_filters(void)
{
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) == -1);
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) == -1);
	CHECK(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0);
	CHECK_TRACE(trace()->sandboxed == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 8, 0, 0) == -1);
	CHECK_TRACE(trace()->sandboxed == 1);
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 8) == -1);
	CHECK_TRACE(trace()->sandboxed == 2);
	CHECK(syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 8, 0, 0) == -1);
	CHECK_TRACE(trace()->sandboxed == 3);
}

int main(void)
{
	check_arguments();
	check_futexes();
	check_vfork();
	check_fork();
	check_names();
	check_filters();
	puts("ok");
	return 0;
}
