/* SPDX-License-Identifier: MIT
 *
 * One look, in the order of the flow: target, readers, model, prover, findings. The process
 * stands still only inside capture_take().
 */
#include "look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prove/findings.h"
#include "prove/prove.h"
#include "readers/capture.h"
#include "readers/io.h"
#include "readers/libc.h"
#include "readers/threads.h"
#include "stack/stacks.h"
#include "stack/symbols.h"
#include "stack/unwind.h"
#include "target/modules.h"
#include "target/target.h"

/* Everything a look needs and the model does not: freed at its end. */
struct look {
	struct target *target;
	struct capture *capture;
	struct modules *modules;
	struct libc *libc;
	struct unwinder *unwinder;
	struct io_names *io_names;
	struct stacks *stacks;
	struct symbols *symbols;
	struct model *model;
};

static size_t look_read_memory(void *ctx, uint64_t address, void *buf, size_t bytes)
{
	return snapshot_read(ctx, address, buf, bytes);
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

static int look_describe_process(const struct look *l, const struct look_options *o)
{
	struct model *m = l->model;
	size_t n = 0;

	m->pid = l->target->pid;
	m->ppid = l->target->ppid;
	m->exe = model_string(m, l->target->exe);
	m->moment = o->moment;
	m->seen = SEEN_FULL;
	m->pause_ns = l->capture->pause_ns;
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
	int rc = modules_open(pid, &l->capture->maps, &l->modules, e);

	if (!rc)
		rc = libc_identify(l->modules, &l->libc, e);
	if (!rc)
		rc = unwinder_create(l->modules, look_read_memory, l->capture->memory, &l->unwinder,
				     e);
	if (!rc)
		rc = symbols_open(l->modules, pid, &l->symbols, e);
	if (!rc &&
	    (io_names_create(pid, &l->io_names) || stacks_create(l->model, l->modules, &l->stacks)))
		rc = err_set(e, ERR_NOMEM, "cannot look at process %d", (int)pid);
	return rc;
}

static int look_read(struct look *l, const struct look_options *o, struct err *e)
{
	struct threads_input in;
	int rc = look_open_tools(l, e);

	if (rc)
		return rc;
	in = (struct threads_input){
		.target = l->target,
		.capture = l->capture,
		.modules = l->modules,
		.libc = l->libc,
		.unwinder = l->unwinder,
		.stacks = l->stacks,
		.io_names = l->io_names,
	};
	if (look_describe_process(l, o))
		return err_set(e, ERR_NOMEM, "cannot look at process %d", (int)l->target->pid);
	return threads_read(&in, l->model, e);
}

/* Names cost more than the proof and change nothing in it: they come last. */
static int look_name(struct look *l)
{
	int rc = stacks_name(l->stacks, l->symbols);

	for (size_t i = 0; i < l->model->task_count && !rc; i++) {
		struct wait *w = l->model->tasks[i]->wait;

		if (w && w->object && w->object->address && !w->object->name &&
		    w->object->kind != OBJECT_THREAD)
			w->object->name = model_string(
				l->model, symbols_find_data(l->symbols, w->object->address));
	}
	return rc;
}

static void look_free(struct look *l)
{
	symbols_close(l->symbols);
	stacks_free(l->stacks);
	io_names_free(l->io_names);
	unwinder_free(l->unwinder);
	libc_free(l->libc);
	modules_close(l->modules);
	capture_free(l->capture);
	target_close(l->target);
	model_free(l->model);
}

int look_at_process(pid_t pid, const struct look_options *o, struct model **out, struct err *e)
{
	struct stop_limits limits = STOP_LIMITS_DEFAULT;
	struct look l = { 0 };
	int rc;

	*out = NULL;
	limits.max_pause_ns = o->max_pause_ns;
	rc = target_open(pid, &l.target, e);
	if (!rc && model_create(&l.model))
		rc = err_set(e, ERR_NOMEM, "cannot look at process %d", (int)pid);
	if (!rc)
		rc = capture_take(l.target, &limits, &l.capture, e);
	if (!rc)
		rc = look_read(&l, o, e);
	if (!rc && (prove_tasks(l.model) || look_name(&l) || findings_make(l.model)))
		rc = err_set(e, ERR_NOMEM, "cannot look at process %d", (int)pid);
	if (!rc) {
		*out = l.model;
		l.model = NULL;
	}
	look_free(&l);
	return rc;
}
