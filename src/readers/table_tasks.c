/* SPDX-License-Identifier: MIT
 *
 * Records and tasks. The kernel says which threads there are; a record adds who that is. A record
 * whose thread is not there tells of one that has ended.
 */
#include <stdlib.h>
#include <string.h>

#include "readers/table_private.h"

int64_t table_elapsed(int64_t now_ns, uint64_t since_ns)
{
	if (!since_ns || now_ns <= 0 || since_ns > (uint64_t)now_ns)
		return TIME_UNKNOWN;
	return now_ns - (int64_t)since_ns;
}

const char *table_task_name(struct model *m, const struct wire_task *r)
{
	char name[WIRE_NAME + 1] = "";

	memcpy(name, r->name, WIRE_NAME);
	return name[0] ? model_string(m, name) : NULL;
}

static struct stack *table_intern(struct stacks *stacks, const uint64_t *pcs, size_t n,
				  bool complete)
{
	struct unwind_frame frames[WIRE_STACK_FRAMES];

	for (size_t i = 0; i < n; i++)
		frames[i] = (struct unwind_frame){ .ip = pcs[i], .exact = true };
	return stacks_intern(stacks, frames, stacks_drop_shim(stacks, frames, n), complete);
}

int table_intern_stack(const struct table_copy *c, uint32_t id, struct stacks *stacks,
		       struct stack **out)
{
	const uint64_t *pcs;
	bool complete;
	size_t n = table_copy_stack(c, id, &pcs, &complete);

	*out = NULL;
	if (!n)
		return 0;
	*out = table_intern(stacks, pcs, n, complete);
	return *out ? 0 : ERR_NOMEM;
}

struct stack *table_intern_address(struct stacks *stacks, uint64_t address, bool complete)
{
	return address ? table_intern(stacks, &address, 1, complete) : NULL;
}

int table_describe_task(const struct table_copy *c, const struct wire_task *r, int64_t now_ns,
			struct stacks *stacks, struct model *m, struct task *t)
{
	t->recorded = true;
	t->number = r->number;
	t->parent_number = r->flags & WIRE_TASK_FOUND ? 0 : r->parent;
	t->born_ns = table_elapsed(now_ns, r->birth_ns);
	if (!t->name)
		t->name = table_task_name(m, r);
	if (r->start) {
		t->start = table_intern_address(stacks, r->start, true);
		if (!t->start)
			return ERR_NOMEM;
	}
	return table_intern_stack(c, r->creator_stack, stacks, &t->created_by);
}

void table_link_parents(struct model *m)
{
	for (size_t i = 0; i < m->task_count; i++) {
		struct task *t = m->tasks[i];

		if (t->parent_number && t->parent_number != t->number)
			t->parent = model_find_thread(m, t->parent_number);
	}
}

bool table_task_is_unjoined(const struct wire_task *r)
{
	return r->state == WIRE_TASK_ENDING &&
	       !(r->flags & (WIRE_TASK_JOINED | WIRE_TASK_DETACHED));
}

bool table_thread_is_gone(const struct wire_task *r, struct task *const *threads, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct task *t = threads[i];

		/* One that has a record of its own has taken over the id since. */
		if (t->state != STATE_ENDED && (!t->tid_ns || t->tid_ns == r->tid) &&
		    (!t->recorded || t->number == r->number))
			return false;
	}
	return r->tid > 0;
}

struct task *table_add_ended(const struct table_copy *c, const struct wire_task *r, int64_t now_ns,
			     struct stacks *stacks, struct model *m)
{
	struct task *t = model_add_task(m, TASK_THREAD);

	if (!t || table_describe_task(c, r, now_ns, stacks, m, t))
		return NULL;
	t->tid_ns = r->tid;
	t->handle = r->handle;
	t->main = r->number == 1;
	t->state = STATE_ENDED;
	t->ended_unjoined = table_task_is_unjoined(r) && !t->main;
	return t;
}

int table_describe_losses(const struct table_copy *c, struct model *m)
{
	const struct wire_table *h = table_copy_header(c);
	unsigned long long tasks = h->lost_tasks, stacks = h->lost_stacks;

	/* Beyond all sense is garbage. */
	if (tasks > UINT32_MAX || stacks > UINT32_MAX)
		return model_note(m, "the table's count of lost records is damaged");
	m->lost = (size_t)(tasks + stacks);
	if (tasks && model_note(m, "%llu thread%s not recorded: the table was full", tasks,
				tasks == 1 ? " was" : "s were"))
		return ERR_NOMEM;
	if (stacks && model_note(m, "%llu creator stack%s not recorded: the table was full", stacks,
				 stacks == 1 ? " was" : "s were"))
		return ERR_NOMEM;
	if (h->flags & WIRE_TABLE_STACKS_PARTIAL)
		return model_note(m, "no unwinder was found in the process: of creators only the "
				     "innermost frame is known");
	return 0;
}

bool table_copy_is_of(const struct table_copy *c, uint64_t start_ticks, const struct task *main)
{
	const struct wire_table *h = table_copy_header(c);
	const struct wire_task *first = table_copy_find_number(c, 1);

	if (h->flags & WIRE_TABLE_REPLACED ||
	    (h->start_ticks && start_ticks && h->start_ticks != start_ticks))
		return false;
	if (main->tid_ns && h->pid != main->tid_ns)
		return false;
	/* A program without the shim that was executed by one with it has the same id and the same
	 * birth, but another first thread. */
	return !first || first->tid != h->pid || !first->handle || !main->handle ||
	       first->handle == main->handle;
}

/* The tasks' records; `used` by position in the copy. */
static int table_match(const struct table_copy *c, int64_t now_ns, struct stacks *stacks,
		       struct model *m, bool *used)
{
	for (size_t i = 0; i < m->task_count; i++) {
		struct task *t = m->tasks[i];
		const struct wire_task *r =
			t->number ? table_copy_find_number(c, t->number)
				  : table_copy_find_thread(c, t->tid_ns, t->handle);
		size_t at = r ? (size_t)(r - table_copy_task(c, 0)) : 0;

		if (!r || used[at]) {
			t->number = 0;
			continue;
		}
		used[at] = true;
		t->ending = r->state == WIRE_TASK_ENDING;
		if (table_describe_task(c, r, now_ns, stacks, m, t))
			return ERR_NOMEM;
	}
	return 0;
}

/* The next task from *at on that has no record and may have begun just now; NULL if there is none. Of
 * one whose descriptor is known it is known whether it has begun. */
static struct task *table_next_stranger(const struct model *m, size_t *at)
{
	while (*at < m->task_count) {
		struct task *t = m->tasks[(*at)++];

		if (!t->recorded && !t->main && !t->handle && t->state != STATE_ENDED)
			return t;
	}
	return NULL;
}

/* The next record from *at on of a thread that has not begun, and so has not said who it is. */
static const struct wire_task *table_next_unbegun(const struct table_copy *c, const bool *used,
						  size_t *at)
{
	while (*at < table_copy_count(c)) {
		const struct wire_task *r = table_copy_task(c, (*at)++);

		if (!used[*at - 1] && r->state == WIRE_TASK_BORN && !r->tid && !r->handle &&
		    r->kind == WIRE_KIND_THREAD)
			return r;
	}
	return NULL;
}

/* Threads that had no turn on a processor since their birth cannot be asked: if there are as many as
 * records that wait for one, they are theirs, in the order of births. */
static int table_match_unbegun(const struct table_copy *c, int64_t now_ns, struct stacks *stacks,
			       struct model *m, bool *used)
{
	size_t strangers = 0, records = 0, i = 0, k = 0;

	while (table_next_stranger(m, &i))
		strangers++;
	while (table_next_unbegun(c, used, &k))
		records++;
	if (strangers != records)
		return 0;
	for (i = k = 0; records; records--) {
		struct task *t = table_next_stranger(m, &i);
		const struct wire_task *r = table_next_unbegun(c, used, &k);

		used[k - 1] = true;
		if (table_describe_task(c, r, now_ns, stacks, m, t))
			return ERR_NOMEM;
	}
	return 0;
}

static int table_add_unjoined(const struct table_copy *c, int64_t now_ns, struct stacks *stacks,
			      struct model *m, const bool *used)
{
	size_t threads = m->task_count;

	for (size_t i = 0; i < table_copy_count(c); i++) {
		const struct wire_task *r = table_copy_task(c, i);

		if (!used[i] && r->kind == WIRE_KIND_THREAD && table_task_is_unjoined(r) &&
		    table_thread_is_gone(r, m->tasks, threads) &&
		    !table_add_ended(c, r, now_ns, stacks, m))
			return ERR_NOMEM;
	}
	return 0;
}

/* Whom somebody is about to join is not left unjoined. */
static void table_spare_joined(const struct table_copy *c, struct model *m)
{
	for (size_t i = 0; i < table_copy_count(c); i++) {
		const struct wire_task *r = table_copy_task(c, i), *joined;
		struct task *t;

		if (!(r->wait.sequence & 1) || r->wait.op != WIRE_OP_JOIN)
			continue;
		joined = table_copy_find_thread(c, 0, r->wait.object);
		t = joined ? model_find_thread(m, joined->number) : NULL;
		if (t)
			t->ended_unjoined = false;
	}
}

/* The shim holds the task that is about to end the process; once it has let go, that is a task like
 * any other, unless this is the look at the exit. */
static void table_find_exit(const struct table_copy *c, struct model *m)
{
	const struct wire_table *h = table_copy_header(c);

	if (h->exit_state == WIRE_EXIT_NONE ||
	    (h->exit_state == WIRE_EXIT_PASSED && m->moment != MOMENT_EXIT))
		return;
	for (size_t i = 0; i < m->task_count; i++) {
		struct task *t = m->tasks[i];

		if (t->kind == TASK_THREAD && t->state != STATE_ENDED &&
		    ((h->exit_tid > 0 && t->tid_ns == h->exit_tid) ||
		     (h->exit_tid <= 0 && t->number == h->exit_task)))
			t->ends_process = true;
	}
}

/* Numbers are the shim's: of those who are not recorded, the main thread is T1 all the same. */
static void table_number_tasks(const struct table_copy *c, struct model *m)
{
	const struct wire_table *h = table_copy_header(c);
	bool first_is_there = table_copy_find_number(c, 1);

	if (h->tasks_born <= TABLE_NUMBER_MAX)
		m->last_number = h->tasks_born;
	for (size_t i = 0; i < m->task_count; i++)
		if (m->tasks[i]->main && !m->tasks[i]->number && !first_is_there)
			m->tasks[i]->number = 1;
	model_number_tasks(m);
}

int table_enrich_tasks(const struct table_copy *c, int64_t monotonic_ns, struct stacks *stacks,
		       struct model *m)
{
	bool *used = calloc(table_copy_count(c) + 1, sizeof(*used));
	int rc = ERR_NOMEM;

	if (used)
		rc = table_match(c, monotonic_ns, stacks, m, used);
	if (!rc)
		rc = table_match_unbegun(c, monotonic_ns, stacks, m, used);
	if (!rc)
		rc = table_add_unjoined(c, monotonic_ns, stacks, m, used);
	if (!rc)
		rc = table_describe_losses(c, m);
	free(used);
	if (rc)
		return rc;
	table_number_tasks(c, m);
	table_link_parents(m);
	table_spare_joined(c, m);
	table_find_exit(c, m);
	return 0;
}

/* It was there at the look; by now it has finished, and nobody has joined it. */
static void table_make_unjoined(struct task *t)
{
	t->state = STATE_ENDED;
	t->verdict = VERDICT_UNJOINED;
	t->ended_unjoined = true;
	t->wait = NULL;
	t->stack = NULL;
}

bool table_settle(const struct table_copy *c, struct task *t, bool *changed)
{
	const struct wire_task *r = table_copy_find_number(c, t->number);
	bool unjoined = r && table_task_is_unjoined(r) && !t->main && !t->ends_process;

	*changed = false;
	if (t->verdict == VERDICT_UNJOINED)
		return unjoined;
	if (!t->recorded || (t->verdict != VERDICT_ALIVE && !t->ending) ||
	    (r && r->state != WIRE_TASK_ENDING))
		return true;
	if (unjoined && !t->system) {
		table_make_unjoined(t);
		*changed = true;
	}
	return unjoined;
}
