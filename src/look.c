/* SPDX-License-Identifier: MIT
 *
 * One look, in the order of the flow: target, readers, model, prover, findings. The process
 * stands still only inside capture_take().
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "look_private.h"
#include "prove/findings.h"
#include "prove/prove.h"
#include "readers/areas.h"

/* How long a thread may take to stop where the process is about to end: on a busy machine it may
 * have no turn for long, and nobody waits for it any more. */
#define EXIT_THREAD_WAIT_NS 100000000

static size_t look_read_memory(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	const struct look *l = ctx;

	return snapshot_read(l->capture->memory, address, buf, bytes);
}

static const char *look_hex(struct model *m, const uint8_t *bytes, size_t n)
{
	char buf[2 * MODULE_BUILD_ID_MAX + 1];

	if (!n)
		return NULL;
	for (size_t i = 0; i < n; i++)
		snprintf(buf + 2 * i, 3, "%02x", bytes[i]);
	return model_string(m, buf);
}

static int look_describe_modules(const struct look *l)
{
	struct model *m = l->model;
	size_t n = modules_count(l->modules);

	m->modules = model_alloc(m, (n + 1) * sizeof(*m->modules));
	if (!m->modules)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct module *from = modules_get(l->modules, i);
		struct model_module *to = &m->modules[i];

		to->name = model_string(m, from->name);
		to->path = model_string(m, from->path);
		to->build_id = look_hex(m, from->build_id, from->build_id_bytes);
		to->start = from->start;
		to->end = from->end;
		to->offset = from->offset;
	}
	m->module_count = n;
	return 0;
}

void look_note_stop(struct look *l, int64_t ns)
{
	l->stops++;
	l->stopped_ns += ns;
	if (ns > l->pause_ns)
		l->pause_ns = ns;
}

void look_describe_stops(const struct look *l)
{
	l->model->stops = l->stops;
	l->model->stopped_ns = l->stopped_ns;
	l->model->pause_ns = l->pause_ns;
}

static int look_describe_process(const struct look *l, const struct look_options *o)
{
	struct model *m = l->model;
	size_t n = 0;

	m->pid = l->target->pid;
	m->ppid = l->target->ppid;
	m->exe = model_string(m, l->target->exe);
	m->moment = o->moment;
	m->seen = SEEN_FULL;
	look_describe_stops(l);
	while (l->target->argv[n])
		n++;
	m->argv = model_alloc(m, (n + 1) * sizeof(*m->argv));
	if (!m->argv)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++)
		m->argv[i] = model_string(m, l->target->argv[i]);
	return look_describe_modules(l);
}

static int look_open_tools(struct look *l, struct err *e)
{
	pid_t pid = l->capture->through;
	int rc = 0;

	if (!l->modules) /* those of a core are open */
		rc = modules_open(pid, &l->capture->maps, &l->modules, e);
	if (!rc && !l->libc)
		rc = libc_identify(l->modules, &l->libc, e);
	if (!rc)
		rc = unwinder_create(l->modules, look_read_memory, l, &l->unwinder, e);
	if (!rc)
		rc = symbols_open(l->modules, pid, &l->symbols, e);
	if (!rc && io_names_create(pid, &l->io_names))
		rc = err_set(e, ERR_NOMEM, "cannot look at process %d", (int)pid);
	return rc;
}

/* Which objects everybody reaches, without any pointer. */
static int look_mark_everybodys(const struct look *l)
{
	size_t n;
	struct extent *v = areas_list_static(&l->capture->maps, l->modules, &n);

	if (!v)
		return ERR_NOMEM;
	for (size_t i = 0; i < l->model->task_count; i++) {
		const struct wait *w = l->model->tasks[i]->wait;
		struct object *o = w ? w->object : NULL;

		for (size_t k = 0; o && o->address && k < n && v[k].start <= o->address; k++)
			o->everybodys |= o->address < v[k].end;
	}
	free(v);
	return 0;
}

int look_read(struct look *l, const struct look_options *o, struct err *e)
{
	struct threads_input in;
	int rc;

	stacks_free(l->stacks);
	l->stacks = NULL;
	if (stacks_create(l->model, l->modules, &l->stacks) || look_describe_process(l, o))
		return err_set(e, ERR_NOMEM, "cannot look at process %d", (int)l->target->pid);
	in = (struct threads_input){
		.target = l->target,
		.capture = l->capture,
		.modules = l->modules,
		.libc = l->libc,
		.unwinder = l->unwinder,
		.stacks = l->stacks,
		.io_names = l->io_names,
	};
	rc = threads_read(&in, l->model, e);
	if (!rc && look_mark_everybodys(l))
		rc = err_set(e, ERR_NOMEM, "cannot look at process %d", (int)l->target->pid);
	return rc;
}

static void look_name_object(struct look *l, struct object *o)
{
	if (o && o->address && !o->name && o->kind != OBJECT_THREAD)
		o->name = model_string(l->model, symbols_find_data(l->symbols, o->address));
	for (size_t i = 0; o && i < o->path_length; i++)
		if (o->path[i].kind == PLACE_STATIC && !o->path[i].name)
			o->path[i].name = model_string(
				l->model, symbols_find_data(l->symbols, o->path[i].at));
}

/* Names cost more than the proof and change nothing in it: they come last. */
static int look_name(struct look *l)
{
	int rc = stacks_name(l->stacks, l->symbols);

	for (size_t i = 0; i < l->model->task_count && !rc; i++) {
		struct wait *w = l->model->tasks[i]->wait;

		if (!w)
			continue;
		look_name_object(l, w->object);
		look_name_object(l, w->second);
	}
	if (!rc && l->capture)
		look_name_types(l);
	return rc;
}

void look_free(struct look *l)
{
	table_copy_free(l->copy);
	reach_free(l->reach);
	symbols_close(l->symbols);
	stacks_free(l->stacks);
	io_names_free(l->io_names);
	unwinder_free(l->unwinder);
	libc_free(l->libc);
	modules_close(l->modules);
	capture_free(l->capture);
	target_close(l->target);
	core_close(l->core);
	model_free(l->model);
}

/* Who is stuck, looking a second time if that may tell more. */
static int look_prove(struct look *l, const struct look_options *o,
		      const struct stop_limits *limits, struct err *e)
{
	bool any;

	if (prove_find_candidates(l->model, &any))
		return err_set(e, ERR_NOMEM, "cannot look at process %d", (int)l->target->pid);
	if (any && !l->model->references_withheld) {
		int rc = look_for_references(l, o, limits, e);

		if (rc)
			return rc;
	}
	return prove_tasks(l->model, l->reach)
		       ? err_set(e, ERR_NOMEM, "cannot look at process %d", (int)l->target->pid)
		       : 0;
}

int look_finish(struct look *l, const struct look_options *o, const struct stop_limits *limits,
		struct model **out, struct err *e)
{
	int rc = look_open_tools(l, e);

	if (!l->core)
		look_note_stop(l, l->capture->pause_ns);
	if (!rc)
		rc = look_read(l, o, e);
	if (!rc)
		rc = look_prove(l, o, limits, e);
	if (!rc && (look_name(l) || findings_make(l->model)))
		rc = err_set(e, ERR_NOMEM, "cannot look at process %d", (int)l->target->pid);
	if (!rc) {
		*out = l->model;
		l->model = NULL;
	}
	return rc;
}

int look_at_process(pid_t pid, const struct look_options *o, struct model **out, struct err *e)
{
	struct stop_limits limits = STOP_LIMITS_DEFAULT;
	struct look l = { 0 };
	int rc;

	*out = NULL;
	limits.max_pause_ns = o->max_pause_ns;
	if (o->moment == MOMENT_EXIT)
		limits.thread_wait_ns = EXIT_THREAD_WAIT_NS;
	rc = target_open(pid, &l.target, e);
	if (!rc && model_create(&l.model))
		rc = err_set(e, ERR_NOMEM, "cannot look at process %d", (int)pid);
	if (!rc)
		rc = capture_take(l.target, &limits, o->table, NULL, &l.capture, e);
	if (!rc)
		rc = look_finish(&l, o, &limits, out, e);
	look_free(&l);
	return rc;
}

static int64_t look_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* -- a process that is no more ---------------------------------------------------------------- */

/* The modules that its table lists. */
static int look_open_dead_modules(struct look *l, struct err *e)
{
	enum { MODULES_MAX = WIRE_MODULES_BYTES / sizeof(struct wire_module) };
	struct modules_file *files = calloc(MODULES_MAX, sizeof(*files));
	size_t n = 0, at = 0;
	int rc;

	if (!files)
		return err_set(e, ERR_NOMEM, "cannot read a table");
	while (n < MODULES_MAX && table_copy_module(l->copy, &at, &files[n].bias, &files[n].path))
		n++;
	rc = modules_open_files(files, n, &l->modules, e);
	free(files);
	return rc;
}

static int look_describe_dead(struct look *l, pid_t pid)
{
	const struct wire_table *h = table_copy_header(l->copy);
	struct model *m = l->model;
	char exe[WIRE_EXE_BYTES + 1] = "";

	memcpy(exe, h->exe, WIRE_EXE_BYTES);
	m->pid = pid;
	m->exe = exe[0] ? model_string(m, exe) : NULL;
	m->moment = MOMENT_KILLED;
	m->seen = SEEN_PARTIAL;
	if (model_note(m,
		       "it ended without a look at it: what its threads were about to wait for is "
		       "known, not whether that could have ended; nothing is proved") ||
	    model_note(m, "names are those of the files that stand at the paths of its modules "
			  "now"))
		return ERR_NOMEM;
	return look_describe_modules(l);
}

int look_at_dead(pid_t pid, struct table *table, struct model **out, struct err *e)
{
	struct look l = { 0 };
	int rc = table_copy_take(table, &l.copy, e);

	*out = NULL;
	if (!rc)
		rc = look_open_dead_modules(&l, e);
	if (!rc)
		rc = symbols_open(l.modules, 0, &l.symbols, e);
	if (!rc && (model_create(&l.model) || look_describe_dead(&l, pid) ||
		    stacks_create(l.model, l.modules, &l.stacks) ||
		    table_read_dead(l.copy, look_now_ns(), l.stacks, l.model)))
		rc = err_set(e, ERR_NOMEM, "cannot read the table '%.300s'", table_path(table));
	if (!rc) {
		prove_nothing(l.model);
		if (look_name(&l) || findings_make(l.model))
			rc = err_set(e, ERR_NOMEM, "cannot read the table '%.300s'",
				     table_path(table));
	}
	if (!rc) {
		*out = l.model;
		l.model = NULL;
	}
	look_free(&l);
	return rc;
}

/* -- the end of a process --------------------------------------------------------------------- */

int look_drop_ended(struct model *m, struct table *table, struct err *e)
{
	struct table_copy *c;
	size_t kept = 0;
	bool any = false;
	int rc = table_copy_take(table, &c, e);

	if (rc)
		return rc;
	for (size_t i = 0; i < m->task_count; i++) {
		bool changed;

		if (table_settle(c, m->tasks[i], &changed))
			m->tasks[kept++] = m->tasks[i];
		any |= changed;
	}
	table_copy_free(c);
	if (kept == m->task_count && !any)
		return 0;
	m->task_count = kept;
	return findings_make(m) ? err_set(e, ERR_NOMEM, "cannot look at process %d", (int)m->pid)
				: 0;
}
