/* SPDX-License-Identifier: MIT
 *
 * What makes verdicts milder: signal handlers, jumps out of them, cancellation, other processes
 * that share the memory, an unknown C library, kernel interfaces that wake without a task. Each
 * is written into the model where the prover looks for it, and said in a note.
 */
#ifndef STRAND_READERS_MILDER_H
#define STRAND_READERS_MILDER_H

#include <stdint.h>

#include "model/model.h"
#include "readers/threads.h"

/* Signals whose handlers may wake somebody in a thread that blocks `blocked`. */
uint64_t milder_handled_signals(uint64_t caught, uint64_t blocked);

/* "SIGUSR1, SIGTERM and 5 more" */
void milder_describe_signals(uint64_t signals, char *buf, size_t size);

/* Does `m`, unless it is the C library, use its function `name`? In a static program the library's
 * presence is all that can be told, and counts; so does a module whose file cannot be read. */
bool milder_uses(const struct libc *libc, const struct module *m, const char *name);

/* Once all threads are in the model. */
int milder_apply(const struct threads_input *in, struct model *m);

#endif
