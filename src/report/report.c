/* SPDX-License-Identifier: MIT */
/*
 * The list of report formats, made from formats.def. A new format is one row there and one file
 * with its writer; the command line, its help and its complaints about unknown formats follow the
 * table.
 */
#include "report/report.h"

#include <string.h>

#include "report/formats.h"

#define FORMAT(name, description)                                                      \
	static const struct report_writer report_writer_##name = { #name, description, \
								   report_##name };
#include "report/formats.def"
#undef FORMAT

static const struct report_writer *const report_writers[] = {
#define FORMAT(name, description) &report_writer_##name,
#include "report/formats.def"
#undef FORMAT
	NULL
};

const struct report_writer *const *report_all(void)
{
	return report_writers;
}

const struct report_writer *report_find(const char *name)
{
	const struct report_writer *const *w;

	for (w = report_writers; *w; w++)
		if (strcmp((*w)->name, name) == 0)
			return *w;
	return NULL;
}
