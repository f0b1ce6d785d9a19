/* SPDX-License-Identifier: MIT */
/*
 * What tasks wait for, in words. Every sentence of every report about a wait is made here, so
 * that all formats say the same.
 *
 * A chain may be as long as the process has tasks, and may run into a cycle that its first task
 * is no part of: walks are bounded, or find the cycle in constant memory.
 */
#include "prove/chain.h"

#include <stdio.h>
#include <string.h>

#include "prove/places.h"
#include "prove/words.h"

#define NS_PER_MS 1000000

/* Names of C++ and Rust objects have no bound; a sentence has. */
#define NAME_COLUMNS_MAX 48
#define LIVE_SHOWN_MAX	 3

void chain_format_duration(int64_t ns, char *buf, size_t size)
{
	long long ms, s, min, h;

	ns = ns > 0 ? ns : 0;
	ms = ns / NS_PER_MS;
	s = ms / 1000;
	min = s / 60;
	h = min / 60;
	if (ms < 10 && ns % NS_PER_MS / 100000)
		snprintf(buf, size, "%lld.%lld ms", ms, (long long)ns % NS_PER_MS / 100000);
	else if (ms < 1000)
		snprintf(buf, size, "%lld ms", ms);
	else if (s < 10 && ms % 1000 / 100)
		snprintf(buf, size, "%lld.%lld s", s, ms % 1000 / 100);
	else if (s < 120)
		snprintf(buf, size, "%lld s", s);
	else if (min < 120 && min < 10 && s % 60)
		snprintf(buf, size, "%lld min %lld s", min, s % 60);
	else if (min < 120)
		snprintf(buf, size, "%lld min", min);
	else if (h < 48 && min % 60)
		snprintf(buf, size, "%lld h %lld min", h, min % 60);
	else if (h < 48)
		snprintf(buf, size, "%lld h", h);
	else
		snprintf(buf, size, "%lld days", h / 24);
}

void chain_describe_object(const struct object *o, char *buf, size_t size)
{
	struct words w;

	words_begin(&w, buf, size);
	words_add(&w, "%s", object_kind_name(o->kind));
	if (o->address)
		words_add(&w, " 0x%llx", (unsigned long long)o->address);
	if (o->name) {
		words_add(&w, " `");
		words_add_name(&w, o->name, NAME_COLUMNS_MAX);
		words_add(&w, "`");
	}
	if (o->attribute)
		words_add(&w, " (%s)", o->attribute);
}

/* Objects that somebody holds, or that end: the others are woken by whoever comes by. */
static bool chain_object_is_owned(const struct object *o)
{
	return o->kind == OBJECT_MUTEX || o->kind == OBJECT_RWLOCK || o->kind == OBJECT_THREAD;
}

static void chain_add_thread(struct words *w, const struct object *o)
{
	switch (o->owner_state) {
	case OWNER_TASK:
		words_add(w, " %s", o->owner->id);
		break;
	case OWNER_ENDED:
		words_add(w, " a thread that has ended");
		break;
	default:
		words_add(w, o->address ? " thread 0x%llx" : " a thread",
			  (unsigned long long)o->address);
	}
	if (o->owner_state != OWNER_TASK && o->owner_tid)
		words_add(w, " (tid %d)", (int)o->owner_tid);
}

static const char *chain_ended_words(const struct task *t)
{
	return t->state == STATE_ENDED ? ", which has ended" : "";
}

/* "held for reading by T4, which has ended", "… by T4, T5, T6 and 3 more" */
static void chain_add_readers(struct words *w, const struct task *t, const struct object *o)
{
	size_t shown = o->holder_count < LIVE_SHOWN_MAX ? o->holder_count : LIVE_SHOWN_MAX;

	words_add(w, ", held for reading by ");
	for (size_t i = 0; i < shown; i++) {
		const struct task *h = o->holders[i];

		words_add(w, "%s%s",
			  i && i + 1 == o->holder_count ? " and "
			  : i				? ", "
							: "",
			  h == t ? "itself" : h->id);
		if (o->holder_count == 1)
			words_add(w, "%s", chain_ended_words(h));
		else if (h->state == STATE_ENDED)
			words_add(w, " (ended)");
	}
	if (shown < o->holder_count)
		words_add(w, " and %zu more", o->holder_count - shown);
}

static void chain_add_holder(struct words *w, const struct task *t, const struct object *o)
{
	switch (o->owner_state) {
	case OWNER_TASK:
		if (o->owner == t)
			words_add(w, ", which it holds itself");
		else
			words_add(w, ", held by %s%s", o->owner->id, chain_ended_words(o->owner));
		break;
	case OWNER_ENDED:
		if (o->owner && o->owner->state == STATE_ENDED) {
			words_add(w, ", held by %s%s", o->owner->id, chain_ended_words(o->owner));
			break;
		}
		words_add(w, ", held by a thread that %s",
			  o->heir ? "was not forked along" : "has ended");
		if (o->owner_tid)
			words_add(w, " (tid %d)", (int)o->owner_tid);
		if (o->heir && o->heir != t)
			words_add(w, ", or by %s", o->heir->id);
		break;
	case OWNER_FOREIGN:
		words_add(w, ", held by task %d of another process", (int)o->owner_tid);
		break;
	case OWNER_UNKNOWN:
		words_add(w, ", held by an unknown task");
		break;
	case OWNER_NONE:
		if (o->holders)
			chain_add_readers(w, t, o);
		else if (o->kind == OBJECT_RWLOCK)
			words_add(w, ", held by readers");
		break;
	}
}

static void chain_add_object(struct words *w, const struct task *t, const struct object *o)
{
	char buf[256];

	if (o->kind == OBJECT_THREAD) {
		chain_add_thread(w, o);
		return;
	}
	chain_describe_object(o, buf, sizeof(buf));
	words_add(w, " %s", buf);
	if (chain_object_is_owned(o))
		chain_add_holder(w, t, o);
}

static void chain_add_times(struct words *w, const struct wait *wait)
{
	char buf[40];

	if (wait->since_ns != TIME_UNKNOWN) {
		chain_format_duration(wait->since_ns, buf, sizeof(buf));
		words_add(w, ", for %s", buf);
	}
	if (!wait->has_deadline)
		return;
	if (wait->deadline_left_ns == TIME_UNKNOWN && wait->duration_ns == TIME_UNKNOWN) {
		words_add(w, ", with a time limit");
	} else if (wait->deadline_left_ns == TIME_UNKNOWN) {
		chain_format_duration(wait->duration_ns, buf, sizeof(buf));
		words_add(w, ", at most %s", buf);
	} else if (wait->deadline_left_ns <= 0) {
		words_add(w, ", its time is up");
	} else {
		chain_format_duration(wait->deadline_left_ns, buf, sizeof(buf));
		words_add(w, ", %s left", buf);
	}
}

static const char *chain_unknown_words(enum wait_op op)
{
	switch (op) {
	case OP_SLEEP:
		return "a timed call";
	case OP_IO:
	case OP_OTHER:
		return "an unknown call";
	default:
		return "an unknown object";
	}
}

static const char *chain_state_words(const struct task *t)
{
	if (t->ends_process)
		return "ends the process";
	if (t->ended_unjoined)
		return "has ended, and nobody has joined it";
	return t->state == STATE_ENDED ? "has ended" : "runs";
}

static void chain_add_action(struct words *w, const struct task *t)
{
	const struct wait *wait = t->wait;

	if (!wait || wait->op == OP_NONE) {
		words_add(w, "%s", chain_state_words(t));
		return;
	}
	words_add(w, "%s", wait_op_words(wait->op));
	if (wait->text)
		words_add(w, " %s", wait->text);
	else if (wait->object)
		chain_add_object(w, t, wait->object);
	else
		words_add(w, " %s", chain_unknown_words(wait->op));
	chain_add_times(w, wait);
}

static void chain_add_doing(struct words *w, const struct task *t)
{
	chain_add_action(w, t);
	if (t->live_because)
		words_add(w, " (%s)", t->live_because);
}

void chain_describe_action(const struct task *t, char *buf, size_t size)
{
	struct words w;

	words_begin(&w, buf, size);
	chain_add_doing(&w, t);
}

void chain_describe_wait(const struct task *t, char *buf, size_t size)
{
	struct words w;

	words_begin(&w, buf, size);
	words_add(&w, "%s ", t->id);
	chain_add_doing(&w, t);
}

size_t chain_collect(const struct task *t, const struct task **out, size_t max)
{
	size_t n = 0, i;

	for (; t && n < max; t = t->chain_next) {
		for (i = 0; i < n; i++)
			if (out[i] == t)
				return n;
		out[n++] = t;
	}
	return n;
}

bool chain_is_self_live(const struct task *t)
{
	const struct wait *w = t->wait;

	return !w || !w->object || t->live_because || w->has_deadline || w->op == OP_IO ||
	       w->op == OP_SLEEP || w->op == OP_OTHER || w->op == OP_NONE;
}

/* Where a walk goes on: along live tasks, or along any. */
static const struct task *chain_step(const struct task *t, bool live)
{
	const struct task *next = t->chain_next;

	return next && (!live || next->live) ? next : NULL;
}

/* Of a cycle, the task that stands for it: one that is live by its own doing, then the first. */
static const struct task *chain_find_first(const struct task *t, bool live)
{
	const struct task *first = t, *u;

	for (u = chain_step(t, live); u != t; u = chain_step(u, live)) {
		bool better = chain_is_self_live(u), good = chain_is_self_live(first);

		if (better != good ? better : u->number < first->number)
			first = u;
	}
	return first;
}

/* The last task of a chain, or the one that stands for the cycle that it runs into. (Brent's
 * method: a mark that moves up at every power of two is met again if there is a cycle.) */
static const struct task *chain_find_last(const struct task *t, bool live)
{
	const struct task *mark = t, *next;
	size_t steps = 0, lap = 1;

	while ((next = chain_step(t, live))) {
		if (next == mark)
			return chain_find_first(mark, live);
		t = next;
		if (++steps == lap) {
			mark = t;
			steps = 0;
			lap *= 2;
		}
	}
	return t;
}

const struct task *chain_find_end(const struct task *t)
{
	return chain_find_last(t, t->live);
}

/* What a live task would have to do to a shared object. */
static const char *chain_waking_word(enum object_kind kind)
{
	switch (kind) {
	case OBJECT_COND:
		return "signal it";
	case OBJECT_SEMAPHORE:
		return "post it";
	case OBJECT_BARRIER:
		return "come to it";
	case OBJECT_RWLOCK:
		return "release it";
	default:
		return "wake it";
	}
}

/* "T1 (poll(3))", "T4 (runs)", "T5 (nanosleep)": the call and its descriptor only. */
static void chain_add_live(struct words *w, const struct task *t)
{
	const struct wait *wait = t->wait;
	size_t call = 0;

	if (wait && wait->text)
		call = strcspn(wait->text, wait->op == OP_SLEEP ? "( " : ")");
	words_add(w, "%s (", t->id);
	if (call && call < NAME_COLUMNS_MAX)
		words_add(w, "%.*s%s", (int)call, wait->text, wait->text[call] == ')' ? ")" : "");
	else
		words_add(w, "%s", wait ? wait_op_name(wait->op) : chain_state_words(t));
	words_add(w, ")");
}

/* The tasks that are live by their own doing, and what else may act; "" if nobody is. */
static void chain_find_wakers(const struct model *m, struct chain_wakers *wakers)
{
	const struct pseudo_task *p;
	size_t i, shown = 0, more = 0;
	struct words w;

	wakers->model = m;
	words_begin(&w, wakers->words, sizeof(wakers->words));
	for (i = 0; i < m->task_count; i++) {
		const struct task *t = m->tasks[i];

		if (!t->live || t->state == STATE_ENDED || !chain_is_self_live(t))
			continue;
		if (shown == LIVE_SHOWN_MAX) {
			more++;
			continue;
		}
		words_add(&w, "%s", shown++ ? ", " : "");
		chain_add_live(&w, t);
	}
	for (p = m->pseudo_tasks; p; p = p->next)
		words_add(&w, "%s%s", shown++ ? ", " : "", p->what);
	if (more)
		words_add(&w, ", and %zu more", more);
}

static bool chain_describe_stuck(const struct task *t, struct words *w)
{
	const struct task *last = chain_find_last(t, false);

	switch (last->reason) {
	case REASON_CYCLE:
		words_add(w, "a cycle: stuck");
		return false;
	case REASON_UNREACHABLE:
		places_describe_unreached(last, w);
		return true;
	case REASON_ALL_ASLEEP:
		words_add(w, "no task is live: nobody can wake it");
		return true;
	default: /* its lines say it all: its own lock, a holder that has ended */
		words_add(w, "stuck");
		return false;
	}
}

static bool chain_is_cancellable(const struct model *m, const struct wait *w)
{
	return m->cancels_async || (m->cancels && w->cancellation_point);
}

/* Why a wait for somebody who is not live is live nevertheless; NULL: it is a shared object's. */
static const char *chain_find_excuse(const struct model *m, const struct task *t)
{
	const struct object *o = t->wait->object;

	if (o->live_because)
		return o->live_because;
	if (o->owner_state == OWNER_UNKNOWN || o->owner_state == OWNER_FOREIGN)
		return "that task may go on";
	if ((o->owner_state != OWNER_NONE || o->holders) && t->handler_leaves)
		return "a signal handler may leave it";
	if (t->wait->interruptible && t->handled_signals)
		return "a signal handler may interrupt it";
	if ((o->owner_state != OWNER_NONE || o->holders) && chain_is_cancellable(m, t->wait))
		return "a live task may cancel it";
	if (o->holders)
		return "a writer that it lets go first may give up";
	return NULL;
}

/* It was looked for who reaches the object of a wait that is live. */
static void chain_describe_reached(const struct model *m, const struct task *t, struct words *w)
{
	const struct object *o = t->wait->object;
	const struct place *root = o->path;

	if (!o->path_length && chain_is_cancellable(m, t->wait)) {
		words_add(w, "not stuck: a live task may cancel it");
		return;
	}
	if (o->path_length && root->task == t && t->handled_signals) {
		words_add(w, "not stuck: a signal handler may run in it and %s: ",
			  chain_waking_word(o->kind));
		places_describe_reached(o, w);
		return;
	}
	if (!o->path_length || root->task == t) { /* live still at the first of the two stops */
		words_add(w, "not proved: it came to this wait only a moment ago");
		return;
	}
	words_add(w, "not stuck: ");
	if (root->task && places_is_own(root))
		chain_add_live(w, root->task);
	else
		words_add(w, places_is_own(root) ? "a live thread" : "any live task");
	words_add(w, " may %s: ", chain_waking_word(o->kind));
	places_describe_reached(o, w);
}

static bool chain_describe_live_wait(const struct model *m, const struct task *end,
				     struct chain_wakers *wakers, struct words *w)
{
	const struct object *o = end->wait->object;
	const char *excuse = chain_find_excuse(m, end);

	if (excuse)
		words_add(w, "not stuck: %s", excuse);
	if (excuse || o->owner_state != OWNER_NONE)
		return false;
	if (m->shared_withheld) {
		words_add(w, "not proved: %s", m->shared_withheld);
		return false;
	}
	if (o->home) {
		chain_describe_reached(m, end, w);
		return true;
	}
	if (wakers->model != m)
		chain_find_wakers(m, wakers);
	if (wakers->words[0])
		words_add(w, "any live task may %s: %s", chain_waking_word(o->kind), wakers->words);
	return true;
}

/* True if the words are a sentence of their own, false if they are a remark on the last line. */
static bool chain_add_end(const struct model *m, const struct task *t, struct chain_wakers *wakers,
			  struct words *w)
{
	const struct task *end;

	if (t->verdict == VERDICT_STUCK)
		return chain_describe_stuck(t, w);
	if (!t->wait)
		return false;
	if (!t->live) {
		words_add(w, "not proved");
		return false;
	}
	end = chain_find_end(t);
	if (end->reason == REASON_MAIN_RETURNED) {
		words_add(w, "only main could have woken it, which has returned");
		return end == t;
	}
	if (!chain_is_self_live(end))
		return chain_describe_live_wait(m, end, wakers, w);
	if (end != t)
		words_add(w, "not stuck: %s may go on", end->id);
	else if (t->chain_next)
		words_add(w, "not stuck: it may go on by itself");
	return false;
}

void chain_describe_end(const struct model *m, const struct task *t, char *buf, size_t size)
{
	struct chain_wakers wakers = { 0 };
	struct words w;

	words_begin(&w, buf, size);
	chain_add_end(m, t, &wakers, &w);
}

void chain_write(const struct model *m, const struct task *t, struct chain_text *out)
{
	const struct task *tasks[CHAIN_TASKS_MAX], *end = chain_find_end(t);
	size_t n = chain_collect(t, tasks, CHAIN_TASKS_MAX), i;
	struct words w;

	for (i = 0; i < n; i++)
		chain_describe_wait(tasks[i], out->lines[i], CHAIN_LINE_BYTES);
	if (n == CHAIN_TASKS_MAX && tasks[n - 1]->chain_next) {
		snprintf(out->lines[n++], CHAIN_LINE_BYTES, "… and so on, down to");
		chain_describe_wait(end, out->lines[n++], CHAIN_LINE_BYTES);
	}
	out->n = n;
	if (end->reason == REASON_UNREACHABLE) {
		words_begin(&w, out->lines[out->n], CHAIN_LINE_BYTES);
		places_describe_home(end->wait->object, &w);
		out->n += w.used > 0;
	}
	words_begin(&w, out->remark, sizeof(out->remark));
	if (chain_add_end(m, t, &out->wakers, &w) && w.used) {
		memcpy(out->lines[out->n++], out->remark, CHAIN_LINE_BYTES);
		out->remark[0] = '\0';
	}
}
