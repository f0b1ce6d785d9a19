/* SPDX-License-Identifier: MIT */
/*
 * A line split into words as a shell would: single quotes keep everything, double quotes all but
 * a backslash before one of `"\$, a backslash elsewhere keeps the next character. Variables,
 * patterns and comments mean nothing here.
 */
#include <stdlib.h>
#include <string.h>

#include "cmd/options.h"

/* Copy one word from *from to *to, both move on. False if a quote is open at the end. */
static bool split_word(const char **from, char **to)
{
	const char *p = *from;
	char quote = '\0', *q = *to;

	for (; *p && (quote || !strchr(" \t\n", *p)); p++) {
		if (quote == '\'' ? *p == '\'' : quote && *p == '"')
			quote = '\0';
		else if (!quote && (*p == '\'' || *p == '"'))
			quote = *p;
		else if (*p == '\\' && quote != '\'' &&
			 (!quote || (p[1] && strchr("\"\\$`", p[1]))))
			*q++ = *++p;
		else
			*q++ = *p;
		if (!*p)
			return false;
	}
	*q++ = '\0';
	*from = p;
	*to = q;
	return !quote;
}

int options_split(const char *line, char ***words, char **strings, struct err *e)
{
	size_t bytes = strlen(line) + 2, n = 0;
	char *to;

	*words = calloc(bytes / 2 + 2, sizeof(**words));
	*strings = to = malloc(2 * bytes);
	if (!*words || !to)
		goto fail;
	for (line += strspn(line, " \t\n"); *line; line += strspn(line, " \t\n")) {
		(*words)[n++] = to;
		if (!split_word(&line, &to)) {
			err_set(e, ERR_USAGE,
				"STRAND_OPTIONS: a quote or a backslash ends nowhere");
			goto fail_usage;
		}
	}
	return 0;
fail:
	err_set(e, ERR_NOMEM, "STRAND_OPTIONS");
fail_usage:
	free(*words);
	free(*strings);
	*words = NULL;
	*strings = NULL;
	return e ? e->code : ERR_USAGE;
}
