/* SPDX-License-Identifier: MIT
 *
 * Gathering. The first program always has the top: reports are named by its PID, and whoever asks
 * for one gets it, even if there was nothing to look at.
 */
#include "supervise/results.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A model of the program that tells no more than who it is. */
static int results_make_empty(const struct follow *f, const struct results_input *in,
			      enum moment moment, struct model **out)
{
	char *whole = realpath(in->exe, NULL);
	struct model *m;
	size_t n = 0;

	if (model_create(&m)) {
		free(whole);
		return ERR_NOMEM;
	}
	m->pid = f->first->pid;
	m->ppid = getpid();
	m->moment = moment;
	m->seen = SEEN_NONE;
	m->proof = PROOF_NONE;
	m->exit_status = -1;
	m->exe = model_string(m, whole ? whole : in->exe);
	free(whole);
	while (in->argv[n])
		n++;
	m->argv = model_alloc(m, (n + 1) * sizeof(*m->argv));
	for (size_t i = 0; m->argv && i < n; i++)
		m->argv[i] = model_string(m, in->argv[i]);
	*out = m;
	return 0;
}

static enum moment results_moment(const struct supervise_result *r)
{
	if (r->end == SUPERVISE_TIMEOUT)
		return MOMENT_TIMEOUT;
	if (r->end == SUPERVISE_DEADLOCK)
		return MOMENT_DEADLOCK;
	return WIFSIGNALED(r->wait_status) ? MOMENT_KILLED : MOMENT_EXIT;
}

static void results_set_end(struct model *m, int wait_status)
{
	m->exit_status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
	m->exit_signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
}

/* Take the report of the newest image that has one. */
static struct model *results_take_top(struct process *p)
{
	for (struct image *i = p->image; i; i = i->next) {
		struct model *m = i->kept;

		i->kept = NULL;
		if (m)
			return m;
	}
	return NULL;
}

/* The rest of the first program's images, oldest first, in front of `rest`. */
static struct model *results_add_images(struct process *p, struct model *rest)
{
	for (struct image *i = p->image; i; i = i->next) {
		if (!i->kept)
			continue;
		i->kept->next = rest;
		rest = i->kept;
		i->kept = NULL;
	}
	return rest;
}

static void results_add_notes(const struct follow *f, const struct results_input *in,
			      struct model *top)
{
	unsigned failed = in->control->shims_failed;

	if (f->left_running)
		model_note(top,
			   "%zu process%s that the program started still ran at its end: not "
			   "judged, and left alone",
			   f->left_running, f->left_running == 1 ? "" : "es");
	if (failed)
		model_note(top, "%u process%s could not be recorded: no table could be made (%s)",
			   failed, failed == 1 ? "" : "es", strerror(in->control->failed_errno));
}

/* Why nothing is known of the first program's end; NULL if something is, or nothing needs to be. */
static char *results_explain_blind(const struct follow *f, const struct results_input *in,
				   bool judged)
{
	const struct image *i = f->first->image;
	char *why = NULL;

	if (i->trouble)
		return strdup(i->trouble);
	if (judged || f->first->tool)
		return NULL;
	if (f->first->had_table && i->replaced && f->children)
		return strdup("the program that it became, by exec, has not loaded the shim");
	if (f->first->had_table)
		return NULL;
	if (in->control->shims_failed)
		return asprintf(&why, "no table could be made for the program: %s",
				strerror(in->control->failed_errno)) < 0
			       ? NULL
			       : why;
	if (in->why_no_shim)
		return strdup(in->why_no_shim);
	return strdup("the shim was not loaded (LD_PRELOAD was dropped or changed on the way)");
}

int results_gather(struct follow *f, const struct results_input *in, struct supervise_result *r,
		   struct err *e)
{
	bool has_table = f->first->had_table;
	struct model *top = results_take_top(f->first);
	bool replaced = f->first->image->replaced;
	bool told = top && ((has_table && !replaced) || r->end || top->moment == MOMENT_SIGNAL);

	r->blind = results_explain_blind(f, in, told);
	if (!top && results_make_empty(f, in, results_moment(r), &top))
		return err_set(e, ERR_NOMEM, "the report");
	results_set_end(top, r->wait_status);
	results_add_notes(f, in, top);
	top->next = results_add_images(f->first, f->judged);
	f->judged = NULL;
	f->last_judged = &f->judged;
	r->models = top;
	return 0;
}

int results_gather_now(struct follow *f, const struct results_input *in, struct supervise_result *r)
{
	struct model **last;

	r->models = f->first->image->kept;
	if (!r->models && results_make_empty(f, in, MOMENT_DEADLOCK, &r->models))
		return ERR_NOMEM;
	last = &r->models->next;
	for (struct process *p = f->processes; p; p = p->next) {
		if (p->first || !p->deadlocked || !p->image->kept)
			continue;
		*last = p->image->kept;
		last = &(*last)->next;
	}
	return 0;
}

void results_return(struct supervise_result *r)
{
	struct model *next;

	for (struct model *m = r->models; m; m = next) {
		next = m->next;
		m->next = NULL;
		if (m->seen == SEEN_NONE)
			model_free(m); /* made for this */
	}
	r->models = NULL;
}
