/* SPDX-License-Identifier: MIT
 *
 * Where an object lies and who reaches it, in the JSON report.
 */
#ifndef STRAND_REPORT_JSON_PLACES_H
#define STRAND_REPORT_JSON_PLACES_H

#include <jansson.h>

#include "model/model.h"

/* New references, NULL if out of memory; null where nobody looked. */
json_t *json_block(const struct object *o);
json_t *json_reached_by(const struct object *o);
json_t *json_referrers(const struct object *o);

#endif
