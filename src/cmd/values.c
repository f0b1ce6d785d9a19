/* SPDX-License-Identifier: MIT */
/*
 * Strict readers: no white space, no sign, no rest behind the value, no overflow. Digits are
 * counted rather than converted in floating point, so that 1.5s is 1500000000 ns in any locale and
 * not a little less.
 */
#include "cmd/values.h"

#include <string.h>

#define NS_PER_S 1000000000

static const char value_format_unknown[] = "there is no such format; there are:"
#define FORMAT(name, description) " " #name
#include "report/formats.def"
#undef FORMAT
	;

int value_read_number(const char *text, size_t min, size_t max, size_t *out)
{
	size_t n = 0;

	if (!*text)
		return ERR_USAGE;
	for (; *text; text++) {
		size_t digit = (size_t)(*text - '0');

		if (*text < '0' || *text > '9' || n > (max - digit) / 10)
			return ERR_USAGE;
		n = 10 * n + digit;
	}
	if (n < min)
		return ERR_USAGE;
	*out = n;
	return 0;
}

/* Digits as a number of at most 9 of them; moves behind them. */
static int64_t value_take_digits(const char **text, int *count)
{
	int64_t n = 0;

	for (*count = 0; **text >= '0' && **text <= '9' && *count < 9; (*text)++, (*count)++)
		n = 10 * n + (**text - '0');
	return n;
}

int value_read_duration(const char *text, int64_t unit_ns, int64_t min_ns, int64_t max_ns,
			int64_t *ns)
{
	static const struct {
		const char *suffix;
		int64_t ns;
	} units[] = { { "ms", 1000000 }, { "s", NS_PER_S }, { "m", INT64_C(60) * NS_PER_S } };
	int whole_digits, fraction_digits = 0;
	int64_t whole = value_take_digits(&text, &whole_digits), fraction = 0, n;
	size_t i;

	if (*text == '.') {
		text++;
		fraction = value_take_digits(&text, &fraction_digits);
		if (!fraction_digits)
			return ERR_USAGE;
	}
	if (!whole_digits)
		return ERR_USAGE;
	for (i = 0; i < sizeof(units) / sizeof(units[0]) && *text; i++) {
		if (strcmp(text, units[i].suffix) == 0) {
			unit_ns = units[i].ns;
			text = "";
		}
	}
	if (*text || whole > max_ns / unit_ns)
		return ERR_USAGE;
	n = whole * unit_ns;
	for (; fraction_digits > 0; fraction_digits--)
		unit_ns /= 10;
	n += fraction * unit_ns;
	if (n < min_ns || n > max_ns)
		return ERR_USAGE;
	*ns = n;
	return 0;
}

int value_read_output(const char *text, struct output *out, const char **why)
{
	const char *colon = strchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : strlen(text);
	const struct report_writer *const *w;

	for (w = report_all(); *w; w++)
		if (strlen((*w)->name) == length && strncmp((*w)->name, text, length) == 0)
			break;
	if (!*w) {
		*why = value_format_unknown;
		return ERR_USAGE;
	}
	if (colon && !colon[1]) {
		*why = "a file name is needed behind the colon";
		return ERR_USAGE;
	}
	*out = (struct output){ .writer = *w, .file = colon ? colon + 1 : NULL };
	return 0;
}

/* One `stuck` or `alive:8` of a list, `length` bytes. */
static int value_read_failure(const char *text, size_t length, bool fails[FAILURE_COUNT],
			      size_t allowed[FAILURE_COUNT], const char **why)
{
	static const char *const names[] = {
#define FAILURE(constant, name) name,
		FAILURE_LIST(FAILURE)
#undef FAILURE
	};
	char word[40], *colon;
	size_t i;

	*why = "not a list of stuck, alive, unjoined, growing (each may have a limit: alive:8), or "
	       "none";
	if (length >= sizeof(word))
		return ERR_USAGE;
	memcpy(word, text, length);
	word[length] = '\0';
	colon = strchr(word, ':');
	if (colon)
		*colon = '\0';
	for (i = 0; i < FAILURE_COUNT; i++)
		if (strcmp(word, names[i]) == 0)
			break;
	if (i == FAILURE_COUNT)
		return ERR_USAGE;
	fails[i] = true;
	allowed[i] = 0;
	return colon ? value_read_number(colon + 1, 0, SIZE_MAX / 2, &allowed[i]) : 0;
}

int value_read_fail_on(const char *text, bool fails[FAILURE_COUNT], size_t allowed[FAILURE_COUNT],
		       const char **why)
{
	size_t length;

	memset(fails, 0, FAILURE_COUNT * sizeof(*fails));
	memset(allowed, 0, FAILURE_COUNT * sizeof(*allowed));
	if (strcmp(text, "none") == 0)
		return 0;
	for (;; text += length + 1) {
		length = strcspn(text, ",");
		if (value_read_failure(text, length, fails, allowed, why) < 0)
			return ERR_USAGE;
		if (!text[length])
			return 0;
	}
}
