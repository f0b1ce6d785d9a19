/* SPDX-License-Identifier: MIT
 *
 * Where a program begins: the shim's constructor, and main. Constructors of other libraries may have
 * run before, and used all of it; nothing here is needed for that but what they did not do.
 */
#include <unistd.h>

#include "births.h"
#include "cleanup.h"

#include "real.h"
#include "shim.h"
#include "sys.h"

#define MAIN_STACK_BYTES ((uintptr_t)100 << 20)
#define ASIDE_BYTES	 ((size_t)256 << 10) /* handlers of signals may run there */

static int (*program_main)(int, char **, char **);

/* -- what children inherit ----------------------------------------------------------------------- */

/* Does the entry of n bytes name this library: by its path, or by its name alone? */
static bool is_own_entry(const char *entry, size_t n, const char *own)
{
	size_t length = text_length(own);
	size_t i;

	if (n > length || n == 0)
		return false;
	for (i = 0; i < n; i++)
		if (entry[i] != own[length - n + i])
			return false;
	return n == length || own[length - n - 1] == '/';
}

static bool is_separator(char c)
{
	return c == ':' || c == ' ';
}

/* Take our own entry out of LD_PRELOAD's value, in place. False: nothing is left of it. */
static bool remove_own_entry(char *value, const char *own)
{
	char *to = value;
	const char *from = value;

	while (*from) {
		size_t n = 0;
		size_t i;

		while (from[n] && !is_separator(from[n]))
			n++;
		if (n && !is_own_entry(from, n, own)) {
			if (to != value)
				*to++ = ':';
			for (i = 0; i < n; i++)
				*to++ = from[i];
		}
		from += n;
		while (is_separator(*from))
			from++;
	}
	*to = '\0';
	return to != value;
}

/* With --no-children: what is started from here on is bare. */
static void clean_environment(char **envp, const char *own)
{
	static const char preload[] = "LD_PRELOAD=";
	char **to = envp;
	char **from;

	for (from = envp; *from; from++) {
		if (text_begins(*from, WIRE_ENV_CONTROL "=") ||
		    text_begins(*from, WIRE_ENV_DIR "="))
			continue;
		if (text_begins(*from, preload) && own &&
		    !remove_own_entry(*from + sizeof(preload) - 1, own))
			continue;
		*to++ = *from;
	}
	*to = NULL;
}

/* The kernel puts the environment's pointers above main's first frame, and nothing else below them
 * within MAIN_STACK_BYTES: the gap that it leaves under a stack is larger. */
static void know_main_stack(uintptr_t above)
{
	self.stack_end = above;
	self.stack_begin = above - MAIN_STACK_BYTES;
}

/* -- the beginning ------------------------------------------------------------------------------- */

__attribute__((constructor)) static void construct(int argc, char **argv, char **envp)
{
	const char *own;

	(void)argc;
	(void)argv;
	/* musl calls constructors with nothing. */
	if (!shim_is_known_libc())
		envp = environ;
	if (!shim.environment)
		shim.environment = envp;
	real_resolve();
	births_prepare();
	know_main_stack((uintptr_t)envp);
	self_find();
	own = modules_note();
	if (own)
		analyser_find(own, envp);
	modules_write();
	if (shim.control && shim.control->flags & WIRE_CONTROL_NO_CHILDREN)
		clean_environment(envp, own);
	shim.environment = NULL;
}

__attribute__((destructor)) static void destruct(void)
{
	leave_remove();
}

/* main's frame is the one right below this function's: its stack pointer after the call tells the
 * watcher where main's was. What is in it is looked at, dead as it is: the hold has a
 * stack of its own. */
__attribute__((noinline, optimize("no-omit-frame-pointer"))) static int run_main(int argc,
										 char **argv,
										 char **envp)
{
	static char stack[ASIDE_BYTES] __attribute__((aligned(16)));
	int status = program_main(argc, argv, envp);
	enum wire_exit_kind kind = WIRE_EXIT_KIND_MAIN;
	int status_too = status;
	uintptr_t sp;

	__asm__ volatile("movq %%rsp, %%rbx\n\t"
			 "movq %%rsp, %%rdx\n\t"
			 "movq %[top], %%rsp\n\t"
			 "call leave_hold\n\t"
			 "movq %%rbx, %%rsp"
			 : "+D"(kind), "+S"(status_too), "=&d"(sp)
			 : [top] "r"(stack + sizeof(stack))
			 : "rax", "rbx", "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
	return status;
}

/* Main may end by pthread_exit() or cancellation, and the process live on. */
static int run_main_to_its_end(int argc, char **argv, char **envp)
{
	volatile int status;

	pthread_cleanup_push(births_end, NULL);
	status = run_main(argc, argv, envp);
	pthread_cleanup_pop(0);
	return status;
}

/* No header has it. */
WRAPPER int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv,
			      void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
			      void *stack_end);

WRAPPER int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv,
			      void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
			      void *stack_end)
{
	program_main = main;
	if (self.recording && shim_alive())
		self.task->start = (uintptr_t)main;
	modules_write();
	return real.__libc_start_main(cleanup_works() ? run_main_to_its_end : run_main, argc, argv,
				      init, fini, rtld_fini, stack_end);
}
