/* SPDX-License-Identifier: MIT
 *
 * Unread bytes of pipes and sockets. Nothing is consumed, nothing is waited for, and nothing of
 * what the process shares with its duplicates is changed:
 *
 *   - bytes of a pipe are duplicated by tee(2) into a pipe of strand's own;
 *   - sockets are peeked at, without room for control data, so that no descriptor comes along, and
 *     not if that would move the offset of SO_PEEK_OFF or take a pending error away.
 *
 * Of messages only the first can be seen. Bytes on their way that are in no queue of a descriptor
 * (not sent yet, or of a connection not accepted yet) are not seen either; both make it unread
 * unless the other end is certainly outside.
 */
#include "readers/held_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HELD_MESSAGE_BYTES     65536
#define HELD_MAX_OUTSIDE_BYTES ((size_t)1 << 20) /* of one connection to another machine */
#define HELD_MAX_PORTS	       32

int held_take(struct held_work *w, const struct held_table *t, int number)
{
	int fd = -1;

	errno = ENOSYS;
	if (t->pidfd >= 0)
		fd = (int)syscall(SYS_pidfd_getfd, t->pidfd, number, 0);
	if (fd < 0 && (errno != EBADF || t->pidfd < 0)) /* EBADF: open as a mere path (O_PATH) */
		held_set_unread(w, "what descriptor %d holds", number);
	return fd;
}

/* -- pipes ------------------------------------------------------------------------------------ */

/* As many slots as the original: each write may have one of its own. */
static int held_make_pipe(int original, int own[2])
{
	int size = fcntl(original, F_GETPIPE_SZ);

	if (pipe2(own, O_NONBLOCK | O_CLOEXEC))
		return -1;
	if (size > 0)
		fcntl(own[1], F_SETPIPE_SZ, size);
	return 0;
}

static int held_copy_pipe(struct held_work *w, int fd, int number, size_t bytes)
{
	uint8_t *to = held_make_room(w, bytes);
	size_t got = 0;
	ssize_t n = -1;
	int own[2];

	if (!to || held_make_pipe(fd, own)) {
		held_set_unread(w, "unread bytes of pipe %d", number);
		return 0;
	}
	if (tee(fd, own[1], bytes, SPLICE_F_NONBLOCK) > 0)
		while (got < bytes && (n = read(own[0], to + got, bytes - got)) > 0)
			got += (size_t)n;
	close(own[0]);
	close(own[1]);
	if (got < bytes)
		held_set_unread(w, "unread bytes of pipe %d", number);
	return held_add_filled(w, got, "unread bytes of pipe %d", number);
}

/* Is it an end that can be read from? Then *rc is that of reading it. */
static bool held_read_pipe_end(struct held_work *w, const struct held_table *t, int number, int *rc)
{
	int fd = held_take(w, t, number);
	int flags, bytes = 0;
	bool readable = false;

	if (fd < 0)
		return false;
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0 && (flags & O_ACCMODE) != O_WRONLY) {
		readable = true;
		if (ioctl(fd, FIONREAD, &bytes))
			held_set_unread(w, "unread bytes of pipe %d", number);
		else if (bytes > 0)
			*rc = held_copy_pipe(w, fd, number, (size_t)bytes);
	}
	close(fd);
	return readable;
}

/* Each pipe once, by the first of its ends that can be read from: what nobody here can read does
 * not come back. */
int held_read_pipes(struct held_work *w, const struct held_table *t)
{
	const struct held_descriptor *read_one = NULL;
	int rc = 0;

	for (size_t i = 0; i < t->n && !rc && !held_is_over(w); i++) {
		const struct held_descriptor *d = &t->v[i];

		if (d->kind != HELD_PIPE ||
		    (read_one && read_one->inode == d->inode && read_one->device == d->device))
			continue;
		if (held_read_pipe_end(w, t, d->number, &rc))
			read_one = d;
	}
	return rc;
}

/* -- sockets ---------------------------------------------------------------------------------- */

union held_address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_storage storage;
};

struct held_socket {
	int fd, number;
	int family, type, protocol;
	short events; /* of poll(2) */
	int bytes;    /* unread, as the kernel counts them for this kind; -1: it does not */
	int unsent;   /* bytes that have not arrived at the other end */
	bool outside; /* connected to another machine */
};

struct held_ports {
	in_port_t v[HELD_MAX_PORTS];
	size_t n;
};

struct held_sockets {
	struct held_work *w;
	const struct held_table *t;
	struct held_ports awaited; /* own: connections to them wait to be accepted */
	struct held_ports owed;	   /* others', maybe own: not all that was sent has arrived there */
};

static int held_option(int fd, int option, int missing)
{
	socklen_t bytes = sizeof(int);
	int value;

	return getsockopt(fd, SOL_SOCKET, option, &value, &bytes) ? missing : value;
}

/* An address as IPv6 (of IPv4 in its mapped form) and the port; false for other kinds. */
static bool held_read_address(int fd, bool peer, struct in6_addr *out, in_port_t *port)
{
	union held_address a = { 0 };
	socklen_t bytes = sizeof(a);

	if (peer ? getpeername(fd, &a.any, &bytes) : getsockname(fd, &a.any, &bytes))
		return false;
	if (a.any.sa_family == AF_INET6) {
		*out = a.in6.sin6_addr;
		*port = ntohs(a.in6.sin6_port);
		return true;
	}
	if (a.any.sa_family != AF_INET)
		return false;
	memset(out, 0, sizeof(*out));
	out->s6_addr[10] = out->s6_addr[11] = 0xff;
	memcpy(&out->s6_addr[12], &a.in.sin_addr, sizeof(a.in.sin_addr));
	*port = ntohs(a.in.sin_port);
	return true;
}

static bool held_is_loopback(const struct in6_addr *a)
{
	return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
}

/* Neither loopback nor to the own address. */
static bool held_is_outside(int fd)
{
	struct in6_addr own, other;
	in_port_t port;

	return held_read_address(fd, false, &own, &port) &&
	       held_read_address(fd, true, &other, &port) && !held_is_loopback(&other) &&
	       !IN6_IS_ADDR_UNSPECIFIED(&other) && memcmp(&own, &other, sizeof(own)) != 0;
}

/* Most sockets are idle, and that is told soon. (With SO_RCVLOWAT one may hold bytes and yet not be
 * readable.) */
static bool held_is_idle(struct held_socket *s)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN | POLLRDHUP };

	poll(&p, 1, 0);
	s->events = p.revents;
	if (ioctl(s->fd, FIONREAD, &s->bytes))
		s->bytes = -1;
	if (ioctl(s->fd, SIOCOUTQ, &s->unsent))
		s->unsent = 0;
	return !(s->events & POLLIN) && s->bytes <= 0 && !s->unsent;
}

static void held_examine(struct held_socket *s)
{
	s->family = held_option(s->fd, SO_DOMAIN, AF_UNSPEC);
	s->type = held_option(s->fd, SO_TYPE, 0);
	s->protocol = held_option(s->fd, SO_PROTOCOL, 0);
	s->outside = (s->family == AF_INET || s->family == AF_INET6) && held_is_outside(s->fd);
}

/* Look at up to `n` bytes. Returns what is there (a message may be longer), negative if nothing. */
static ssize_t held_peek(struct held_work *w, const struct held_socket *s, uint8_t *to, size_t n)
{
	struct iovec iov = { to, n };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	int flags = MSG_PEEK | MSG_DONTWAIT | (s->type == SOCK_STREAM ? 0 : MSG_TRUNC);
	ssize_t got = recvmsg(s->fd, &message, flags);

	if (got >= 0 && s->family == AF_UNIX && message.msg_flags & MSG_CTRUNC)
		held_set_unread(w, "descriptors on their way through socket %d", s->number);
	return got;
}

/* Would peeking change what others see? */
static bool held_may_peek(const struct held_socket *s)
{
	return !(s->events & POLLERR) && held_option(s->fd, SO_PEEK_OFF, -1) < 0;
}

static int held_read_stream(struct held_work *w, const struct held_socket *s)
{
	size_t bytes = (size_t)s->bytes;
	ssize_t got = -1;
	uint8_t *to;

	if (s->outside && bytes > HELD_MAX_OUTSIDE_BYTES)
		return 0;
	to = held_make_room(w, bytes);
	if (to && held_may_peek(s))
		got = held_peek(w, s, to, bytes);
	if (got < (ssize_t)bytes)
		held_set_unread(w, "unread bytes of socket %d", s->number);
	return held_add_filled(w, got > 0 ? (size_t)got : 0, "unread bytes of socket %d",
			       s->number);
}

/* Sockets whose messages come from the kernel or the network card. */
static bool held_is_kernels(const struct held_socket *s)
{
	return s->family == AF_PACKET ||
	       (s->family == AF_NETLINK && s->protocol != NETLINK_USERSOCK);
}

static int held_read_message(struct held_work *w, const struct held_socket *s)
{
	uint8_t *to = held_make_room(w, HELD_MESSAGE_BYTES);
	ssize_t got = -1;
	size_t kept;

	if (to && held_may_peek(s))
		got = held_peek(w, s, to, HELD_MESSAGE_BYTES);
	kept = got < 0 ? 0 : got < HELD_MESSAGE_BYTES ? (size_t)got : HELD_MESSAGE_BYTES;
	/* Where all messages are counted it can be told that there is but one. */
	if (got < 0 || (size_t)got > kept || s->type != SOCK_SEQPACKET || s->bytes != got)
		held_set_unread(w, "messages that wait at socket %d", s->number);
	return held_add_filled(w, kept, "message at socket %d", s->number);
}

static bool held_add_port(struct held_ports *ports, int fd, bool peer)
{
	struct in6_addr address;

	return ports->n < HELD_MAX_PORTS &&
	       held_read_address(fd, peer, &address, &ports->v[ports->n]) && ++ports->n;
}

static bool held_has_port(const struct held_ports *ports, int fd, bool peer)
{
	struct in6_addr address;
	in_port_t port;

	if (!ports->n || !held_read_address(fd, peer, &address, &port))
		return false;
	for (size_t i = 0; i < ports->n; i++)
		if (ports->v[i] == port)
			return true;
	return false;
}

static void held_note_listener(struct held_sockets *all, const struct held_socket *s)
{
	if (s->events & POLLIN && !held_add_port(&all->awaited, s->fd, false))
		held_set_unread(all->w, "bytes of connections that wait at socket %d", s->number);
}

/* What has not arrived at another machine is not ours any more. */
static void held_note_unsent(struct held_sockets *all, const struct held_socket *s)
{
	if ((s->family != AF_INET && s->family != AF_INET6) || s->type != SOCK_STREAM ||
	    s->outside || !s->unsent)
		return;
	if (!held_add_port(&all->owed, s->fd, true))
		held_set_unread(all->w, "bytes that socket %d has not sent yet", s->number);
}

static int held_read_socket(struct held_sockets *all, struct held_socket *s)
{
	const short closed = POLLHUP | POLLRDHUP;

	if (held_is_idle(s))
		return 0;
	held_examine(s);
	if (held_option(s->fd, SO_ACCEPTCONN, 0)) {
		held_note_listener(all, s);
		return 0;
	}
	held_note_unsent(all, s);
	if (s->bytes > 0 && s->type == SOCK_STREAM)
		return held_read_stream(all->w, s);
	if (held_is_kernels(s) || (s->outside && s->type != SOCK_STREAM))
		return 0;
	if (s->bytes > 0)
		return held_read_message(all->w, s);
	/* Readable, and yet nothing is counted: an empty message in front of others, or a kind that
	 * does not count. */
	if (s->events & POLLIN && !(s->events & closed) && (s->bytes < 0 || s->type != SOCK_STREAM))
		held_set_unread(all->w, "what waits at socket %d", s->number);
	return 0;
}

static int held_visit_socket(struct held_sockets *all, int number)
{
	struct held_socket s = { .fd = held_take(all->w, all->t, number), .number = number };
	int rc;

	if (s.fd < 0)
		return 0;
	rc = held_read_socket(all, &s);
	close(s.fd);
	return rc;
}

/* Are both ends of a connection the process's own, with bytes between them that are in the queue of
 * none of its descriptors? */
static int held_visit_again(struct held_sockets *all, int number)
{
	int fd = held_take(all->w, all->t, number);

	if (fd < 0)
		return 0;
	if (held_has_port(&all->awaited, fd, true) || held_has_port(&all->owed, fd, false))
		held_set_unread(all->w, "bytes on their way between own sockets, one of them %d",
				number);
	close(fd);
	return 0;
}

static int held_visit_all(struct held_sockets *all,
			  int (*visit)(struct held_sockets *all, int number))
{
	uint64_t last = UINT64_MAX;
	int rc = 0;

	for (size_t i = 0; i < all->t->n && !rc && !held_is_over(all->w); i++) {
		const struct held_descriptor *d = &all->t->v[i];

		if (d->kind != HELD_SOCKET || d->inode == last)
			continue;
		last = d->inode;
		rc = visit(all, d->number);
	}
	return rc;
}

int held_read_sockets(struct held_work *w, const struct held_table *t)
{
	struct held_sockets all = { .w = w, .t = t };
	int rc = held_visit_all(&all, held_visit_socket);

	if (!rc && (all.awaited.n || all.owed.n))
		rc = held_visit_all(&all, held_visit_again);
	return rc;
}
