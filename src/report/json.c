/* SPDX-License-Identifier: MIT */
/*
 * strand-report/1, the report for programs. Every key is always there, null where its value is
 * not known. Keys beyond the fixed ones: stops and stopped_ns of a look; tid_ns, born_ns, start and
 * chain of a task; start of a finding; text, deadline_left_ns and mutex of a wait; attribute,
 * owner_state, owner_tid, holders and those of json_places.c of an object; inlined and system of a
 * frame.
 *
 * The report streams: the outer braces and lists are written here, and only one finding, task or
 * module at a time is built as a tree. Each stands on a line of its own.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "config.h"
#include "prove/chain.h"
#include "report/formats.h"
#include "report/json_places.h"
#include "report/json_values.h"
#include "report/select.h"

#define DUMP_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY)

/* One report under way. Failure sticks: what follows it is not written. */
struct json_out {
	FILE *file;
	const struct model *m;
	const struct report_options *o;
	struct chain_text *chain;
	bool failed;
};

/* Take over `value` (NULL: it could not be built) and write it. */
static void json_put(struct json_out *out, json_t *value)
{
	if (!value)
		out->failed = true;
	else if (!out->failed && json_dumpf(value, out->file, DUMP_FLAGS) < 0)
		out->failed = true;
	json_decref(value);
}

static void json_put_text(struct json_out *out, const char *text)
{
	if (!out->failed && fputs(text, out->file) < 0)
		out->failed = true;
}

/* `,` before all but the first, the key, the value. */
static void json_put_key(struct json_out *out, const char *key, json_t *value)
{
	json_put_text(out, ",\n\"");
	json_put_text(out, key);
	json_put_text(out, "\":");
	json_put(out, value);
}

static json_t *json_time(int64_t ns)
{
	return ns == TIME_UNKNOWN ? json_null() : json_integer(ns);
}

/* The creator, also when it is no longer there. */
static json_t *json_creator_id(const struct task *t)
{
	if (!t->parent && t->parent_number)
		return json_sprintf("T%" PRIu64, t->parent_number);
	return json_task_id(t->parent);
}

static json_t *json_frame(const struct frame *f)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:b}", "function", json_text(f->function),
			 "file", json_text(f->file), "line",
			 json_count_or_null(f->line > 0 ? (uint64_t)f->line : 0), "module",
			 json_text(f->module), "address", json_address(f->address), "inlined",
			 f->inlined, "system", f->system);
}

static json_t *json_stack(const struct stack *s)
{
	json_t *list;
	size_t i;

	if (!s)
		return json_null();
	list = json_array();
	for (i = 0; i < s->n; i++)
		if (json_array_append_new(list, json_frame(&s->v[i])) < 0)
			goto fail;
	return list;
fail:
	json_decref(list);
	return NULL;
}

/* The first frame: of a start routine there is one, or what was inlined into it. */
static json_t *json_start(const struct task *t)
{
	return t->start && t->start->n ? json_frame(&t->start->v[t->start->n - 1]) : json_null();
}

static json_t *json_holders(const struct object *o)
{
	return o->holders ? json_task_ids(o->holders, o->holder_count) : json_null();
}

static json_t *json_owner_state(enum owner_state s)
{
	static const char *const names[] = { NULL, "unknown", "task", "ended", "foreign" };

	return json_text(names[s]);
}

static bool json_is_owned(const struct object *o)
{
	return o->owner_state == OWNER_TASK || o->owner_state == OWNER_ENDED;
}

static json_t *json_object_of(const struct object *o)
{
	if (!o)
		return json_null();
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "kind",
			 object_kind_name(o->kind), "address",
			 o->address ? json_address(o->address) : json_null(), "name",
			 json_text(o->name), "owner",
			 json_task_id(json_is_owned(o) ? o->owner : NULL), "attribute",
			 json_text(o->attribute), "owner_state", json_owner_state(o->owner_state),
			 "owner_tid", json_count_or_null((uint64_t)o->owner_tid), "holders",
			 json_holders(o), "block", json_block(o), "reached_by", json_reached_by(o),
			 "referrers", json_referrers(o));
}

static json_t *json_wait(const struct wait *w)
{
	json_t *objects;

	if (!w)
		return json_null();
	objects = w->object ? json_pack("[o]", json_object_of(w->object)) : json_array();
	return json_pack("{s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "op", wait_op_name(w->op),
			 "since_ns", json_time(w->since_ns), "deadline", w->has_deadline, "object",
			 json_object_of(w->object), "objects", objects, "mutex",
			 json_object_of(w->second), "text", json_text(w->text), "deadline_left_ns",
			 json_time(w->has_deadline ? w->deadline_left_ns : TIME_UNKNOWN));
}

static json_t *json_lines(const char *const *lines, size_t n)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < n; i++)
		if (json_array_append_new(list, json_text(lines[i])) < 0)
			goto fail;
	return list;
fail:
	json_decref(list);
	return NULL;
}

static json_t *json_chain(struct json_out *out, const struct task *t)
{
	const char *lines[CHAIN_LINES_MAX];
	size_t i;

	if (!t->wait)
		return json_null();
	chain_write(out->m, t, out->chain);
	for (i = 0; i < out->chain->n; i++)
		lines[i] = out->chain->lines[i];
	return json_lines(lines, out->chain->n);
}

static json_t *json_created_by(const struct task *t)
{
	if (!t->parent && !t->parent_number && !t->created_by)
		return json_null();
	return json_pack("{s:o, s:o}", "task", json_creator_id(t), "stack",
			 json_stack(t->created_by));
}

static json_t *json_verdict(enum verdict v)
{
	return v == VERDICT_NONE ? json_null() : json_string(verdict_name(v));
}

static json_t *json_reason(const struct finding *f)
{
	const struct task *t = f->longest;
	const char *code = t->reason == REASON_NONE ? NULL : reason_code_name(t->reason);

	return json_pack("{s:o, s:o, s:o}", "code", json_text(code), "group",
			 json_count_or_null(f->group), "text",
			 json_lines((const char *const *)f->reason_text, f->reason_lines));
}

static json_t *json_finding_tasks(const struct finding *f, size_t max)
{
	return json_task_ids(f->tasks, f->count < max ? f->count : max);
}

static json_t *json_finding(const struct json_out *out, const struct finding *f)
{
	const struct task *t = f->longest;
	bool judged_at_wait = f->verdict != VERDICT_UNJOINED;

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:n, s:o, s:o, s:o, s:o, s:o}", "id", f->id,
			 "site", f->site, "verdict", json_verdict(f->verdict), "count",
			 json_count(f->count), "tasks", json_finding_tasks(f, out->o->max_tasks),
			 "trend", "wait", json_wait(judged_at_wait ? t->wait : NULL), "reason",
			 json_reason(f), "stack", json_stack(judged_at_wait ? t->stack : NULL),
			 "start", json_start(t), "created_by", json_created_by(t));
}

static bool json_frames_equal(const struct frame *a, const struct frame *b)
{
	return a->address == b->address && a->inlined == b->inlined && a->line == b->line &&
	       strcmp(a->function ? a->function : "", b->function ? b->function : "") == 0;
}

static bool json_stacks_equal(const struct stack *a, const struct stack *b)
{
	size_t i;

	if (a == b)
		return true;
	if (!a || !b || a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (!json_frames_equal(&a->v[i], &b->v[i]))
			return false;
	return true;
}

static json_t *json_task(struct json_out *out, const struct task *t)
{
	const struct finding *f = t->finding;
	bool same_stack = f && json_stacks_equal(t->stack, f->longest->stack);
	bool same_creator = f && t->parent_number == f->longest->parent_number &&
			    t->parent == f->longest->parent &&
			    json_stacks_equal(t->created_by, f->longest->created_by);

	return json_pack(
		"{s:s, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:n, s:n, s:o, "
		"s:o, s:o, s:o, s:o}",
		"id", t->id, "kind", task_kind_name(t->kind), "system", t->system, "name",
		json_text(t->name), "tid", json_count_or_null((uint64_t)t->tid), "tid_ns",
		json_count_or_null((uint64_t)t->tid_ns), "goid", json_count_or_null(t->goid),
		"parent", json_creator_id(t), "state", task_state_name(t->state), "verdict",
		json_verdict(t->verdict), "finding", json_text(f ? f->id : NULL), "wait",
		json_wait(t->wait), "wait_reason", "labels", "stack",
		json_stack(same_stack ? NULL : t->stack), "created_by",
		same_creator ? json_null() : json_created_by(t), "born_ns", json_time(t->born_ns),
		"start", json_start(t), "chain", json_chain(out, t));
}

static json_t *json_module(const struct model_module *mod)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "name", json_text(mod->name), "path",
			 json_text(mod->path), "build_id", json_text(mod->build_id), "start",
			 json_address(mod->start), "end", json_address(mod->end), "offset",
			 json_address(mod->offset));
}

static json_t *json_argv(const struct model *m)
{
	size_t n = 0;

	if (!m->argv)
		return json_null();
	while (m->argv[n])
		n++;
	return json_lines(m->argv, n);
}

static void json_put_process(struct json_out *out)
{
	const struct model *m = out->m;
	size_t i;

	json_put_text(out, ",\n\"process\":{\"pid\":");
	json_put(out, json_count((uint64_t)m->pid));
	json_put_key(out, "ppid", json_count_or_null((uint64_t)m->ppid));
	json_put_key(out, "exe", json_text(m->exe));
	json_put_key(out, "argv", json_argv(m));
	json_put_key(out, "moment", json_text(moment_name(m->moment)));
	json_put_key(out, "status",
		     m->exit_status < 0 ? json_null() : json_integer(m->exit_status));
	json_put_key(out, "signal", json_count_or_null((uint64_t)m->exit_signal));
	json_put_text(out, ",\n\"modules\":[");
	for (i = 0; i < m->module_count; i++) {
		json_put_text(out, i ? ",\n" : "\n");
		json_put(out, json_module(&m->modules[i]));
	}
	json_put_text(out, "]}");
}

static void json_put_look(struct json_out *out)
{
	static const char *const seen[] = { "none", "partial", "full" };
	static const char *const proof[] = { "none", "owners", "full" };
	const struct model *m = out->m;

	json_put_key(out, "seen", json_string(seen[m->seen]));
	json_put_key(out, "proof", json_string(proof[m->proof]));
	json_put_key(out, "pause_ns", json_integer(m->pause_ns));
	json_put_key(out, "stops", json_integer(m->stops));
	json_put_key(out, "stopped_ns", json_integer(m->stopped_ns));
	json_put_key(out, "summary",
		     json_pack("{s:o, s:o, s:o, s:o, s:i, s:o}", "tasks", json_count(m->task_count),
			       "stuck", json_count(selection_count_verdict(m, VERDICT_STUCK)),
			       "alive", json_count(selection_count_verdict(m, VERDICT_ALIVE)),
			       "unjoined", json_count(selection_count_verdict(m, VERDICT_UNJOINED)),
			       "suppressed", 0, "lost", json_count(m->lost)));
}

static void json_put_lists(struct json_out *out, const struct selection *s)
{
	const struct model *m = out->m;
	size_t i;

	json_put_text(out, ",\n\"findings\":[");
	for (i = 0; i < m->finding_count; i++) {
		json_put_text(out, i ? ",\n" : "\n");
		json_put(out, json_finding(out, m->findings[i]));
	}
	json_put_text(out, "],\n\"tasks\":[");
	for (i = 0; i < s->count; i++) {
		json_put_text(out, i ? ",\n" : "\n");
		json_put(out, json_task(out, s->tasks[i]));
	}
	json_put_text(out, "]");
}

static json_t *json_truncated(const struct selection *s)
{
	if (!s->left_out && !s->left_out_of_findings)
		return json_null();
	return json_pack("{s:o, s:o}", "tasks", json_count(s->left_out), "findings",
			 json_count(s->left_out_of_findings));
}

/* One process, up to what comes behind its notes. */
static int json_put_image(struct json_out *out)
{
	struct selection s;
	int err = selection_make(out->m, out->o, &s);

	if (err < 0)
		goto end;
	json_put_text(out, "{\"schema\":\"strand-report/1\"");
	json_put_key(out, "strand", json_string(PACKAGE_VERSION));
	json_put_process(out);
	json_put_look(out);
	json_put_lists(out, &s);
	json_put_key(out, "truncated", json_truncated(&s));
	json_put_key(out, "notes", json_lines(out->m->notes, out->m->note_count));
end:
	selection_free(&s);
	return err;
}

int report_json(const struct model *m, const struct report_options *o, FILE *file, struct err *e)
{
	struct json_out out = { .file = file, .m = m, .o = o };
	int err = ERR_NOMEM;

	out.chain = calloc(1, sizeof(*out.chain));
	if (out.chain)
		err = json_put_image(&out);
	json_put_text(&out, ",\n\"children\":[");
	for (out.m = m->next; out.m && !err; out.m = out.m->next) {
		json_put_text(&out, out.m == m->next ? "\n" : ",\n");
		err = json_put_image(&out);
		json_put_text(&out, ",\n\"children\":[]}");
	}
	json_put_text(&out, "]}\n");
	free(out.chain);
	if (err < 0 || (out.failed && !ferror(file)))
		return err_set(e, ERR_NOMEM, "the report");
	return 0;
}
