/* SPDX-License-Identifier: MIT */
/*
 * Models made by hand: see build_model.h.
 */
#include "build_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "prove/findings.h"
#include "report/report.h"

static void *check(void *p)
{
	if (!p) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

struct model *build_model(void)
{
	struct model *m = NULL;

	if (model_create(&m) < 0)
		abort();
	m->pid = 4711;
	m->ppid = 4000;
	m->exe = model_string(m, "/srv/shop");
	m->argv = check(model_alloc(m, 3 * sizeof(*m->argv)));
	m->argv[0] = model_string(m, "shop");
	m->argv[1] = model_string(m, "--open");
	m->moment = MOMENT_ATTACH;
	m->seen = SEEN_FULL;
	m->proof = PROOF_FULL;
	m->pause_ns = 1834000;
	return m;
}

struct task *build_task(struct model *m, const char *name)
{
	struct task *t = check(model_add_task(m, TASK_THREAD));

	t->tid = t->tid_ns = 4710 + (pid_t)m->task_count;
	t->name = model_string(m, name);
	t->live = true;
	return t;
}

struct object *build_object(struct model *m, enum object_kind kind, uint64_t address,
			    const char *name)
{
	struct object *o = check(model_object(m, kind, address));

	o->name = model_string(m, name);
	return o;
}

struct object *build_mutex(struct model *m, uint64_t address, const char *name, struct task *owner)
{
	struct object *o = build_object(m, OBJECT_MUTEX, address, name);

	o->owner = owner;
	o->owner_state = owner ? OWNER_TASK : OWNER_NONE;
	o->owner_tid = owner ? owner->tid_ns : 0;
	return o;
}

struct wait *build_wait(struct model *m, struct task *t, enum wait_op op, struct object *o)
{
	struct wait *w = check(model_alloc(m, sizeof(*w)));

	w->op = op;
	w->object = o;
	w->since_ns = w->deadline_left_ns = w->duration_ns = TIME_UNKNOWN;
	t->wait = w;
	t->state = STATE_BLOCKED;
	t->chain_next = o && o->owner_state == OWNER_TASK ? o->owner : NULL;
	return w;
}

struct wait *build_io(struct model *m, struct task *t, const char *text)
{
	struct wait *w = build_wait(m, t, OP_IO, NULL);

	w->text = model_string(m, text);
	t->state = STATE_IO;
	return w;
}

void build_stuck(struct task *t, enum reason_code reason, unsigned group)
{
	t->live = false;
	t->verdict = VERDICT_STUCK;
	t->reason = reason;
	t->group = group;
}

struct stack *build_stack(struct model *m, const struct frame *frames, size_t n)
{
	struct stack *s = check(model_alloc(m, sizeof(*s)));

	s->v = check(model_alloc(m, n * sizeof(*frames)));
	memcpy(s->v, frames, n * sizeof(*frames));
	s->n = n;
	s->complete = true;
	return s;
}

char *build_report(const struct model *m, const char *format, size_t max_tasks, bool all)
{
	struct report_options o = { .all = all, .max_tasks = max_tasks };
	const struct report_writer *w = check((void *)report_find(format));
	char *text = NULL;
	size_t bytes;
	struct err e = { 0 };
	FILE *f = check(open_memstream(&text, &bytes));

	if (w->write(m, &o, f, &e) < 0 || fclose(f) != 0)
		abort();
	return text;
}

struct model *build_shop(void)
{
	static const struct frame order[] = { LIBC("pthread_mutex_lock"),
					      FRAME("place_order", "/src/shop.c", 26, 22),
					      FRAME("order_worker", "/src/shop.c", 47, 44),
					      LIBC("start_thread") };
	static const struct frame user[] = { LIBC("pthread_mutex_lock"),
					     FRAME("update_user", "/src/shop.c", 36, 32),
					     FRAME("user_worker", "/src/shop.c", 55, 52),
					     LIBC("start_thread") };
	static const struct frame door[] = { LIBC("recv"),
					     FRAME("greet_customers", "/src/shop.c", 65, 60),
					     LIBC("start_thread") };
	static const struct frame start[] = { LIBC("pthread_join"),
					      FRAME("main", "/src/shop.c", 90, 70),
					      LIBC("__libc_start_main") };
	struct model *m = build_model();
	struct task *t1 = build_task(m, "shop"), *t2 = build_task(m, "door");
	struct task *t3 = build_task(m, "orders"), *t4 = build_task(m, "users");
	struct object *thread = build_object(m, OBJECT_THREAD, 0x7f1000, NULL);

	thread->owner_state = OWNER_TASK;
	thread->owner = t3;
	build_wait(m, t1, OP_JOIN, thread);
	build_stuck(t1, REASON_OWNER_STUCK, 0);
	build_io(m, t2, "recv(3) unix");
	build_wait(m, t3, OP_MUTEX_LOCK, build_mutex(m, 0x4c40, "users_lock", t4));
	build_stuck(t3, REASON_CYCLE, 1);
	build_wait(m, t4, OP_MUTEX_LOCK, build_mutex(m, 0x4c10, "orders_lock", t3));
	build_stuck(t4, REASON_CYCLE, 1);
	t1->stack = build_stack(m, start, COUNT(start));
	t2->stack = build_stack(m, door, COUNT(door));
	t3->stack = build_stack(m, order, COUNT(order));
	t4->stack = build_stack(m, user, COUNT(user));
	model_number_tasks(m);
	if (findings_make(m) < 0)
		abort();
	return m;
}
