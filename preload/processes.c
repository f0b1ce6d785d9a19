/* SPDX-License-Identifier: MIT
 *
 * fork and exec. A forked child makes a table of its own at once: a sandbox may forbid it later. An
 * image that is replaced says so in its table, which the next one leaves alone. vfork is never
 * wrapped, and its child, which runs on the parent's memory, is told apart by its process id.
 */
#include <alloca.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include "real.h"
#include "shim.h"
#include "sys.h"

WRAPPER pid_t fork(void)
{
	pid_t pid = real.fork();

	if (pid == 0)
		self_find();
	return pid;
}

WRAPPER pid_t _Fork(void)
{
	pid_t pid = real._Fork();

	if (pid == 0)
		self_find();
	return pid;
}

/* -- exec ---------------------------------------------------------------------------------------- */

/* In a sandbox a child of vfork cannot be told apart: nothing is marked. */
static bool begin_exec(uintptr_t sp)
{
	if (shim.sandboxed || !shim_is_own_process())
		return false;
	leave_hold(WIRE_EXIT_KIND_EXEC, 0, sp);
	__atomic_fetch_or(&shim.table->flags, WIRE_TABLE_REPLACED, __ATOMIC_RELEASE);
	return true;
}

static int fail_exec(bool marked, int result)
{
	if (marked && shim_alive()) {
		__atomic_fetch_and(&shim.table->flags, ~(uint32_t)WIRE_TABLE_REPLACED,
				   __ATOMIC_RELEASE);
		leave_undo();
	}
	return result;
}

WRAPPER int execv(const char *path, char *const *argv)
{
	bool marked = begin_exec((uintptr_t)__builtin_dwarf_cfa());

	return fail_exec(marked, real.execv(path, argv));
}

WRAPPER int execve(const char *path, char *const *argv, char *const *envp)
{
	bool marked = begin_exec((uintptr_t)__builtin_dwarf_cfa());

	return fail_exec(marked, real.execve(path, argv, envp));
}

WRAPPER int execvp(const char *file, char *const *argv)
{
	bool marked = begin_exec((uintptr_t)__builtin_dwarf_cfa());

	return fail_exec(marked, real.execvp(file, argv));
}

WRAPPER int execvpe(const char *file, char *const *argv, char *const *envp)
{
	bool marked = begin_exec((uintptr_t)__builtin_dwarf_cfa());

	return fail_exec(marked, real.execvpe(file, argv, envp));
}

WRAPPER int fexecve(int fd, char *const *argv, char *const *envp)
{
	bool marked = begin_exec((uintptr_t)__builtin_dwarf_cfa());

	return fail_exec(marked, real.fexecve(fd, argv, envp));
}

WRAPPER int execveat(int fd, const char *path, char *const *argv, char *const *envp, int flags)
{
	bool marked = begin_exec((uintptr_t)__builtin_dwarf_cfa());

	return fail_exec(marked, real.execveat(fd, path, argv, envp, flags));
}

/* -- exec with its arguments in a list ----------------------------------------------------------- */

/* How many there are, without the NULL that ends them. */
static size_t count_arguments(va_list list)
{
	va_list copy;
	size_t n = 0;

	va_copy(copy, list);
	while (va_arg(copy, char *))
		n++;
	va_end(copy);
	return n;
}

/* On the stack, as the C library has it: a child of vfork may be calling. */
#define ARGUMENTS(argv, first, list)                        \
	do {                                                \
		size_t n_ = count_arguments(list);          \
		size_t i_;                                  \
		(argv) = alloca((n_ + 2) * sizeof(char *)); \
		(argv)[0] = (char *)(uintptr_t)(first);     \
		for (i_ = 1; i_ <= n_ + 1; i_++)            \
			(argv)[i_] = va_arg(list, char *);  \
	} while (0)

WRAPPER int execl(const char *path, const char *argument, ...)
{
	bool marked = begin_exec((uintptr_t)__builtin_dwarf_cfa());
	va_list list;
	char **argv;

	va_start(list, argument);
	ARGUMENTS(argv, argument, list);
	va_end(list);
	return fail_exec(marked, real.execv(path, argv));
}

WRAPPER int execlp(const char *file, const char *argument, ...)
{
	bool marked = begin_exec((uintptr_t)__builtin_dwarf_cfa());
	va_list list;
	char **argv;

	va_start(list, argument);
	ARGUMENTS(argv, argument, list);
	va_end(list);
	return fail_exec(marked, real.execvp(file, argv));
}

WRAPPER int execle(const char *path, const char *argument, ...)
{
	bool marked = begin_exec((uintptr_t)__builtin_dwarf_cfa());
	va_list list;
	char **argv;
	char *const *envp;

	va_start(list, argument);
	ARGUMENTS(argv, argument, list);
	envp = va_arg(list, char *const *);
	va_end(list);
	return fail_exec(marked, real.execve(path, argv, envp));
}
