/* SPDX-License-Identifier: MIT */
/*
 * The writers of all formats, declared once: report_text(), report_json(). Used through struct
 * report_writer only (report.h); this header is for the files that define them, so that a writer
 * and its row in formats.def cannot disagree.
 */
#ifndef STRAND_REPORT_FORMATS_H
#define STRAND_REPORT_FORMATS_H

#include "report/report.h"

#define FORMAT(name, description)                                                           \
	int report_##name(const struct model *m, const struct report_options *o, FILE *out, \
			  struct err *e);
#include "report/formats.def"
#undef FORMAT

#endif
