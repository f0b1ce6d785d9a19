/* SPDX-License-Identifier: MIT */
/*
 * Cutting and breaking by columns, ids as ranges. Widths are those of utf8_columns(), so that
 * wide and combining characters in names do not push a line over its end. A character is never
 * cut in two.
 */
#include "report/layout.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "report/utf8.h"

#define ELLIPSIS "…"

void layout_cut_middle(const char *s, size_t columns, char *buf, size_t size)
{
	size_t head;

	if (utf8_columns(s) <= columns) {
		snprintf(buf, size, "%s", s);
		return;
	}
	head = columns / 2;
	snprintf(buf, size, "%.*s" ELLIPSIS "%s", (int)utf8_prefix(s, head), s,
		 s + strlen(s) - utf8_suffix(s, columns - head - 1));
}

void layout_cut_path(const char *s, size_t columns, char *buf, size_t size)
{
	const char *tail, *slash;

	if (utf8_columns(s) <= columns) {
		snprintf(buf, size, "%s", s);
		return;
	}
	tail = s + strlen(s) - utf8_suffix(s, columns - 1);
	slash = strchr(tail, '/');
	if (slash && slash[1])
		snprintf(buf, size, ELLIPSIS "%s", slash);
	else
		layout_cut_middle(s, columns, buf, size);
}

size_t layout_fit(const char *s, size_t columns)
{
	size_t bytes = utf8_prefix(s, columns), end = bytes;

	if (!s[bytes] || s[bytes] == ' ')
		return bytes;
	while (end && s[end - 1] != ' ')
		end--;
	while (end && s[end - 1] == ' ')
		end--;
	if (end)
		return end;
	return bytes ? bytes : strlen(s); /* a single character wider than the line */
}

/* Tasks behind v[i] whose numbers follow on each other's. */
static size_t layout_run(const struct task *const *v, size_t i, size_t n)
{
	size_t k = i + 1;

	while (k < n && v[k]->kind == v[i]->kind && v[k]->number == v[i]->number + (k - i))
		k++;
	return k - i;
}

void layout_ids(const struct task *const *tasks, size_t n, size_t columns, char *buf, size_t size)
{
	static const char more[] = ", " ELLIPSIS;
	const size_t more_columns = 3;
	size_t i = 0, used = 0, run;
	char item[64];

	if (size)
		buf[0] = '\0';
	for (; i < n; i += run) {
		const char *comma = i ? ", " : "";

		run = layout_run(tasks, i, n);
		if (run >= 3)
			snprintf(item, sizeof(item), "%s%s-%s", comma, tasks[i]->id,
				 tasks[i + run - 1]->id);
		else
			snprintf(item, sizeof(item), "%s%s", comma, tasks[i]->id);
		run = run >= 3 ? run : 1;
		if (i && used + strlen(item) + (i + run < n ? more_columns : 0) > columns)
			break;
		if (used + strlen(item) + sizeof(more) > size)
			break;
		memcpy(buf + used, item, strlen(item) + 1);
		used += strlen(item);
	}
	if (i < n && used + sizeof(more) <= size)
		memcpy(buf + used, more, sizeof(more));
}
