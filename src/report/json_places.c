/* SPDX-License-Identifier: MIT
 *
 * The search for references in the JSON report. Of the three keys of an object, `block` is there if
 * it was looked for who reaches it; then exactly one of `reached_by` and `referrers` is.
 */
#include "report/json_places.h"
#include "report/json_values.h"

static json_t *json_start_of(const struct place *p)
{
	return p->start ? json_address(p->start) : json_null();
}

json_t *json_block(const struct object *o)
{
	const struct place *p = o->home;

	if (!p)
		return json_null();
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "kind", place_kind_name(p->kind),
			 "address", json_start_of(p), "bytes", json_count_or_null(p->bytes),
			 "offset", p->start ? json_count(o->address - p->start) : json_null(),
			 "type", json_text(p->type), "member", json_text(p->member));
}

/* `at` is the address of the word that leads on, or of the object itself in the last place. */
static json_t *json_place(const struct place *p)
{
	return json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "kind", place_kind_name(p->kind),
		"address", json_start_of(p), "bytes", json_count_or_null(p->bytes), "at",
		p->at ? json_address(p->at) : json_null(), "task", json_task_id(p->task), "name",
		json_text(p->name), "type", json_text(p->type), "member", json_text(p->member));
}

json_t *json_reached_by(const struct object *o)
{
	json_t *list;

	if (!o->path)
		return json_null();
	list = json_array();
	for (size_t i = 0; i < o->path_length; i++)
		if (json_array_append_new(list, json_place(&o->path[i])) < 0)
			goto fail;
	return list;
fail:
	json_decref(list);
	return NULL;
}

json_t *json_referrers(const struct object *o)
{
	return o->home && !o->path ? json_task_ids(o->referrers, o->referrer_count) : json_null();
}
