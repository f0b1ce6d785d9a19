/* SPDX-License-Identifier: MIT
 *
 * Values of the JSON report that stand in several of its objects: for json.c and json_places.c. Each
 * returns a new reference, NULL if out of memory; what is not known is null.
 */
#ifndef STRAND_REPORT_JSON_VALUES_H
#define STRAND_REPORT_JSON_VALUES_H

#include <jansson.h>

#include "model/model.h"

json_t *json_text(const char *s);
json_t *json_address(uint64_t address);
json_t *json_count(uint64_t n);
json_t *json_count_or_null(uint64_t n);
json_t *json_task_id(const struct task *t);
json_t *json_task_ids(struct task *const *tasks, size_t n);

#endif
