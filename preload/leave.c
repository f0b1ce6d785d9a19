/* SPDX-License-Identifier: MIT
 *
 * Where the process ends. An image that ever had a second task waits, before any exit handler runs,
 * until the watcher has looked: in short steps, and no longer than the watcher shows that it is
 * alive. After that nothing is held; whatever happens here, the process ends as it would have.
 *
 * One thread fills in who ends the process and waits; others that come to an end meanwhile wait with
 * it. A handler that runs in that time and ends the process goes straight on.
 */
#include <err.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "births.h"
#include "clock.h"
#include "real.h"
#include "shim.h"
#include "sys.h"
#include "table.h"

#define STEP_NS 20000000l

static uint32_t leading; /* one thread has begun to end the process */

/* Is this still the process, and the table, that it was? A handler may have forked. */
static bool same_image(uint32_t generation)
{
	return shim_alive() && shim.generation == generation;
}

static uint32_t exit_state(void)
{
	return __atomic_load_n(&shim.table->exit_state, __ATOMIC_ACQUIRE);
}

static bool is_led(void)
{
	return __atomic_load_n(&leading, __ATOMIC_ACQUIRE) != 0;
}

/* Until `exit_state` is neither NONE nor HELD, or who led has gone on (its exec failed), or nobody
 * has shown a sign of life for too long. */
static void wait_for_watcher(uint32_t generation)
{
	uint64_t since = clock_now_ns();
	uint32_t last = __atomic_load_n(&shim.table->heartbeat, __ATOMIC_RELAXED);

	while (same_image(generation) && is_led() && exit_state() <= WIRE_EXIT_HELD) {
		uint32_t beat = __atomic_load_n(&shim.table->heartbeat, __ATOMIC_RELAXED);
		uint64_t now = clock_now_ns();

		if (beat != last)
			since = now;
		last = beat;
		/* Where there is no clock at all nobody is waited for. */
		if (!now || now - since >= (uint64_t)WIRE_PATIENCE_NS)
			return;
		if (shim.sandboxed)
			__builtin_ia32_pause();
		else
			sys_futex_wait(&shim.table->exit_state, exit_state(), STEP_NS);
	}
}

static void fill_exit(struct wire_table *t, enum wire_exit_kind kind, int status, uintptr_t sp)
{
	t->exit_kind = kind;
	t->exit_status = status;
	t->exit_tid = self.recording ? self.task->tid : births_own_tid();
	t->exit_task = self.generation == shim.generation ? self.number : 0;
	t->exit_sp = sp;
	t->exit_ns = clock_now_ns();
}

static void lead(enum wire_exit_kind kind, int status, uintptr_t sp)
{
	uint32_t generation = shim.generation;
	bool watched;

	fill_exit(shim.table, kind, status, sp);
	__atomic_store_n(&shim.table->exit_state, WIRE_EXIT_HELD, __ATOMIC_RELEASE);
	shim_ring();
	watched = shim.control || (!shim.supervised && !shim.sandboxed && analyser_start());
	if (watched)
		wait_for_watcher(generation);
	if (!same_image(generation))
		return;
	__atomic_store_n(&shim.table->exit_state, WIRE_EXIT_PASSED, __ATOMIC_RELEASE);
	if (!shim.sandboxed)
		sys_futex_wake(&shim.table->exit_state);
}

/* The first one leads; if that one does not end the process after all, the next. */
static void lead_or_follow(enum wire_exit_kind kind, int status, uintptr_t sp)
{
	uint32_t generation = shim.generation;
	uint32_t free;

	do {
		free = 0;
		if (__atomic_compare_exchange_n(&leading, &free, generation, false,
						__ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
			lead(kind, status, sp);
			return;
		}
		wait_for_watcher(generation);
	} while (same_image(generation) && !is_led());
}

void leave_hold(enum wire_exit_kind kind, int status, uintptr_t sp)
{
	if (!shim_alive() || self.leaving || exit_state() > WIRE_EXIT_HELD ||
	    __atomic_load_n(&shim.table->tasks_born, __ATOMIC_RELAXED) < 2)
		return;
	if (!shim_is_own_process())
		return;
	self.leaving = true;
	lead_or_follow(kind, status, sp);
	self.leaving = false;
}

void leave_undo(void)
{
	if (!shim_alive() || shim.table->exit_kind != WIRE_EXIT_KIND_EXEC)
		return;
	shim.table->exit_kind = WIRE_EXIT_KIND_NONE;
	__atomic_store_n(&shim.table->exit_state, WIRE_EXIT_NONE, __ATOMIC_RELEASE);
	__atomic_store_n(&leading, 0, __ATOMIC_RELEASE);
}

void leave_reset(void)
{
	leading = 0;
}

void leave_remove(void)
{
	if (!shim.supervised && !shim.sandboxed && shim_is_own_process())
		table_remove();
}

/* -- the wrappers -------------------------------------------------------------------------------- */

WRAPPER __attribute__((noreturn)) void exit(int status)
{
	leave_hold(WIRE_EXIT_KIND_EXIT, status, (uintptr_t)__builtin_dwarf_cfa());
	real.exit(status);
	__builtin_unreachable();
}

/* What is not fit to be called, with arguments of which nothing is known, is looked up first. */
RECORD_HIDDEN __attribute__((used)) void leave_by_error(int status, uintptr_t sp);

void leave_by_error(int status, uintptr_t sp)
{
	real_resolve();
	if (status)
		leave_hold(WIRE_EXIT_KIND_EXIT, status, sp);
}

WRAPPER __attribute__((noreturn)) void verr(int status, const char *format, va_list list)
{
	leave_hold(WIRE_EXIT_KIND_EXIT, status, (uintptr_t)__builtin_dwarf_cfa());
	real.verr(status, format, list);
	__builtin_unreachable();
}

WRAPPER __attribute__((noreturn)) void verrx(int status, const char *format, va_list list)
{
	leave_hold(WIRE_EXIT_KIND_EXIT, status, (uintptr_t)__builtin_dwarf_cfa());
	real.verrx(status, format, list);
	__builtin_unreachable();
}

WRAPPER __attribute__((noreturn)) void err(int status, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	leave_hold(WIRE_EXIT_KIND_EXIT, status, (uintptr_t)__builtin_dwarf_cfa());
	real.verr(status, format, list);
	__builtin_unreachable();
}

WRAPPER __attribute__((noreturn)) void errx(int status, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	leave_hold(WIRE_EXIT_KIND_EXIT, status, (uintptr_t)__builtin_dwarf_cfa());
	real.verrx(status, format, list);
	__builtin_unreachable();
}

WRAPPER __attribute__((noreturn)) void quick_exit(int status)
{
	leave_hold(WIRE_EXIT_KIND_QUICK, status, (uintptr_t)__builtin_dwarf_cfa());
	leave_remove();
	real.quick_exit(status);
	__builtin_unreachable();
}

/* In a sandbox nothing tells the process from a child of vfork, which ends by these. */
static void hold_at_once(int status, uintptr_t sp)
{
	if (!shim.sandboxed)
		leave_hold(WIRE_EXIT_KIND__EXIT, status, sp);
}

WRAPPER __attribute__((noreturn)) void _exit(int status)
{
	hold_at_once(status, (uintptr_t)__builtin_dwarf_cfa());
	leave_remove();
	real._exit(status);
	__builtin_unreachable();
}

WRAPPER __attribute__((noreturn)) void _Exit(int status)
{
	hold_at_once(status, (uintptr_t)__builtin_dwarf_cfa());
	leave_remove();
	real._Exit(status);
	__builtin_unreachable();
}
