/* SPDX-License-Identifier: MIT
 *
 * Signal handlers: whether what they interrupt goes on by itself (SA_RESTART) decides if a thread
 * with such a signal can be woken by it. The older functions have each their own idea of that, and
 * siginterrupt() changes it: they are asked for by name, what came of it is asked of the kernel.
 */
#include "real.h"
#include "record.h"

#define HANDLERS_FROM 3 /* 0 to 2 are SIG_DFL, SIG_IGN, SIG_HOLD */

static void note(int number, uintptr_t handler, int flags)
{
	if (handler >= HANDLERS_FROM)
		record_handler(number, flags & SA_RESTART);
}

/* `action` may be overwritten by the call, where it is `old`, too. */
WRAPPER int sigaction(int number, const struct sigaction *action, struct sigaction *old)
{
	uintptr_t handler = action ? (uintptr_t)action->sa_handler : 0;
	int flags = action ? action->sa_flags : 0;
	int result = real.sigaction(number, action, old);

	if (!result)
		note(number, handler, flags);
	return result;
}

static void note_installed(int number)
{
	struct sigaction now;

	if (!real.sigaction(number, NULL, &now))
		note(number, (uintptr_t)now.sa_handler, now.sa_flags);
}

#define LIKE_SIGNAL(name)                                                     \
	WRAPPER sighandler_t name(int number, sighandler_t handler)           \
	{                                                                     \
		sighandler_t before = real.name(number, handler);             \
                                                                              \
		if (before != SIG_ERR && (uintptr_t)handler >= HANDLERS_FROM) \
			note_installed(number);                               \
		return before;                                                \
	}

/* Compiled strictly by the older standards, signal() is one of the others. */
WRAPPER sighandler_t bsd_signal(int, sighandler_t);

LIKE_SIGNAL(signal)
LIKE_SIGNAL(bsd_signal)
LIKE_SIGNAL(ssignal)
LIKE_SIGNAL(sysv_signal)
LIKE_SIGNAL(__sysv_signal)
LIKE_SIGNAL(sigset)

WRAPPER int siginterrupt(int number, int interrupts)
{
	int result = real.siginterrupt(number, interrupts);

	if (!result)
		note_installed(number);
	return result;
}
