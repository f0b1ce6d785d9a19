/* SPDX-License-Identifier: MIT
 *
 * Programs that give up rights after they have begun: seccomp, strict and with filters that kill
 * for every call that the program itself does not make, chroot, another user. Argument: which.
 */
#include "work.h"
#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What the C library makes for the work below, and no more. */
static const int allowed[] = {
	SYS_read,
	SYS_write,
	SYS_futex,
	SYS_exit,
	SYS_exit_group,
	SYS_mmap,
	SYS_munmap,
	SYS_mprotect,
	SYS_madvise,
	SYS_clone,
	SYS_clone3,
	SYS_rseq,
	SYS_set_robust_list,
	SYS_brk,
	SYS_rt_sigprocmask,
	SYS_rt_sigreturn,
	SYS_newfstatat,
	SYS_fstat,
	SYS_restart_syscall,
	SYS_rt_sigaction,
	SYS_getrandom,
	SYS_sched_getaffinity,
	SYS_clock_nanosleep,
	SYS_prlimit64,
};

enum { ALLOWED = sizeof(allowed) / sizeof(allowed[0]) };

static void filter(bool by_prctl, unsigned otherwise)
{
	struct sock_filter code[2 * ALLOWED + 2];
	struct sock_fprog program = { 2 * ALLOWED + 2, code };
	size_t n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ALLOWED; i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							 (unsigned)allowed[i], 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, otherwise);
	PROG_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if (by_prctl)
		PROG_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
	else
		PROG_CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC,
				   &program) == 0);
}

static void *be_strict(void *arg)
{
	PROG_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
	for (int i = 0; i < 100; i++) {
		pthread_mutex_lock(&work_lock);
		pthread_mutex_unlock(&work_lock);
		pthread_rwlock_rdlock(&work_table);
		pthread_rwlock_unlock(&work_table);
	}
	prog_say("strict\n");
	syscall(SYS_exit, 0);
	return arg;
}

static void in_new_root(void)
{
	char folder[] = "/tmp/strand-root-XXXXXX";

	PROG_CHECK(mkdtemp(folder) && chroot(folder) == 0 && chdir("/") == 0);
}

/* After the folder is the root it cannot be removed from within: a process outside waits for that. */
static void in_new_root_for_a_while(void)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid == 0) {
		in_new_root();
		printf("crowd of %d, the sum is %d\n", crowd(300, 16384), work(0));
		exit(5);
	}
	PROG_CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5);
	PROG_CHECK(system("rmdir /tmp/strand-root-*") == 0);
}

int main(int argc, char **argv)
{
	pthread_t strict;

	PROG_CHECK(argc == 2);
	setvbuf(stdout, NULL, _IONBF, 0);
	if (strcmp(argv[1], "strict") == 0) {
		strict = prog_thread(be_strict, NULL);
		pthread_join(strict, NULL);
	} else if (strcmp(argv[1], "filter") == 0) {
		filter(true, SECCOMP_RET_KILL_PROCESS);
	} else if (strcmp(argv[1], "filter_call") == 0) {
		filter(false, SECCOMP_RET_KILL_PROCESS);
	} else if (strcmp(argv[1], "filter_trap") == 0) {
		filter(true, SECCOMP_RET_TRAP);
	} else if (strcmp(argv[1], "filter_late") == 0) {
		work(0);
		filter(true, SECCOMP_RET_KILL_PROCESS);
	} else if (strcmp(argv[1], "chroot") == 0) {
		in_new_root_for_a_while();
	} else if (strcmp(argv[1], "user") == 0) {
		PROG_CHECK(setresgid(65534, 65534, 65534) == 0);
		PROG_CHECK(setresuid(65534, 65534, 65534) == 0);
	}
	printf("crowd of %d, the sum is %d\n", crowd(600, 16384), work(0));
	return 5;
}
