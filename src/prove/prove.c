/* SPDX-License-Identifier: MIT
 *
 * The fixed point. Live tasks are put on a worklist; each makes those live who wait for what it
 * owns, and those who wait for a shared object that it reaches, by the graph of references; without
 * one everybody live is taken to reach everything. What is never put on the list and is blocked has no
 * possible waker.
 *
 * Every test errs on the side of "live".
 */
#include "prove/prove.h"

#include <stdlib.h>

#include "err.h"

/* What a live task is taken to reach. */
enum prove_reach {
	REACHES_EVERYTHING,
	REACHES_STATIC, /* only what everybody reaches: who is not live then may be stuck */
	REACHES_GRAPH,	/* what the graph of references says */
};

struct prover {
	struct model *m;
	enum prove_reach reaches;
	struct reach *graph; /* REACHES_GRAPH */
	struct task **worklist;
	size_t pending;
	bool somebody_live; /* a task, or something else that may act */
	bool other_live;    /* somebody other than who ends the process */
	bool without_main;  /* what lies in main's frame is out of reach for who ends the process */
};

/* Of those who hold a lock for reading, the one that the chain goes on with: a live one, one that
 * has not ended, the waiter itself; NULL if all have ended. */
static struct task *prove_holder(const struct task *t, const struct object *o)
{
	struct task *best = NULL;
	int best_rank = 0;

	for (size_t i = 0; i < o->holder_count; i++) {
		struct task *h = o->holders[i];
		int rank = h->state == STATE_ENDED ? 0 : h == t ? 1 : h->live ? 3 : 2;

		if (rank > best_rank) {
			best = h;
			best_rank = rank;
		}
	}
	return best;
}

/* The task that alone can end the wait; NULL if there is none such (shared, ended, unknown). In a
 * forked process the copy of the thread that called fork may own a lock that names another. */
static struct task *prove_owner(const struct task *t)
{
	const struct object *o = t->wait ? t->wait->object : NULL;

	if (o && o->owner_state == OWNER_TASK)
		return o->owner;
	return o && o->owner_state == OWNER_ENDED && o->heir != t ? o->heir : NULL;
}

static bool prove_is_shared_wait(const struct task *t)
{
	const struct object *o = t->wait ? t->wait->object : NULL;

	return o && o->owner_state == OWNER_NONE && !o->holders;
}

static bool prove_is_held_for_reading(const struct task *t)
{
	const struct object *o = t->wait ? t->wait->object : NULL;

	return o && o->owner_state == OWNER_NONE && o->holders;
}

/* Does the wait end by itself, or by something outside the process? */
static bool prove_ends_from_outside(const struct wait *w)
{
	return w->has_deadline || w->op == OP_IO || w->op == OP_SLEEP || w->op == OP_OTHER ||
	       w->op == OP_NONE;
}

static bool prove_object_is_uncertain(const struct object *o)
{
	return !o || o->live_because || o->owner_state == OWNER_UNKNOWN ||
	       o->owner_state == OWNER_FOREIGN;
}

/* Live whatever the others do. */
static bool prove_is_live_alone(const struct model *m, const struct task *t)
{
	if (t->state == STATE_ENDED)
		return false;
	if (t->live_because || t->ends_process || t->state != STATE_BLOCKED || !t->wait)
		return true;
	if (prove_ends_from_outside(t->wait) || prove_object_is_uncertain(t->wait->object))
		return true;
	if (t->handler_leaves || (t->handled_signals && t->wait->interruptible))
		return true;
	return m->shared_withheld && prove_is_shared_wait(t);
}

/* Somebody is live, who need not be a task. */
static void prove_note_somebody(struct prover *p)
{
	if (p->somebody_live)
		return;
	p->somebody_live = true;
	if (p->graph)
		reach_add_everybody(p->graph);
}

static void prove_mark_live(struct prover *p, struct task *t)
{
	if (t->live || t->state == STATE_ENDED)
		return;
	t->live = true;
	prove_note_somebody(p);
	if (p->graph)
		reach_add_thread(p->graph, t->tid);
	p->other_live = p->other_live || !t->ends_process;
	p->worklist[p->pending++] = t;
	if (t->wait && t->wait->op == OP_RWLOCK_WRLOCK && t->wait->object)
		t->wait->object->writer_live = true;
}

static void prove_spread_to_owned(struct prover *p)
{
	while (p->pending) {
		struct task *t = p->worklist[--p->pending];

		for (struct task *w = t->owned_waiters; w; w = w->next_owned_waiter)
			prove_mark_live(p, w);
	}
}

/* Who waits for readers to go is live if one of them is; a reader that lets a writer go first also
 * if such a writer is: it may give up. So may one that is not seen to wait: it is in a signal handler
 * meanwhile, or about to give up. */
static bool prove_reader_may_go(const struct task *t)
{
	const struct object *o = t->wait->object;

	if (t->wait->op != OP_RWLOCK_WRLOCK && (o->writer_live || o->writers > o->writers_waiting))
		return true;
	for (size_t i = 0; i < o->holder_count; i++)
		if (o->holders[i]->live)
			return true;
	return false;
}

/* Each round finds at least one more, or is the last. */
static void prove_spread(struct prover *p)
{
	do {
		prove_spread_to_owned(p);
		for (size_t i = 0; i < p->m->task_count; i++) {
			struct task *t = p->m->tasks[i];

			if (!t->live && prove_is_held_for_reading(t) && prove_reader_may_go(t))
				prove_mark_live(p, t);
		}
	} while (p->pending);
}

/* May a live task end this wait by pthread_cancel()? It needs the handle for that. */
static bool prove_is_cancelled(const struct prover *p, const struct task *t)
{
	if (!p->m->cancels_async && !(p->m->cancels && t->wait->cancellation_point))
		return false;
	switch (p->reaches) {
	case REACHES_STATIC:
		return false;
	case REACHES_GRAPH:
		return !t->handle || reach_has(p->graph, t->handle);
	default:
		return true;
	}
}

/* Can a live task get at what `t` waits for? */
static bool prove_is_reached(const struct prover *p, const struct task *t)
{
	const struct object *o = t->wait->object;

	if (!prove_is_shared_wait(t))
		return false;
	switch (p->reaches) {
	case REACHES_STATIC:
		return o->everybodys;
	case REACHES_GRAPH:
		return o->everybodys || !o->address || reach_has(p->graph, o->address);
	default:
		return p->other_live || !p->without_main || !o->in_main_frame;
	}
}

/* Who waits for what somebody live reaches, or may be cancelled, is live too. */
static bool prove_spread_by_reach(struct prover *p)
{
	bool any = false;

	for (size_t i = 0; i < p->m->task_count; i++) {
		struct task *t = p->m->tasks[i];

		if (!t->live && t->state != STATE_ENDED && t->wait &&
		    (prove_is_reached(p, t) || prove_is_cancelled(p, t))) {
			prove_mark_live(p, t);
			any = true;
		}
	}
	return any;
}

static void prove_link_waiters(struct model *m)
{
	for (size_t i = 0; i < m->task_count; i++) {
		struct task *t = m->tasks[i];

		t->live = false;
		t->verdict = VERDICT_NONE;
		t->reason = REASON_NONE;
		t->group = 0;
		t->owned_waiters = t->next_owned_waiter = NULL;
		t->chain_next = prove_owner(t);
		if (t->wait && t->wait->object) {
			t->wait->object->writer_live = false;
			t->wait->object->writers_waiting = 0;
		}
	}
	for (size_t i = 0; i < m->task_count; i++)
		if (m->tasks[i]->wait && m->tasks[i]->wait->op == OP_RWLOCK_WRLOCK &&
		    m->tasks[i]->wait->object)
			m->tasks[i]->wait->object->writers_waiting++;
	for (size_t i = m->task_count; i-- > 0;) {
		struct task *t = m->tasks[i], *owner = t->chain_next;

		if (!owner)
			continue;
		t->next_owned_waiter = owner->owned_waiters;
		owner->owned_waiters = t;
	}
}

/* Whom nobody looked into with the question what it alone would not reach: live, to be safe. */
static bool prove_is_taken_for_live(const struct prover *p, const struct task *t)
{
	return p->graph && t->state != STATE_ENDED && reach_is_certain(p->graph, t->tid);
}

static void prove_add_handlers(struct prover *p)
{
	for (size_t i = 0; p->graph && i < p->m->task_count; i++)
		if (p->m->tasks[i]->handled_signals)
			reach_add_handler(p->graph, p->m->tasks[i]->tid);
}

static void prove_fixed_point(struct prover *p)
{
	struct model *m = p->m;

	p->somebody_live = p->other_live = false;
	if (p->graph)
		reach_begin(p->graph, !p->without_main);
	if (m->pseudo_tasks) {
		prove_note_somebody(p);
		prove_add_handlers(p);
		p->other_live = true;
	}
	for (size_t i = 0; i < m->task_count; i++)
		if (prove_is_live_alone(m, m->tasks[i]) || prove_is_taken_for_live(p, m->tasks[i]))
			prove_mark_live(p, m->tasks[i]);
	do
		prove_spread(p);
	while (p->somebody_live && prove_spread_by_reach(p));
}

/* Main has returned, and its frame is no more: who is live only by what lies there? */
static void prove_without_main(struct prover *p)
{
	bool needed = false;

	for (size_t i = 0; i < p->m->task_count; i++) {
		const struct wait *w = p->m->tasks[i]->wait;

		p->m->tasks[i]->main_only = false;
		needed = needed || (w && w->object && w->object->in_main_frame);
	}
	if (!needed && !p->graph)
		return;
	p->without_main = true;
	prove_link_waiters(p->m);
	prove_fixed_point(p);
	for (size_t i = 0; i < p->m->task_count; i++)
		p->m->tasks[i]->main_only = !p->m->tasks[i]->live;
	p->without_main = false;
}

/* Whoever waits for readers waits for one of them in particular, in words. */
static void prove_link_readers(struct model *m)
{
	for (size_t i = 0; i < m->task_count; i++)
		if (prove_is_held_for_reading(m->tasks[i]))
			m->tasks[i]->chain_next =
				prove_holder(m->tasks[i], m->tasks[i]->wait->object);
}

static enum reason_code prove_reason(const struct prover *p, const struct task *t)
{
	const struct object *o = t->wait->object;

	if (prove_is_held_for_reading(t) && !t->chain_next)
		return REASON_OWNER_ENDED;
	if (prove_is_held_for_reading(t))
		return t->chain_next == t ? REASON_SELF : REASON_OWNER_STUCK;
	if (o->owner_state == OWNER_ENDED ||
	    (o->owner_state == OWNER_TASK && o->owner->state == STATE_ENDED))
		return REASON_OWNER_ENDED;
	if (o->owner_state == OWNER_TASK)
		return o->owner == t ? REASON_SELF : REASON_OWNER_STUCK;
	return p->somebody_live ? REASON_UNREACHABLE : REASON_ALL_ASLEEP;
}

/* The next of a cycle: owners proper, no heirs. */
static struct task *prove_next(const struct task *t)
{
	const struct object *o = t->wait ? t->wait->object : NULL;

	if (prove_is_held_for_reading(t))
		return t->chain_next;
	return o && o->owner_state == OWNER_TASK ? o->owner : NULL;
}

/* Is `t` on the cycle that its chain runs into? Two walkers at two speeds meet on it. */
static bool prove_is_on_cycle(const struct task *t)
{
	const struct task *slow = t, *fast = t;

	do {
		fast = prove_next(fast);
		if (!fast || !prove_next(fast))
			return false;
		slow = prove_next(slow);
		fast = prove_next(fast);
	} while (slow != fast);
	for (const struct task *at = prove_next(slow);; at = prove_next(at)) {
		if (at == t)
			return true;
		if (at == slow)
			return false;
	}
}

/* What is there when the process ends, and has no need to be. */
static void prove_judge_rest(struct model *m)
{
	bool ends = m->moment == MOMENT_EXIT;

	for (size_t i = 0; i < m->task_count; i++) {
		struct task *t = m->tasks[i];

		if (t->verdict != VERDICT_NONE || t->main || t->system)
			continue;
		if (t->state == STATE_ENDED) {
			if (t->ended_unjoined && (ends || m->moment == MOMENT_KILLED))
				t->verdict = VERDICT_UNJOINED;
		} else if (ends && !t->ends_process && !t->ending) {
			t->verdict = VERDICT_ALIVE;
			t->reason = t->main_only ? REASON_MAIN_RETURNED : REASON_NONE;
		}
	}
}

static void prove_judge_stuck(const struct prover *p)
{
	struct model *m = p->m;
	unsigned groups = 0;

	for (size_t i = 0; i < m->task_count; i++) {
		struct task *t = m->tasks[i];

		if (t->live || t->state != STATE_BLOCKED || t->system)
			continue;
		t->verdict = VERDICT_STUCK;
		if (t->reason != REASON_NONE)
			continue; /* named with its cycle */
		t->reason = prove_reason(p, t);
		if (t->reason != REASON_OWNER_STUCK || !prove_is_on_cycle(t))
			continue;
		groups++;
		for (struct task *c = t; !c->group; c = prove_next(c)) {
			c->group = groups;
			c->reason = REASON_CYCLE;
		}
	}
}

/* The proof is full if no wait counts as live merely because everybody is taken to reach
 * everything. */
static enum model_proof prove_extent(const struct prover *p)
{
	const struct model *m = p->m;

	if (p->graph && !reach_given_up(p->graph))
		return PROOF_FULL;
	for (size_t i = 0; i < m->task_count; i++) {
		const struct task *t = m->tasks[i];

		if (t->live && t->state == STATE_BLOCKED && prove_is_shared_wait(t) &&
		    !t->wait->object->everybodys && !prove_ends_from_outside(t->wait))
			return PROOF_OWNERS;
	}
	return PROOF_FULL;
}

void prove_nothing(struct model *m)
{
	prove_link_waiters(m);
	prove_judge_rest(m);
	m->proof = PROOF_NONE;
}

static int prover_begin(struct prover *p)
{
	p->worklist = calloc(p->m->task_count + 1, sizeof(*p->worklist));
	return p->worklist ? 0 : ERR_NOMEM;
}

int prove_find_candidates(struct model *m, bool *any)
{
	struct prover p = { .m = m, .reaches = REACHES_STATIC };

	*any = false;
	if (prover_begin(&p))
		return ERR_NOMEM;
	prove_link_waiters(m);
	prove_fixed_point(&p);
	for (size_t i = 0; i < m->task_count; i++) {
		struct task *t = m->tasks[i];

		t->candidate = !t->live && t->state == STATE_BLOCKED;
		*any |= p.somebody_live && t->candidate &&
			(prove_is_shared_wait(t) || m->cancels_async ||
			 (m->cancels && t->wait->cancellation_point));
	}
	free(p.worklist);
	return 0;
}

int prove_tasks(struct model *m, struct reach *graph)
{
	struct prover p = { .m = m, .graph = graph };

	p.reaches = graph ? REACHES_GRAPH : REACHES_EVERYTHING;
	if (prover_begin(&p))
		return ERR_NOMEM;
	prove_without_main(&p);
	prove_link_waiters(m);
	prove_fixed_point(&p);
	prove_link_readers(m);
	prove_judge_stuck(&p);
	prove_judge_rest(m);
	m->proof = prove_extent(&p);
	free(p.worklist);
	return graph ? reach_describe(graph, m) : 0;
}
