/* SPDX-License-Identifier: MIT */
/*
 * A model and a table of one process: see build_crew.h.
 */
#include "build_crew.h"

#include <stdlib.h>
#include <string.h>

#include "prove/chain.h"
#include "prove/findings.h"
#include "prove/prove.h"
#include "unit.h"

int build_crew(void **state)
{
	struct crew *f = calloc(1, sizeof(*f));
	struct err e = { 0 };

	*state = f;
	f->b = build_table();
	f->m = build_model();
	if (modules_open_files(NULL, 0, &f->mods, &e) || stacks_create(f->m, f->mods, &f->stacks))
		return -1;
	for (uint64_t i = 0; i < 4; i++) {
		f->t[i] = build_task(f->m, i ? NULL : "shop");
		f->t[i]->live = false;
		f->t[i]->handle = 0x1000 * (i + 1);
		f->r[i] = build_record(f->b, i + 1, f->t[i]->tid_ns, i ? 1 : 0);
		f->r[i]->handle = f->t[i]->handle;
	}
	f->t[0]->main = true;
	return 0;
}

int free_crew(void **state)
{
	struct crew *f = *state;

	stacks_free(f->stacks);
	modules_close(f->mods);
	model_free(f->m);
	build_table_free(f->b);
	free(f);
	return 0;
}

void crew_enrich(struct crew *f)
{
	struct table_copy *c = build_table_copy(f->b);

	assert_int_equal(table_enrich_tasks(c, CREW_NOW, f->stacks, f->m), 0);
	assert_int_equal(table_enrich_waits(c, CREW_NOW, f->stacks, f->m), 0);
	table_copy_free(c);
}

void crew_judge(struct crew *f)
{
	crew_enrich(f);
	assert_int_equal(prove_tasks(f->m, NULL), 0);
	assert_int_equal(findings_make(f->m), 0);
}

void crew_check_line(const struct task *t, const char *expected)
{
	char line[CHAIN_LINE_BYTES];

	chain_describe_wait(t, line, sizeof(line));
	assert_string_equal(line, expected);
}

struct wait *crew_want_to_write(struct crew *f, uint32_t readers)
{
	struct object *o = build_object(f->m, OBJECT_RWLOCK, 0xa0, "table_lock");

	o->readers = readers;
	return build_wait(f->m, f->t[1], OP_RWLOCK_WRLOCK, o);
}

struct wire_task *crew_hold(struct wire_task *r, uint64_t lock, uint8_t times)
{
	for (size_t i = 0; i < WIRE_HOLDS; i++) {
		if (r->holds[i])
			continue;
		r->holds[i] = lock;
		r->hold_counts[i] = times;
		return r;
	}
	return r;
}

void crew_exits(struct crew *f, size_t i)
{
	struct wire_table *h = build_header(f->b);

	f->m->moment = MOMENT_EXIT;
	h->exit_state = WIRE_EXIT_HELD;
	h->exit_tid = f->t[i]->tid_ns;
	h->exit_task = i + 1;
}

void crew_add_ended(struct crew *f)
{
	struct wire_task *r;

	for (uint64_t i = 5; i < 9; i++) {
		r = build_record(f->b, i, (pid_t)(4800 + i), 2);
		r->handle = 0x1000 * i;
		r->start = 0x405000;
		build_record_ended(r);
		if (i == 6)
			r->flags = WIRE_TASK_JOINED;
		if (i == 7)
			r->flags = WIRE_TASK_DETACHED;
	}
	build_record_wait(f->r[3], WIRE_OP_JOIN, 0x8000, 1);
}
