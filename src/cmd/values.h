/* SPDX-License-Identifier: MIT */
/*
 * Values of options. Each function returns 0, or ERR_USAGE for a value that is wrong; where it
 * takes `why`, that says what is wrong then (a string that lives for ever). Outputs are written
 * only on success, but for --fail-on, which starts anew each time it is given.
 */
#ifndef STRAND_CMD_VALUES_H
#define STRAND_CMD_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/options.h"

/* A decimal number from `min` to `max`, nothing around it. */
int value_read_number(const char *text, size_t min, size_t max, size_t *out);

/* A time from `min_ns` to `max_ns`: "1500", "1.5s", "2m", "20ms"; `unit_ns` where there is no
 * suffix. */
int value_read_duration(const char *text, int64_t unit_ns, int64_t min_ns, int64_t max_ns,
			int64_t *ns);

/* NAME[:FILE] */
int value_read_output(const char *text, struct output *out, const char **why);

/* "stuck", "stuck,alive:8", "none": replaces what was there. */
int value_read_fail_on(const char *text, bool fails[FAILURE_COUNT], size_t allowed[FAILURE_COUNT],
		       const char **why);

#endif
