/* SPDX-License-Identifier: MIT
 *
 * The error table as text. No state: safe to call from anywhere but a signal handler.
 */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct err_row {
	const char *why;
	const char *todo;
};

static const struct err_row err_rows[] = {
	{ NULL, NULL },
#define ERR(name, why, todo) { why, todo },
#include "err.def"
#undef ERR
};

static int err_vset(struct err *e, int code, int sys_errno, const char *fmt, va_list ap)
{
	if (!e)
		return code;
	e->code = code;
	e->sys_errno = sys_errno;
	vsnprintf(e->what, sizeof(e->what), fmt, ap);
	return code;
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_vset(e, code, 0, fmt, ap);
	va_end(ap);
	return code;
}

int err_set_errno(struct err *e, int sys_errno, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	err_vset(e, ERR_SYS, sys_errno, fmt, ap);
	va_end(ap);
	return ERR_SYS;
}

/* File names and arguments are other people's bytes: one line must stay one line. */
static void err_make_printable(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
}

void err_format(const struct err *e, char *buf, size_t size)
{
	const struct err_row *row = &err_rows[0];
	const char *why;

	if (e->code < 0 && e->code > -(int)ERR_POSITION_COUNT)
		row = &err_rows[-e->code];
	why = e->sys_errno ? strerror(e->sys_errno) : row->why;
	if (row->why)
		why = row->why;
	if (why && row->todo)
		snprintf(buf, size, "%s: %s (%s)", e->what, why, row->todo);
	else if (why)
		snprintf(buf, size, "%s: %s", e->what, why);
	else
		snprintf(buf, size, "%s", e->what);
	err_make_printable(buf);
}
