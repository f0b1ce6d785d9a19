/* SPDX-License-Identifier: MIT
 *
 * Any file as a table of libstrand.so: everything that is read of one, into a model with threads,
 * into the model of a dead process, and that into reports.
 */
#include "fuzz.h"

#include <string.h>

#include "look.h"
#include "model/model.h"
#include "prove/findings.h"
#include "prove/prove.h"
#include "readers/table.h"
#include "report/report.h"
#include "stack/stacks.h"
#include "wire.h"

#define NOW	100000000000ll
#define THREADS 4

/* What a table of a few threads looks like; its segments are behind each other. */
struct sample {
	struct wire_table header;
	struct wire_task tasks[THREADS + 1];
	uint64_t stacks[32];
	uint64_t modules[16];
};

static void make_tasks(struct sample *s)
{
	for (int i = 0; i <= THREADS; i++) {
		struct wire_task *r = &s->tasks[i];

		r->state = i < THREADS ? WIRE_TASK_RUNNING : WIRE_TASK_ENDING;
		r->kind = WIRE_KIND_THREAD;
		r->number = (uint64_t)i + 1;
		r->parent = i > 0;
		r->tid = 4711 + i;
		r->birth_ns = NOW - 1000000;
		r->creator_stack = (uint32_t)(offsetof(struct sample, stacks) / 8 + 1);
		r->wait.sequence = 7;
		r->wait.op = (uint16_t)(i + 1);
		r->wait.object = 0x5000 + (uint64_t)i * 64;
		r->wait.since_ns = NOW - 500000;
	}
}

static void make_segments(struct wire_table *h)
{
	static const struct wire_segment segments[] = {
		{ offsetof(struct sample, tasks), sizeof(((struct sample *)0)->tasks),
		  WIRE_SEGMENT_TASKS },
		{ offsetof(struct sample, stacks), sizeof(((struct sample *)0)->stacks),
		  WIRE_SEGMENT_STACKS },
		{ offsetof(struct sample, modules), sizeof(((struct sample *)0)->modules),
		  WIRE_SEGMENT_MODULES },
	};

	h->segment_count = 3;
	memcpy(h->segments, segments, sizeof(segments));
}

void fuzz_make_seeds(void)
{
	uint8_t *bytes = calloc(1, sizeof(struct sample));
	struct sample *s = (void *)bytes;
	struct wire_stack *stack = (void *)(bytes + offsetof(struct sample, stacks) + 8);
	struct wire_module *module = (void *)(bytes + offsetof(struct sample, modules));

	if (!bytes)
		exit(2);
	memcpy(s->header.magic, WIRE_TABLE_MAGIC, sizeof(s->header.magic));
	s->header.version = WIRE_VERSION;
	s->header.header_bytes = sizeof(s->header);
	s->header.task_bytes = sizeof(struct wire_task);
	s->header.pid = 4711;
	s->header.tasks_born = THREADS + 1;
	strcpy(s->header.exe, "/srv/shop");
	make_segments(&s->header);
	make_tasks(s);
	stack->count = 2;
	stack->flags = WIRE_STACK_COMPLETE;
	stack->pcs[0] = 0x401000;
	stack->pcs[1] = 0x402000;
	module->bytes = 40;
	module->load_bias = 0x400000;
	strcpy(module->path, "/nowhere/shop");
	fuzz_seed(s, sizeof(*s));
	s->header.exit_state = WIRE_EXIT_HELD;
	s->header.exit_tid = 4712;
	fuzz_seed(s, sizeof(*s));
	fuzz_seed(s, sizeof(*s) / 2);
	free(bytes);
}

static void read_copy(const struct table_copy *c)
{
	const uint64_t *pcs;
	const char *path;
	uint64_t bias, sum = 0;
	size_t at = 0;
	bool complete;

	for (size_t i = 0; i < table_copy_count(c); i++) {
		const struct wire_task *r = table_copy_task(c, i);
		size_t n = table_copy_stack(c, r->creator_stack, &pcs, &complete);

		for (size_t k = 0; k < n; k++)
			sum += pcs[k];
		table_copy_find_thread(c, (pid_t)r->tid, r->handle);
	}
	while (table_copy_module(c, &at, &bias, &path))
		sum += strlen(path) + bias;
	for (uint64_t offset = 0; offset < 8192; offset += 64)
		table_copy_find_unbegun(c, offset);
	FUZZ_CHECK(table_copy_header(c) != NULL);
	(void)sum;
}

static void add_threads(struct model *m)
{
	for (int i = 0; i < THREADS; i++) {
		struct task *t = model_add_task(m, TASK_THREAD);

		if (!t)
			exit(2);
		t->tid = t->tid_ns = 4711 + i;
		t->main = i == 0;
		t->state = STATE_BLOCKED;
		t->wait = model_alloc(m, sizeof(*t->wait));
		t->wait->op = i & 1 ? OP_RWLOCK_WRLOCK : OP_COND_WAIT;
		t->wait->since_ns = t->wait->deadline_left_ns = t->wait->duration_ns = TIME_UNKNOWN;
		t->wait->object = model_object(m, i & 1 ? OBJECT_RWLOCK : OBJECT_COND,
					       0x5000 + (uint64_t)i * 64);
		t->born_ns = TIME_UNKNOWN;
	}
}

/* Whatever is written of it is thrown away. */
static void write_reports(const struct model *m)
{
	static const struct report_options o = { .all = true, .max_tasks = 100 };
	FILE *nowhere = fopen("/dev/null", "w");
	struct err e;

	for (const struct report_writer *const *w = report_all(); nowhere && *w; w++)
		(*w)->write(m, &o, nowhere, &e);
	if (nowhere)
		fclose(nowhere);
}

static void enrich(struct table *t, const struct table_copy *c, struct stacks *stacks,
		   struct model *m)
{
	struct err e;

	add_threads(m);
	table_copy_is_of(c, 55, m->tasks[0]);
	FUZZ_CHECK(table_enrich_tasks(c, NOW, stacks, m) == 0);
	FUZZ_CHECK(table_enrich_waits(c, NOW, stacks, m) == 0);
	m->moment = table_header(t)->exit_state ? MOMENT_EXIT : MOMENT_ATTACH;
	FUZZ_CHECK(prove_tasks(m, NULL) == 0);
	FUZZ_CHECK(findings_make(m) == 0);
	write_reports(m);
	look_drop_ended(m, t, &e);
}

static void read_living(struct table *t, const struct table_copy *c)
{
	struct modules *mods = NULL;
	struct stacks *stacks = NULL;
	struct model *m = NULL;
	struct err e;

	if (modules_open_files(NULL, 0, &mods, &e) == 0 && model_create(&m) == 0 &&
	    stacks_create(m, mods, &stacks) == 0)
		enrich(t, c, stacks, m);
	stacks_free(stacks);
	modules_close(mods);
	model_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *path = fuzz_path(data, size);
	struct model *dead = NULL;
	struct table_copy *c;
	struct table *t;
	struct err e;

	if (table_open(path, false, &t, &e) != 0)
		return 0;
	if (look_at_dead(4711, t, &dead, &e) == 0)
		write_reports(dead);
	model_free(dead);
	if (table_copy_take(t, &c, &e) == 0) {
		read_copy(c);
		read_living(t, c);
		table_copy_free(c);
	}
	table_close(t);
	return 0;
}
