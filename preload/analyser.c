/* SPDX-License-Identifier: MIT
 *
 * The library was preloaded by hand and nobody supervises: at the end of a program with threads the
 * shim starts the analyser itself, and that is the watcher then. The program does not notice: a child
 * without an exit signal starts it and ends, and it is somebody else's then (an exec would give it
 * its signal back, and wait() would find it); of the program's descriptors it has standard error.
 */
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "shim.h"
#include "sys.h"
#include "table.h"

#define STACK_BYTES   (16u << 10)
#define CLONE_FLAGS   (0x00000100 | 0x00004000) /* VM, VFORK; no signal at its end */
#define CLOSE_RANGE   436
#define SIGNALS	      64
#define PROGRAM_BYTES 4096

static char program[PROGRAM_BYTES]; /* empty: there is none */
static char **environment;	    /* what the program had at its beginning, without strand */
static uint32_t exec_failed;
static long analyser_pid;
static uint64_t program_mask;

typedef char child_stack[STACK_BYTES] __attribute__((aligned(16)));
static child_stack middle_stack, analyser_stack;

/* -- where it is --------------------------------------------------------------------------------- */

static bool try_program(const char *directory, size_t n, const char *name)
{
	size_t used = n;
	size_t i;

	if (n >= sizeof(program))
		return false;
	for (i = 0; i < n; i++)
		program[i] = directory[i];
	text_add(program, sizeof(program), &used, name);
	return used < sizeof(program) && sys_call(SYS_access, (long)program, 1, 0, 0, 0, 0) == 0;
}

static bool is_inherited(const char *variable)
{
	static const char *const not [] = { "LD_PRELOAD=", WIRE_ENV_CONTROL "=" };
	size_t i;

	for (i = 0; i < sizeof(not ) / sizeof(not [0]); i++)
		if (text_begins(variable, not [i]))
			return false;
	return true;
}

/* A copy: programs write over what the loader gave them, to change their title. */
static void copy_environment(char *const *envp)
{
	size_t count = 1;
	size_t bytes = 0;
	size_t i, k;
	char *text;
	char **to;

	for (i = 0; envp[i]; i++) {
		count++;
		bytes += text_length(envp[i]) + 1;
	}
	to = sys_map(-1, 0, count * sizeof(char *) + bytes, NULL);
	environment = to;
	if (!to)
		return;
	text = (char *)(to + count);
	for (i = 0; envp[i]; i++) {
		if (!is_inherited(envp[i]))
			continue;
		*to++ = text;
		for (k = 0; envp[i][k]; k++)
			*text++ = envp[i][k];
		text++;
	}
}

void analyser_find(const char *library, char *const *envp)
{
	size_t n = text_length(library);

	if (shim.supervised)
		return;
	while (n > 0 && library[n - 1] != '/')
		n--;
	if (!try_program(library, n, "strand") && !try_program(library, n, "../../bin/strand") &&
	    !try_program("", 0, STRAND_BINDIR "/strand"))
		program[0] = '\0';
	if (program[0])
		copy_environment(envp);
}

/* -- the child ----------------------------------------------------------------------------------- */

/* Handlers are the program's: none may run here, on its memory. What is ignored stays so. */
static void reset_handlers(void)
{
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		uint64_t mask;
	} action;
	long i;

	for (i = 1; i <= SIGNALS; i++) {
		if (sys_call(SYS_rt_sigaction, i, 0, (long)&action, 8, 0, 0) < 0 ||
		    action.handler == SIG_IGN || action.handler == SIG_DFL)
			continue;
		action.handler = SIG_DFL;
		action.flags = 0;
		sys_call(SYS_rt_sigaction, i, (long)&action, 0, 8, 0, 0);
	}
}

/* Whoever reads what the program writes waits for the last one to close it. */
static void close_descriptors(void)
{
	int null = sys_open("/dev/null", O_RDWR, 0);

	if (null >= 0) {
		sys_call(SYS_dup2, null, 0, 0, 0, 0, 0);
		sys_call(SYS_dup2, null, 1, 0, 0, 0, 0);
	}
	sys_call(CLOSE_RANGE, 3, UINT32_MAX, 0, 0, 0, 0);
}

/* Not by an exit: valgrind would make one of the program of it, and write its streams' buffers. */
static __attribute__((noreturn)) void leave(void)
{
	for (;;) {
		sys_call(SYS_kill, sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0), SIGKILL, 0, 0, 0, 0);
		sys_call(SYS_exit, 0, 0, 0, 0, 0, 0);
	}
}

static __attribute__((noreturn)) void run_analyser(void)
{
	static char name[] = "strand";
	static char command[] = "exit-analysis";
	char pid[24];
	char *argv[] = { name, command, pid, (char *)(uintptr_t)table_path(), NULL };
	size_t used = 0;

	text_add_number(pid, sizeof(pid), &used, (uint64_t)shim.table->pid);
	reset_handlers();
	close_descriptors();
	sys_restore_signals(&program_mask);
	sys_call(SYS_execve, (long)program, (long)argv, (long)environment, 0, 0, 0);
	exec_failed = 1;
	leave();
}

/* The child begins in `run`, on its own stack, and never comes back here; the caller goes on when it
 * has ended, or is another program. */
static long clone_child(child_stack *stack, void (*run)(void))
{
	long result;

	__asm__ volatile("syscall\n\t"
			 "testq %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "call *%[run]\n\t"
			 "1:"
			 : "=a"(result)
			 : "a"((long)SYS_clone), "D"((long)CLONE_FLAGS), "S"((char *)(stack + 1)),
			   "d"(0l), [run] "b"(run)
			 : "rcx", "r11", "r10", "r8", "r9", "memory");
	return result;
}

static __attribute__((noreturn)) void run_middle(void)
{
	analyser_pid = clone_child(&analyser_stack, run_analyser);
	leave();
}

/* Then it would be this process's again. */
static bool is_reaper(void)
{
	int reaper = 0;

	sys_call(SYS_prctl, PR_GET_CHILD_SUBREAPER, (long)&reaper, 0, 0, 0, 0);
	return reaper || shim.table->pid == 1;
}

bool analyser_start(void)
{
	long middle;

	if (!program[0] || !environment || is_reaper())
		return false;
	exec_failed = 0;
	analyser_pid = 0;
	sys_block_signals(&program_mask);
	middle = clone_child(&middle_stack, run_middle);
	if (middle > 0)
		sys_call(SYS_wait4, middle, 0, __WALL, 0, 0, 0);
	sys_restore_signals(&program_mask);
	if (analyser_pid <= 0 || exec_failed)
		return false;
	sys_call(SYS_prctl, PR_SET_PTRACER, analyser_pid, 0, 0, 0, 0);
	return true;
}
