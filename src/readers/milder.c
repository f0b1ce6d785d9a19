/* SPDX-License-Identifier: MIT
 *
 * "Milder, never harder": nothing here can make a task stuck, only keep it from being called so.
 */
#include "readers/milder.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "readers/runtimes.h"

static const int exempt_signals[] = {
#define EXEMPT(number, why) number,
#include "readers/signals.def"
#undef EXEMPT
};

/* Signals that are sent to threads rather than to processes. A handler of one may end its thread
 * by pthread_exit(), as some programs do in place of cancellation; that handlers of others do
 * is not supposed (nor is it allowed there: signal-safety(7)). */
#define THREAD_SIGNALS                                                 \
	(UINT64_C(1) << (SIGUSR1 - 1) | UINT64_C(1) << (SIGUSR2 - 1) | \
	 ~UINT64_C(0) << (FIRST_REAL_TIME_SIGNAL - 1))
#define FIRST_REAL_TIME_SIGNAL 34 /* 32 and 33 are glibc's own */

/* Whatever leaves a handler without returning to the interrupted wait, and out of which signals'
 * handlers. */
static const struct {
	const char *function;
	uint64_t signals;
} ways_out[] = {
	{ "siglongjmp", ~UINT64_C(0) },	   { "longjmp", ~UINT64_C(0) },
	{ "__longjmp_chk", ~UINT64_C(0) }, { "setcontext", ~UINT64_C(0) },
	{ "swapcontext", ~UINT64_C(0) },   { "pthread_exit", THREAD_SIGNALS },
};

uint64_t milder_handled_signals(uint64_t caught, uint64_t blocked)
{
	uint64_t handled = caught & ~blocked;

	for (size_t i = 0; i < sizeof(exempt_signals) / sizeof(exempt_signals[0]); i++)
		handled &= ~(UINT64_C(1) << (exempt_signals[i] - 1));
	return handled;
}

static void milder_signal_name(int number, char *buf, size_t size)
{
	const char *abbreviation = sigabbrev_np(number);

	if (abbreviation)
		snprintf(buf, size, "SIG%s", abbreviation);
	else
		snprintf(buf, size, "signal %d", number);
}

void milder_describe_signals(uint64_t signals, char *buf, size_t size)
{
	enum { SHOWN = 3 };
	int shown = 0, total = __builtin_popcountll(signals);
	size_t at = 0;

	buf[0] = '\0';
	for (int number = 1; number <= 64 && shown < SHOWN && at < size; number++) {
		char name[32];

		if (!(signals >> (number - 1) & 1))
			continue;
		milder_signal_name(number, name, sizeof(name));
		at += (size_t)snprintf(buf + at, size - at, "%s%s", shown ? ", " : "", name);
		shown++;
	}
	if (total > shown && at < size)
		snprintf(buf + at, size - at, " and %d more", total - shown);
}

/* Exactly: libpthreadpool.so is no part of it. strand's own library does nothing on its own
 * account. */
static bool milder_is_libc(const struct module *m)
{
	static const char *const names[] = {
		"libc.so", "libc-2.",  "libpthread.so", "libpthread-2.", "ld-linux-x86-64.so",
		"ld-2.",   "ld-musl-", "libstrand.so"
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(m->name, names[i], strlen(names[i])))
			return true;
	return false;
}

bool milder_uses(const struct libc *libc, const struct module *m, const char *name)
{
	struct module_symbol sym;

	if (milder_is_libc(m))
		return false;
	return !m->file || module_imports(m, name) ||
	       (libc_is_static(libc) && m->main_program && module_find_symbol(m, name, true, &sym));
}

static const struct module *milder_find_user(const struct threads_input *in, const char *name)
{
	for (size_t i = 0; i < modules_count(in->modules); i++)
		if (milder_uses(in->libc, modules_get(in->modules, i), name))
			return modules_get(in->modules, i);
	return NULL;
}

/* Threads whose wait a handler may leave for good, by a function that the program uses. */
static void milder_apply_ways_out(const struct threads_input *in, struct model *m, uint64_t handled)
{
	for (size_t i = 0; i < sizeof(ways_out) / sizeof(ways_out[0]); i++) {
		if (!(handled & ways_out[i].signals) || !milder_find_user(in, ways_out[i].function))
			continue;
		model_note(m,
			   "the program uses %s beside signal handlers: threads in which one may "
			   "run are not given as stuck",
			   ways_out[i].function);
		for (size_t t = 0; t < m->task_count; t++)
			if (m->tasks[t]->handled_signals & ways_out[i].signals)
				m->tasks[t]->handler_leaves = true;
		if (ways_out[i].signals == ~UINT64_C(0))
			return;
	}
}

static int milder_apply_handlers(const struct threads_input *in, struct model *m)
{
	uint64_t handled = 0;
	const char *why;
	char names[128];

	for (size_t i = 0; i < m->task_count; i++)
		handled |= m->tasks[i]->handled_signals;
	if (!handled)
		return 0;
	milder_describe_signals(handled, names, sizeof(names));
	why = model_format(m, "the handler of %s", names);
	if (!why || !model_add_pseudo(m, why))
		return ERR_NOMEM;
	if (in->capture->core)
		model_note(m, "a core does not tell which signals have handlers: all that a thread "
			      "does not block count as having one that may wake others");
	else
		model_note(
			m,
			"handlers of %s may run: what static data, or the thread-locals of their "
			"threads, lead to counts as reached",
			names);
	milder_apply_ways_out(in, m, handled);
	return 0;
}

static void milder_apply_cancellation(const struct threads_input *in, struct model *m)
{
	m->cancels = milder_find_user(in, "pthread_cancel") != NULL;
	m->cancels_async = m->cancels && milder_find_user(in, "pthread_setcanceltype") != NULL;
}

static int milder_apply_relative(const struct threads_input *in, struct model *m)
{
	pid_t pid = in->capture->relative;
	const char *what;

	if (in->capture->relative_unknown) {
		model_note(m, "another process may share the memory, which a core does not tell: "
			      "it may unlock and wake");
		return model_add_pseudo(m, "a process that may share the memory") ? 0 : ERR_NOMEM;
	}
	if (!pid)
		return 0;
	what = model_format(m, "process %d (shares the memory)", (int)pid);
	model_note(m, "process %d shares the memory: it may unlock and wake", (int)pid);
	return what && model_add_pseudo(m, what) ? 0 : ERR_NOMEM;
}

static void milder_withhold_shared(struct model *m, const char *why)
{
	if (!m->shared_withheld)
		m->shared_withheld = why;
	model_note(m, "%s: waits for shared objects are not given as stuck", why);
}

static void milder_apply_libc(const struct threads_input *in, struct model *m)
{
	switch (libc_kind(in->libc)) {
	case LIBC_GLIBC:
		return;
	case LIBC_GLIBC_UNKNOWN:
		milder_withhold_shared(m, libc_minor(in->libc)
						  ? model_format(m,
								 "glibc 2.%d is not known to this "
								 "strand",
								 libc_minor(in->libc))
						  : "the release of glibc is not known");
		return;
	case LIBC_MUSL:
		milder_withhold_shared(m, "the C library is musl, whose locks name no owner");
		return;
	default:
		milder_withhold_shared(m, "no known C library was found in the process");
	}
}

/* Wakers that are no tasks: requests in the kernel's hands. */
static void milder_apply_kernel(const struct threads_input *in, struct model *m)
{
	const struct maps *maps = &in->capture->maps;
	bool uring = in->capture->has_uring, aio = false;

	for (size_t i = 0; i < maps->n; i++) {
		uring = uring || strstr(maps->v[i].path, "[io_uring]");
		aio = aio || !strncmp(maps->v[i].path, "/[aio]", 6);
	}
	if (uring)
		milder_withhold_shared(m, in->capture->core ? "io_uring may be in use"
							    : "io_uring is in use");
	if (aio)
		milder_withhold_shared(m, "kernel AIO is in use");
}

static void milder_apply_go(const struct threads_input *in, struct model *m)
{
	for (size_t i = 0; i < modules_count(in->modules); i++) {
		if (!module_has_section(modules_get(in->modules, i), ".go.buildinfo"))
			continue;
		milder_withhold_shared(m, "this is a Go program, whose goroutines are not seen");
		m->seen = SEEN_PARTIAL;
		return;
	}
}

static void milder_apply_runtimes(const struct threads_input *in, struct model *m)
{
	m->references_withheld = runtimes_find(in->modules);
	if (m->references_withheld)
		model_note(m, "%s: who refers to what cannot be seen in its memory",
			   m->references_withheld);
}

int milder_apply(const struct threads_input *in, struct model *m)
{
	int rc = milder_apply_handlers(in, m);

	if (!rc)
		rc = milder_apply_relative(in, m);
	milder_apply_cancellation(in, m);
	milder_apply_libc(in, m);
	milder_apply_kernel(in, m);
	milder_apply_go(in, m);
	milder_apply_runtimes(in, m);
	return rc;
}
