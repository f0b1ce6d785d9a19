/* SPDX-License-Identifier: MIT
 *
 * Who the process of a core was, and its threads as a stop would show them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/core_private.h"
#include "target/stop_private.h"

/* Flags of the kernel: include/linux/sched.h, Linux 2.6 to 6.18. */
#define PF_FORKNOEXEC 0x00000040

#define STACK_SEARCHED_BYTES (1u << 20)
#define ARGUMENTS_MAX	     65536u
#define ARGUMENT_BYTES_MAX   (128u << 10)

static int core_pid(const struct core *c)
{
	return c->pid ? c->pid : (int)c->threads[0].thread.tid;
}

const char *core_name(const struct core *c)
{
	return c->comm;
}

/* -- arguments ---------------------------------------------------------------------------------- */

/* Words up to the auxiliary vector, which the kernel put behind them at the top of the stack: number of
 * arguments, their addresses, 0, the environment, 0. */
struct core_stack {
	uint64_t start;
	size_t n;
	uint64_t *v;
};

static int core_read_stack(const struct core *c, struct core_stack *s)
{
	const struct mapping *m = maps_find(&c->maps, c->executable_name);
	struct memory_source source = core_source(c);
	uint64_t bytes;
	uint8_t *found;

	if (!c->executable_name || !m || c->auxv_bytes < 32)
		return 0;
	bytes = m->end - m->start < STACK_SEARCHED_BYTES ? m->end - m->start : STACK_SEARCHED_BYTES;
	s->start = m->end - bytes;
	s->v = malloc(bytes + 8);
	if (!s->v)
		return ERR_NOMEM;
	bytes = source.read(source.ctx, s->start, s->v, bytes);
	found = memmem(s->v, bytes, c->auxv, c->auxv_bytes);
	s->n = found && (found - (uint8_t *)s->v) % 8 == 0 ? (size_t)(found - (uint8_t *)s->v) / 8
							   : 0;
	return 0;
}

/* Index of the first argument's address and their number; 0 if the words do not fit. */
static size_t core_find_arguments(const struct core_stack *s, size_t *first)
{
	size_t end = s->n;

	if (!end || s->v[--end])
		return 0;
	while (end && s->v[end - 1])
		end--;
	if (!end--)
		return 0;
	for (size_t n = 0; n < ARGUMENTS_MAX && n < end; n++) {
		if (s->v[end - n - 1] != n)
			continue;
		*first = end - n;
		return n;
	}
	return 0;
}

static char *core_read_string(const struct core *c, uint64_t address)
{
	struct memory_source source = core_source(c);
	char *text = malloc(ARGUMENT_BYTES_MAX + 1), *shorter;
	size_t n;

	if (!text)
		return NULL;
	n = source.read(source.ctx, address, text, ARGUMENT_BYTES_MAX);
	text[n] = '\0';
	shorter = realloc(text, strlen(text) + 1);
	return shorter ? shorter : text;
}

/* The first 80 bytes, as the kernel keeps them with blanks between. */
static int core_split_arguments(const struct core *c, char **v)
{
	char text[sizeof(c->arguments)], *rest = text, *word;
	size_t n = 0;

	memcpy(text, c->arguments, sizeof(text));
	while ((word = strtok_r(rest, " ", &rest))) {
		v[n] = strdup(word);
		if (!v[n++])
			return ERR_NOMEM;
	}
	return 0;
}

static int core_read_arguments(const struct core *c, struct target *t)
{
	struct core_stack s = { 0 };
	size_t first = 0, n = 0;
	int rc = core_read_stack(c, &s);

	if (!rc)
		n = core_find_arguments(&s, &first);
	t->argv = calloc(n + sizeof(c->arguments), sizeof(*t->argv));
	if (!t->argv)
		rc = ERR_NOMEM;
	for (size_t i = 0; i < n && !rc; i++) {
		t->argv[i] = core_read_string(c, s.v[first + i]);
		if (!t->argv[i])
			rc = ERR_NOMEM;
	}
	if (!rc && !n)
		rc = core_split_arguments(c, t->argv);
	free(s.v);
	return rc;
}

int core_make_target(const struct core *c, struct target **out, struct err *e)
{
	struct target *t = calloc(1, sizeof(*t));
	int rc = t ? 0 : ERR_NOMEM;

	*out = NULL;
	if (!rc) {
		t->pid = core_pid(c);
		t->ppid = c->ppid;
		t->forked = !c->flags || c->flags & PF_FORKNOEXEC;
		t->renumbered = t->forked;
		rc = core_read_arguments(c, t);
	}
	for (size_t i = 0; i < c->file_count && !rc; i++)
		if (c->files[i].main && !t->exe) {
			t->exe = strdup(c->files[i].path);
			rc = t->exe ? 0 : ERR_NOMEM;
		}
	if (rc) {
		target_close(t);
		return err_set(e, rc, "cannot look at '%s'", c->name);
	}
	*out = t;
	return 0;
}

/* -- threads ------------------------------------------------------------------------------------ */

static int core_compare_tid(const void *key, const void *element)
{
	pid_t a = *(const pid_t *)key, b = ((const struct core_thread *)element)->thread.tid;

	return (a > b) - (a < b);
}

static size_t core_read_vector(const void *ctx, pid_t tid, void *buf, size_t size)
{
	const struct core *c = ctx;
	const struct core_thread *t =
		bsearch(&tid, c->threads, c->thread_count, sizeof(*t), core_compare_tid);

	if (!t)
		return 0;
	return core_pread(c->fd, t->vector_offset, buf,
			  t->vector_bytes < size ? (size_t)t->vector_bytes : size);
}

/* The XSAVE area: what of it is in use stands behind the part that is always there. Bits 5 to 7 are of
 * AVX-512. */
#define XSAVE_USED_AT	  512
#define XSAVE_USED_AVX512 UINT64_C(0xe0)

bool core_mixes_vectors(const struct core *c, pid_t tid)
{
	uint8_t area[XSAVE_USED_AT + sizeof(uint64_t)];
	bool by_gcore = false;
	uint64_t used;

	for (size_t i = 0; i < c->load_count && !by_gcore; i++)
		by_gcore = c->loads[i].read_unknown;
	if (!by_gcore || core_read_vector(c, tid, area, sizeof(area)) != sizeof(area))
		return false;
	memcpy(&used, area + XSAVE_USED_AT, sizeof(used));
	return used & XSAVE_USED_AVX512;
}

static void core_add_slot(struct stop *s, const struct stop_thread *t)
{
	struct slot *slot = &s->v[s->n++];

	slot->thread = *t;
	slot->phase = SLOT_LET_GO;
	arch_undo_interrupt(&slot->thread.regs);
}

static int core_compare_numbers(const void *va, const void *vb)
{
	pid_t a = *(const pid_t *)va, b = *(const pid_t *)vb;

	return (a > b) - (a < b);
}

static bool core_are_distinct(const pid_t *v, size_t n, pid_t *room)
{
	memcpy(room, v, n * sizeof(*v));
	qsort(room, n, sizeof(*room), core_compare_numbers);
	for (size_t i = 1; i < n; i++)
		if (room[i] == room[i - 1])
			return false;
	return true;
}

/* A core that gcore made from outside a PID namespace numbers the threads as they are seen from there; their
 * descriptors, and so their locks, have the numbers of inside. Where no thread's own number is that
 * of the core, the descriptors are right. */
static int core_translate_tids(const struct core *c, uint64_t tid_offset, struct stop *s)
{
	pid_t *v = calloc(2 * s->n + 1, sizeof(*v));
	struct memory_source source = core_source(c);
	size_t n = 0, other = 0;

	if (!v)
		return ERR_NOMEM;
	for (size_t i = 0; i < s->n; i++) {
		const struct stop_thread *t = &s->v[i].thread;

		if (t->state != STOP_THREAD_STOPPED)
			continue;
		if (source_read(&source, arch_thread_pointer(&t->regs) + tid_offset, &v[n],
				sizeof(v[n])) &&
		    v[n] > 0)
			other += v[n] != t->tid;
		n++;
	}
	if (n && other == n && core_are_distinct(v, n, v + n)) {
		n = 0;
		for (size_t i = 0; i < s->n; i++)
			s->v[i].thread.tid_ns =
				s->v[i].thread.state == STOP_THREAD_STOPPED ? v[n++] : 0;
	}
	free(v);
	return 0;
}

int core_make_stop(const struct core *c, uint64_t tid_offset, struct stop **out, struct err *e)
{
	const struct stop_thread gone = { .tid = core_pid(c),
					  .tid_ns = core_pid(c),
					  .state = STOP_THREAD_ENDED };
	struct stop *s = calloc(1, sizeof(*s));
	bool has_main = false;

	*out = s;
	if (s)
		s->v = calloc(c->thread_count + 1, sizeof(*s->v));
	if (!s || !s->v) {
		free(s);
		*out = NULL;
		return err_set(e, ERR_NOMEM, "cannot look at '%s'", c->name);
	}
	s->pid = core_pid(c);
	s->begin_ns = s->end_ns = 1; /* over */
	s->max_pause_ns = INT64_MAX;
	s->read_vector = core_read_vector;
	s->read_vector_ctx = c;
	for (size_t i = 0; i < c->thread_count; i++) {
		const struct stop_thread *t = &c->threads[i].thread;

		if (!has_main && t->tid > gone.tid)
			core_add_slot(s, &gone);
		has_main = has_main || t->tid >= gone.tid;
		core_add_slot(s, t);
	}
	if (!has_main)
		core_add_slot(s, &gone);
	if (!tid_offset || !core_translate_tids(c, tid_offset, s))
		return 0;
	stop_free(s);
	*out = NULL;
	return err_set(e, ERR_NOMEM, "cannot look at '%s'", c->name);
}
