/* SPDX-License-Identifier: MIT
 *
 * Values of the JSON report that stand in several of its objects.
 */
#include "report/json_values.h"

#include <inttypes.h>
#include <stdlib.h>

#include "report/utf8.h"

json_t *json_text(const char *s)
{
	char *clean;
	json_t *v;

	if (!s)
		return json_null();
	clean = utf8_clean(s);
	v = clean ? json_string_nocheck(clean) : NULL;
	free(clean);
	return v;
}

json_t *json_address(uint64_t address)
{
	return json_sprintf("0x%" PRIx64, address);
}

json_t *json_count(uint64_t n)
{
	return json_integer((json_int_t)n);
}

json_t *json_count_or_null(uint64_t n)
{
	return n ? json_count(n) : json_null();
}

json_t *json_task_id(const struct task *t)
{
	return t ? json_string(t->id) : json_null();
}

json_t *json_task_ids(struct task *const *tasks, size_t n)
{
	json_t *list = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(list, json_task_id(tasks[i])) < 0)
			goto fail;
	return list;
fail:
	json_decref(list);
	return NULL;
}
