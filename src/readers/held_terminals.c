/* SPDX-License-Identifier: MIT
 *
 * Pseudo terminals of which the process has both ends: what it writes to one comes back to it from
 * the other. The bytes could only be had by taking them, so that there are any makes them unread.
 *
 * A terminal that collects lines counts whole ones only; so of such a one nothing is certain.
 */
#include "readers/held_private.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Is there certainly nothing to be read from this end? */
static bool held_end_is_empty(int fd)
{
	int bytes;

	return !ioctl(fd, FIONREAD, &bytes) && !bytes;
}

static bool held_collects_lines(int fd)
{
	struct termios mode;

	return tcgetattr(fd, &mode) || mode.c_lflag & ICANON;
}

/* The other end of terminal `number`, if the process has it, too. */
static const struct held_descriptor *held_find_terminal(const struct held_table *t, unsigned number)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].kind == HELD_TERMINAL && t->v[i].inode == number)
			return &t->v[i];
	return NULL;
}

static void held_check_pair(struct held_work *w, const struct held_table *t, int master)
{
	const struct held_descriptor *other;
	unsigned number;
	int fd;

	if (ioctl(master, TIOCGPTN, &number))
		return;
	other = held_find_terminal(t, number);
	fd = other ? held_take(w, t, other->number) : -1;
	if (fd < 0)
		return;
	if (!held_end_is_empty(master) || !held_end_is_empty(fd) || held_collects_lines(fd))
		held_set_unread(w, "bytes on their way through terminal %u", number);
	close(fd);
}

void held_check_terminals(struct held_work *w, const struct held_table *t)
{
	for (size_t i = 0; i < t->n && !held_is_over(w); i++) {
		int fd = t->v[i].kind == HELD_MASTER ? held_take(w, t, t->v[i].number) : -1;

		if (fd < 0)
			continue;
		held_check_pair(w, t, fd);
		close(fd);
	}
}
