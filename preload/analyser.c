/* SPDX-License-Identifier: MIT
 *
 * The library was preloaded by hand and nobody supervises: at the end of a program with threads the
 * shim starts the analyser itself, and that is the watcher then. It is a child that the program does
 * not notice: no signal when it ends, no wait() that finds it, no descriptor of the program's but
 * its standard error.
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
static uint64_t program_mask;
static char child_stack[STACK_BYTES] __attribute__((aligned(16)));

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

__attribute__((used, noreturn)) static void analyser_child(void)
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
	for (;;)
		sys_call(SYS_exit, 127, 0, 0, 0, 0, 0);
}

/* The child begins on its own stack, in analyser_child(), and never comes back here. */
static long clone_child(void)
{
	long result;

	__asm__ volatile("syscall\n\t"
			 "testq %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xorl %%ebp, %%ebp\n\t"
			 "call %P[child]\n\t"
			 "1:"
			 : "=a"(result)
			 : "a"((long)SYS_clone), "D"((long)CLONE_FLAGS),
			   "S"(child_stack + sizeof(child_stack)),
			   "d"(0l), [child] "i"(analyser_child)
			 : "rcx", "r11", "r10", "r8", "memory");
	return result;
}

bool analyser_start(void)
{
	long pid;

	if (!program[0] || !environment)
		return false;
	exec_failed = 0;
	sys_block_signals(&program_mask);
	pid = clone_child();
	sys_restore_signals(&program_mask);
	if (pid > 0 && exec_failed)
		sys_call(SYS_wait4, pid, 0, __WALL, 0, 0, 0);
	if (pid <= 0 || exec_failed)
		return false;
	sys_call(SYS_prctl, PR_SET_PTRACER, pid, 0, 0, 0, 0);
	return true;
}
