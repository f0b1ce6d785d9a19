/* SPDX-License-Identifier: MIT
 *
 * What the kernel holds for a process, collected. Once something turns out to be unreadable the rest
 * is not looked at any more: nothing will be proved that needs it.
 */
#include "readers/held_private.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void held_set_unread(struct held_work *w, const char *fmt, ...)
{
	va_list ap;

	if (w->out->unread[0])
		return;
	va_start(ap, fmt);
	vsnprintf(w->out->unread, sizeof(w->out->unread), fmt, ap);
	va_end(ap);
}

bool held_is_over(struct held_work *w)
{
	if (!w->out->unread[0] && stop_expired(w->c->stop))
		held_set_unread(w, "what the kernel holds: it takes longer than the process may "
				   "be stopped");
	return w->out->unread[0];
}

uint8_t *held_make_room(struct held_work *w, size_t n)
{
	struct held *h = w->out;
	size_t room = w->byte_room ? w->byte_room : 4096;
	uint8_t *bigger;

	if (n > HELD_MAX_BYTES - h->byte_count)
		return NULL;
	while (room - h->byte_count < n)
		room *= 2;
	if (room > w->byte_room) {
		bigger = realloc(h->bytes, room);
		if (!bigger)
			return NULL;
		h->bytes = bigger;
		w->byte_room = room;
	}
	return h->bytes + h->byte_count;
}

static struct held_piece *held_make_piece(struct held_work *w)
{
	struct held *h = w->out;
	size_t room = w->piece_room ? 2 * w->piece_room : 64;
	struct held_piece *bigger;

	if (h->piece_count == w->piece_room) {
		bigger = reallocarray(h->pieces, room, sizeof(*bigger));
		if (!bigger)
			return NULL;
		h->pieces = bigger;
		w->piece_room = room;
	}
	return &h->pieces[h->piece_count++];
}

static int held_add_named(struct held_work *w, size_t n, const char *fmt, va_list ap)
{
	struct held_piece *p = n ? held_make_piece(w) : NULL;

	if (!n)
		return 0;
	if (!p)
		return ERR_NOMEM;
	vsnprintf(p->what, sizeof(p->what), fmt, ap);
	p->offset = w->out->byte_count;
	p->count = n;
	w->out->byte_count += n;
	return 0;
}

int held_add_filled(struct held_work *w, size_t n, const char *fmt, ...)
{
	va_list ap;
	int rc;

	va_start(ap, fmt);
	rc = held_add_named(w, n, fmt, ap);
	va_end(ap);
	return rc;
}

int held_add(struct held_work *w, const void *bytes, size_t n, const char *fmt, ...)
{
	uint8_t *to = held_make_room(w, n);
	va_list ap;
	int rc;

	if (!to) {
		held_set_unread(w, "more than can be copied is on its way in the kernel");
		return 0;
	}
	memcpy(to, bytes, n);
	va_start(ap, fmt);
	rc = held_add_named(w, n, fmt, ap);
	va_end(ap);
	return rc;
}

int held_read(const struct capture *c, struct held *out, struct err *e)
{
	static int (*const readers[])(struct held_work *) = { held_read_timers, held_read_signals,
							      held_read_messages,
							      held_read_descriptors };
	struct held_work w = { .c = c, .out = out };
	int rc = 0;

	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < sizeof(readers) / sizeof(readers[0]) && !rc && !held_is_over(&w);
	     i++)
		rc = readers[i](&w);
	return rc ? err_set(e, rc, "cannot read what the kernel holds for process %d", (int)c->pid)
		  : 0;
}

void held_free(struct held *h)
{
	free(h->bytes);
	free(h->pieces);
	memset(h, 0, sizeof(*h));
}
