/* SPDX-License-Identifier: MIT
 *
 * Findings: tasks with the same verdict and the same site, with the chain that proves it.
 * The site is a fingerprint of names (module, function, line within the function), so that a bug
 * is the same bug after a rebuild, at another address, on another machine.
 */
#ifndef STRAND_PROVE_FINDINGS_H
#define STRAND_PROVE_FINDINGS_H

#include "model/model.h"

/* Group the judged tasks of `m` into m->findings: deterministic order (verdict, then the lowest
 * task). Stacks must be named by now. */
int findings_make(struct model *m);

/* The site of a task as 16 hex digits and a NUL. */
void findings_site(const struct task *t, char out[static 20]);

#endif
