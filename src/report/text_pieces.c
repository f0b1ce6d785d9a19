/* SPDX-License-Identifier: MIT */
/*
 * Pieces of lines that several sections of the text report need: tasks with their names, places
 * in the code, stacks in columns. In a sentence a place is a function and a file without its
 * folders; in a stack the path of the user's own code is whole, for editors to open.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "prove/words.h"
#include "report/layout.h"
#include "report/text.h"
#include "report/utf8.h"

#define NAMES_SHOWN	 2
#define NAME_COLUMNS	 20
#define FUNCTION_COLUMNS 44
#define PLACE_COLUMNS	 48

static const char *text_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* Names of threads that differ from the main thread's, each once, the first few. */
static size_t text_find_names(const struct model *m, const struct task *const *tasks, size_t n,
			      const char **names, bool *more)
{
	const char *common = m->task_count ? m->tasks[0]->name : NULL;
	size_t count = 0, i, k;

	*more = false;
	for (i = 0; i < n && !*more; i++) {
		const char *name = tasks[i]->name;

		if (!name || !*name || (common && strcmp(name, common) == 0))
			continue;
		for (k = 0; k < count; k++)
			if (strcmp(names[k], name) == 0)
				break;
		if (k == count && count == NAMES_SHOWN)
			*more = true;
		else if (k == count)
			names[count++] = name;
	}
	return count;
}

void text_format_tasks(const struct model *m, const struct task *const *tasks, size_t n,
		       size_t columns, char *buf, size_t size)
{
	const char *names[NAMES_SHOWN];
	struct words w;
	size_t count, i;
	char ids[256];
	bool more;

	layout_ids(tasks, n, columns, ids, sizeof(ids));
	count = text_find_names(m, tasks, n, names, &more);
	words_begin(&w, buf, size);
	words_add(&w, "%s", ids);
	if (n > 2)
		words_add(&w, " (%zu tasks", n);
	for (i = 0; i < count; i++) {
		words_add(&w, "%s", n > 2 || i ? ", " : " (");
		words_add_name(&w, names[i], NAME_COLUMNS);
	}
	if (more)
		words_add(&w, ", …");
	if (n > 2 || count)
		words_add(&w, ")");
}

/* "shop.c:88", "libc.so.6", "0x7f…"; `whole` gives files with their folders. */
static void text_format_location(const struct frame *f, bool whole, char *buf, size_t size)
{
	if (f->file && f->line)
		snprintf(buf, size, "%s:%d", whole ? f->file : text_base_name(f->file), f->line);
	else if (f->file)
		snprintf(buf, size, "%s", whole ? f->file : text_base_name(f->file));
	else if (f->module && f->function)
		snprintf(buf, size, "(%s)", f->module);
	else if (f->module)
		snprintf(buf, size, "(%s+0x%" PRIx64 ")", f->module, f->module_offset);
	else
		snprintf(buf, size, "0x%" PRIx64, f->address);
}

static const struct frame *text_find_user_frame(const struct stack *s, size_t from)
{
	size_t i;

	for (i = from; s && i < s->n; i++)
		if (!s->v[i].system && s->v[i].module)
			return &s->v[i];
	return NULL;
}

static void text_add_frame(struct words *w, const struct frame *f)
{
	char location[1024];

	text_format_location(f, false, location, sizeof(location));
	if (f->function) {
		words_add_name(w, f->function, PLACE_COLUMNS);
		words_add(w, " ");
	}
	words_add_name(w, location, PLACE_COLUMNS);
}

void text_format_place(const struct stack *s, size_t frames, char *buf, size_t size)
{
	const struct frame *f = text_find_user_frame(s, 0);
	struct words w;
	size_t n;

	words_begin(&w, buf, size);
	for (n = 0; f && n < frames; n++) {
		words_add(&w, n ? ", called by " : "");
		text_add_frame(&w, f);
		f = text_find_user_frame(s, (size_t)(f - s->v) + 1);
	}
}

static bool text_shows_frame(const struct frame *f, bool user_only)
{
	return !user_only || (!f->system && f->module);
}

/* How wide the column of functions is: that of the widest shown, within reason. */
static size_t text_function_columns(const struct stack *s, bool user_only)
{
	size_t widest = 4, i;

	for (i = 0; i < s->n; i++) {
		const char *function = s->v[i].function;

		if (function && text_shows_frame(&s->v[i], user_only) &&
		    utf8_columns(function) > widest)
			widest = utf8_columns(function);
	}
	return widest < FUNCTION_COLUMNS ? widest : FUNCTION_COLUMNS;
}

static void text_put_frame(struct text *t, const struct frame *f, size_t number, int number_columns,
			   size_t function_columns, size_t indent)
{
	const char *mark = f->inlined ? " (inlined)" : "";
	size_t used = indent + 4 + (size_t)number_columns + function_columns + strlen(mark);
	char function[FUNCTION_COLUMNS * 4 + 8], whole[1024], place[512];

	layout_cut_middle(f->function ? f->function : "?", function_columns, function,
			  sizeof(function));
	text_format_location(f, !f->system, whole, sizeof(whole));
	layout_cut_path(whole, LAYOUT_COLUMNS - used, place, sizeof(place));
	text_put(&t->out, f->system ? STYLE_DIM : STYLE_PLAIN, indent, "#%-*zu %s%*s  %s%s",
		 number_columns, number, function, (int)(function_columns - utf8_columns(function)),
		 "", place, mark);
}

void text_put_frames(struct text *t, const struct stack *s, bool user_only, size_t max,
		     size_t indent)
{
	size_t columns, shown = 0, wanted = 0, i;

	if (!s || !s->n) {
		text_put(&t->out, STYLE_DIM, indent, "(its stack is not known)");
		return;
	}
	user_only = user_only && text_find_user_frame(s, 0);
	columns = text_function_columns(s, user_only);
	for (i = 0; i < s->n; i++) {
		if (!text_shows_frame(&s->v[i], user_only))
			continue;
		if (++wanted > max)
			continue;
		text_put_frame(t, &s->v[i], i, s->n > 100 ? 3 : s->n > 10 ? 2 : 1, columns, indent);
		shown++;
	}
	if (wanted > shown)
		text_put(&t->out, STYLE_DIM, indent, "… and %zu more", wanted - shown);
	else if (!s->complete && !user_only)
		text_put(&t->out, STYLE_DIM, indent, "… (it could not be followed further)");
}

void text_put_creator(struct text *t, const struct task *task, bool named, size_t max,
		      size_t indent)
{
	char place[300], id[32] = "";

	if (!task->parent_number && !task->parent && !task->created_by)
		return;
	if (task->parent)
		snprintf(id, sizeof(id), "%s", task->parent->id);
	else if (task->parent_number)
		snprintf(id, sizeof(id), "T%" PRIu64, task->parent_number);
	text_format_place(task->created_by, max ? 1 : 2, place, sizeof(place));
	text_put(&t->out, STYLE_PLAIN, indent, "%s%screated by %s%s%s", named ? task->id : "",
		 named ? " " : "", id, id[0] && place[0] ? " at " : "", place);
	if (task->created_by && max)
		text_put_frames(t, task->created_by, true, max, indent + 2);
}
