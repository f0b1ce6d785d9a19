/* SPDX-License-Identifier: MIT
 *
 * What a core lacks is told, as far as it can be, by what the modules import: code that imports no function
 * of a kind does nothing of that kind. The C library's own use of them is not the program's.
 */
#include "readers/capture_core.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "readers/milder.h"

enum unseen {
	UNSEEN_HANDLER,
	UNSEEN_HELD,
	UNSEEN_GAPS,
	UNSEEN_SHARED,
	UNSEEN_URING,
};

static const struct {
	enum unseen what;
	const char *function;
} unseen_functions[] = {
#define UNSEEN(what, function) { UNSEEN_##what, #function },
#include "readers/core_unseen.def"
#undef UNSEEN
};

/* libstdc++ itself calls syscall() for futexes, and for nothing else. */
static bool capture_spares(const struct module *m, const char *function)
{
	return m->file && !strcmp(function, "syscall") && !strncmp(m->name, "libstdc++.so", 12);
}

/* A function by which the program could have done it; NULL: it cannot have. */
static const char *capture_find_unseen(const struct modules *mods, const struct libc *libc,
				       enum unseen what)
{
	for (size_t i = 0; i < sizeof(unseen_functions) / sizeof(unseen_functions[0]); i++) {
		const char *function = unseen_functions[i].function;

		if (unseen_functions[i].what != what)
			continue;
		for (size_t k = 0; k < modules_count(mods); k++) {
			const struct module *m = modules_get(mods, k);

			if (milder_uses(libc, m, function) && !capture_spares(m, function))
				return function;
		}
	}
	return NULL;
}

/* Is a thread waiting for a child that has its memory? */
static bool capture_is_in_vfork(const struct stop *s)
{
	for (size_t i = 0; i < stop_count(s); i++) {
		const struct stop_thread *t = stop_thread(s, i);
		long number = arch_syscall_number(&t->regs);

		if (t->state == STOP_THREAD_STOPPED &&
		    (number == SYS_vfork || number == SYS_clone3 ||
		     (number == SYS_clone && arch_syscall_argument(&t->regs, 0) & CLONE_VM)))
			return true;
	}
	return false;
}

/* A thread in a call of the C library has nothing in vector registers that its callers need: no
 * calling convention keeps any. */
static bool capture_is_in_libc_call(const struct stop_thread *t, const struct libc *libc)
{
	return arch_syscall_restarts(&t->regs) && libc_has_code(libc, arch_ip(&t->regs));
}

static bool capture_lacks_vectors(const struct capture *c, const struct libc *libc)
{
	for (size_t i = 0; i < stop_count(c->stop); i++) {
		const struct stop_thread *t = stop_thread(c->stop, i);

		if (t->state == STOP_THREAD_STOPPED && !capture_is_in_libc_call(t, libc) &&
		    core_mixes_vectors(c->core, t->tid))
			return true;
	}
	return false;
}

/* Why there may be pointers that are not in the core. */
static void capture_say_unseen(struct capture *c, const struct core *core,
			       const struct modules *mods, const struct libc *libc)
{
	const char *held = capture_find_unseen(mods, libc, UNSEEN_HELD);
	const char *kept =
		core_has_gaps(core) ? capture_find_unseen(mods, libc, UNSEEN_GAPS) : NULL;

	if (held)
		snprintf(c->held_unknown, sizeof(c->held_unknown),
			 "by %s the kernel may hold what a core does not have", held);
	else if (kept)
		snprintf(c->held_unknown, sizeof(c->held_unknown),
			 "by %s memory may have been kept out of the core", kept);
	else if (capture_lacks_vectors(c, libc))
		snprintf(c->held_unknown, sizeof(c->held_unknown),
			 "gcore may have mixed up the vector registers of a running thread");
}

int capture_from_core(const struct core *core, const struct target *t, const struct modules *mods,
		      const struct libc *libc, struct capture **out, struct err *e)
{
	struct capture *c = calloc(1, sizeof(*c));
	int rc = c ? 0 : ERR_NOMEM;

	*out = NULL;
	if (rc)
		return err_set(e, rc, "cannot look at a core");
	c->pid = t->pid;
	c->core = core;
	c->maps = *core_maps(core);
	c->monotonic_ns = c->realtime_ns = TIME_UNKNOWN;
	c->sleepers_slept = true;
	c->caught_signals = capture_find_unseen(mods, libc, UNSEEN_HANDLER) ? UINT64_MAX : 0;
	c->has_uring = capture_find_unseen(mods, libc, UNSEEN_URING);
	rc = core_make_stop(core, libc_tid_offset(libc), &c->stop, e);
	if (!rc)
		rc = snapshot_create_over(core_source(core), &c->memory, e);
	if (rc) {
		capture_free(c);
		return rc;
	}
	capture_say_unseen(c, core, mods, libc);
	c->relative_unknown =
		capture_is_in_vfork(c->stop) || capture_find_unseen(mods, libc, UNSEEN_SHARED);
	*out = c;
	return 0;
}
