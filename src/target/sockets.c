/* SPDX-License-Identifier: MIT
 *
 * The socket tables of /proc/PID/net as rows found by inode.
 *
 * A row keeps addresses in binary, all as IPv6 (an IPv4 address as its mapped form, which is also
 * how a tcp6 socket shows an IPv4 peer), so that a row stays small. The tables are streamed: the
 * kernel writes them a page at a time, and a busy machine's tcp table may have a million lines.
 */
#include "target/sockets.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "err.h"
#include "target/unix_peer.h"

#define SOCKETS_MAX_ROWS       ((size_t)1 << 18) /* of all tables together */
#define SOCKETS_MAX_NS	       400000000	 /* for reading all tables together */
#define SOCKETS_BUFFER_BYTES   ((size_t)64 << 10)
#define SOCKETS_MAX_FIELDS     12
#define SOCKETS_TCP_LAST_STATE 12

enum socket_layout { LAYOUT_INET, LAYOUT_UNIX, LAYOUT_NETLINK, LAYOUT_PACKET };

struct socket_table {
	const char *file;     /* under net/ */
	const char *family;   /* in reports */
	const char *protocol; /* as the kernel names it (system.sockprotoname), up to a dash */
	enum socket_layout layout;
	size_t inode_field; /* counted from 0 */
};

/* In the order in which they are searched for a socket of unknown protocol. */
static const struct socket_table socket_tables[] = {
	{ "unix", "unix", "UNIX", LAYOUT_UNIX, 6 },
	{ "udp", "udp", "UDP", LAYOUT_INET, 9 },
	{ "udp6", "udp", "UDPv6", LAYOUT_INET, 9 },
	{ "netlink", "netlink", "NETLINK", LAYOUT_NETLINK, 9 },
	{ "packet", "packet", "PACKET", LAYOUT_PACKET, 8 },
	{ "raw", "raw", "RAW", LAYOUT_INET, 9 },
	{ "raw6", "raw", "RAWv6", LAYOUT_INET, 9 },
	{ "icmp", "icmp", "PING", LAYOUT_INET, 9 },
	{ "icmp6", "icmp", "PINGv6", LAYOUT_INET, 9 },
	{ "tcp", "tcp", "TCP", LAYOUT_INET, 9 },
	{ "tcp6", "tcp", "TCPv6", LAYOUT_INET, 9 },
};
#define SOCKET_TABLES (sizeof(socket_tables) / sizeof(*socket_tables))

struct socket_end {
	uint8_t address[16]; /* network order */
	uint16_t port;
};

/* Of an IPv4 address as IPv6. */
static const uint8_t socket_mapped_prefix[12] = { [10] = 0xff, 0xff };

struct socket_inet {
	struct socket_end local, remote;
	uint8_t state;
};

struct socket_row {
	uint64_t inode;
	union {
		struct socket_inet inet;
		char *path;	   /* unix: malloc'd, NULL for none */
		unsigned protocol; /* netlink */
	};
};

struct socket_rows {
	struct socket_row *v; /* ascending by inode once read */
	size_t n, size;
	bool is_read;
};

struct sockets {
	char base[64];
	struct socket_rows rows[SOCKET_TABLES];
	size_t row_count;
	int64_t spent_ns;
	int peer_fd; /* to ask for the other end of unix sockets; -1 if that cannot be had */
	bool peer_fd_is_tried;
};

int sockets_create(const char *base, struct sockets **out)
{
	struct sockets *s = calloc(1, sizeof(*s));

	*out = s;
	if (!s)
		return ERR_NOMEM;
	snprintf(s->base, sizeof(s->base), "%s", base);
	s->peer_fd = -1;
	return 0;
}

void sockets_free(struct sockets *s)
{
	size_t table, i;

	if (!s)
		return;
	for (table = 0; table < SOCKET_TABLES; table++) {
		struct socket_rows *rows = &s->rows[table];

		if (socket_tables[table].layout == LAYOUT_UNIX)
			for (i = 0; i < rows->n; i++)
				free(rows->v[i].path);
		free(rows->v);
	}
	if (s->peer_fd >= 0)
		close(s->peer_fd);
	free(s);
}

/* Cut a line at its blanks; the last field holds all that is left. */
static size_t sockets_split(char *line, char **field, size_t max)
{
	size_t n = 0;

	for (;;) {
		while (*line == ' ')
			line++;
		if (!*line)
			return n;
		field[n++] = line;
		if (n == max)
			return n;
		line = strchrnul(line, ' ');
		if (*line)
			*line++ = '\0';
	}
}

/* Eight hex digits: four bytes of the address, printed as a number of the machine's own order. */
static bool sockets_parse_word(const char *s, uint8_t *out)
{
	uint32_t value = 0;
	int i;

	for (i = 0; i < 8; i++) {
		int c = tolower((unsigned char)s[i]);

		if (!isxdigit(c))
			return false;
		value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
	}
	memcpy(out, &value, sizeof(value));
	return true;
}

/* "0100007F:1F90" or the same with 32 digits of address. */
static bool sockets_parse_end(const char *s, struct socket_end *out)
{
	size_t digits = strcspn(s, ":");
	unsigned long port;
	char *end;
	size_t i;

	if ((digits != 8 && digits != 32) || !s[digits])
		return false;
	memcpy(out->address, socket_mapped_prefix, sizeof(socket_mapped_prefix));
	for (i = 0; i < digits; i += 8)
		if (!sockets_parse_word(s + i, out->address + (digits == 8 ? 12 : i / 2)))
			return false;
	port = strtoul(s + digits + 1, &end, 16);
	out->port = (uint16_t)port;
	return !*end && port <= UINT16_MAX;
}

static bool sockets_parse_inet(char **field, struct socket_row *row)
{
	row->inet.state = (uint8_t)strtoul(field[3], NULL, 16);
	return sockets_parse_end(field[1], &row->inet.local) &&
	       sockets_parse_end(field[2], &row->inet.remote);
}

/* One line as a row; false for heads, damaged lines and sockets that nobody holds any more. */
static bool sockets_parse_line(const struct socket_table *t, char *line, struct socket_row *row)
{
	char *field[SOCKETS_MAX_FIELDS];
	/* The path of a unix socket, which may hold blanks, is whole as the last field. */
	size_t max = t->layout == LAYOUT_UNIX ? t->inode_field + 2 : SOCKETS_MAX_FIELDS;
	size_t n = sockets_split(line, field, max);
	char *end;

	if (n <= t->inode_field)
		return false;
	row->inode = strtoull(field[t->inode_field], &end, 10);
	if (*end || !row->inode)
		return false;
	switch (t->layout) {
	case LAYOUT_INET:
		return sockets_parse_inet(field, row);
	case LAYOUT_UNIX:
		row->path = n > t->inode_field + 1 ? strdup(field[n - 1]) : NULL;
		return true;
	case LAYOUT_NETLINK:
		row->protocol = (unsigned)strtoul(field[1], NULL, 10);
		return true;
	case LAYOUT_PACKET:
		return true;
	}
	return false;
}

/* False if there is no room for more rows. */
static bool sockets_add_line(struct sockets *s, size_t table, char *line)
{
	struct socket_rows *rows = &s->rows[table];
	struct socket_row *bigger;

	if (rows->n == rows->size) {
		size_t size = rows->size ? rows->size * 2 : 64;

		bigger = reallocarray(rows->v, size, sizeof(*bigger));
		if (!bigger)
			return false;
		rows->v = bigger;
		rows->size = size;
	}
	if (sockets_parse_line(&socket_tables[table], line, &rows->v[rows->n])) {
		rows->n++;
		s->row_count++;
	}
	return s->row_count < SOCKETS_MAX_ROWS;
}

static int64_t sockets_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* All whole lines of `buf`; returns the bytes they take, SIZE_MAX to stop. */
static size_t sockets_take_lines(struct sockets *s, size_t table, char *buf, size_t bytes)
{
	size_t done = 0;
	char *end;

	while ((end = memchr(buf + done, '\n', bytes - done))) {
		*end = '\0';
		if (!sockets_add_line(s, table, buf + done))
			return SIZE_MAX;
		done = (size_t)(end - buf) + 1;
	}
	return done;
}

static void sockets_stream(struct sockets *s, size_t table, int fd, char *buf)
{
	int64_t begin = sockets_now_ns();
	int64_t now = begin;
	size_t kept = 0;

	while (s->spent_ns + (now - begin) < SOCKETS_MAX_NS) {
		ssize_t got = read(fd, buf + kept, SOCKETS_BUFFER_BYTES - kept);
		size_t done;

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		kept += (size_t)got;
		done = sockets_take_lines(s, table, buf, kept);
		if (done == SIZE_MAX || (!done && kept == SOCKETS_BUFFER_BYTES))
			break; /* full, or a line that no table has */
		kept -= done;
		memmove(buf, buf + done, kept);
		now = sockets_now_ns();
	}
	s->spent_ns += now - begin;
}

static int sockets_compare_rows(const void *a, const void *b)
{
	const struct socket_row *x = a;
	const struct socket_row *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static void sockets_read_table(struct sockets *s, size_t table)
{
	struct socket_rows *rows = &s->rows[table];
	char path[96];
	char *buf;
	int fd;

	rows->is_read = true;
	snprintf(path, sizeof(path), "%s/net/%s", s->base, socket_tables[table].file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	buf = malloc(SOCKETS_BUFFER_BYTES);
	if (fd >= 0 && buf)
		sockets_stream(s, table, fd, buf);
	if (fd >= 0)
		close(fd);
	free(buf);
	if (rows->n)
		qsort(rows->v, rows->n, sizeof(*rows->v), sockets_compare_rows);
}

static const struct socket_row *sockets_find_row(struct sockets *s, size_t table, uint64_t inode)
{
	struct socket_row key = { .inode = inode };
	struct socket_rows *rows = &s->rows[table];

	if (!rows->is_read)
		sockets_read_table(s, table);
	if (!rows->n)
		return NULL;
	return bsearch(&key, rows->v, rows->n, sizeof(*rows->v), sockets_compare_rows);
}

static void sockets_format_end(const struct socket_end *e, char *buf, size_t size)
{
	char text[INET6_ADDRSTRLEN];

	if (!memcmp(e->address, socket_mapped_prefix, sizeof(socket_mapped_prefix))) {
		inet_ntop(AF_INET, e->address + 12, text, sizeof(text));
		snprintf(buf, size, "%s:%u", text, e->port);
	} else {
		inet_ntop(AF_INET6, e->address, text, sizeof(text));
		snprintf(buf, size, "[%s]:%u", text, e->port);
	}
}

/* Is it more than "any address, no port"? */
static bool sockets_end_is_set(const struct socket_end *e)
{
	static const uint8_t none[16];
	static const uint8_t none_mapped[16] = { [10] = 0xff, 0xff };

	return e->port || (memcmp(e->address, none, sizeof(none)) != 0 &&
			   memcmp(e->address, none_mapped, sizeof(none_mapped)) != 0);
}

static void sockets_name_inet(const struct socket_table *t, const struct socket_inet *i,
			      struct socket_name *out)
{
	static const char *const states[SOCKETS_TCP_LAST_STATE + 1] = {
		[1] = "established", "connecting", "syn-received", "fin-wait-1",
		"fin-wait-2",	     "time-wait",  "closed",	   "close-wait",
		"last-ack",	     "listening",  "closing",	   "syn-received",
	};

	if (sockets_end_is_set(&i->local))
		sockets_format_end(&i->local, out->local, sizeof(out->local));
	if (sockets_end_is_set(&i->remote))
		sockets_format_end(&i->remote, out->remote, sizeof(out->remote));
	if (!strcmp(t->family, "tcp") && i->state <= SOCKETS_TCP_LAST_STATE)
		out->state = states[i->state];
}

static void sockets_name_netlink(unsigned protocol, struct socket_name *out)
{
	/* linux/netlink.h */
	static const char *const names[] = {
		[0] = "route",	 [4] = "sock_diag", [5] = "nflog",
		[6] = "xfrm",	 [9] = "audit",	    [11] = "connector",
		[12] = "filter", [15] = "uevent",   [16] = "generic",
	};

	if (protocol < sizeof(names) / sizeof(*names) && names[protocol])
		snprintf(out->local, sizeof(out->local), "%s", names[protocol]);
	else
		snprintf(out->local, sizeof(out->local), "protocol %u", protocol);
}

/* A client's socket has no path of its own, but the one that it is connected to has. Where both
 * have none, as in a pair, the numbers tell at least which two belong together. */
static void sockets_name_unix(struct sockets *s, size_t table, const struct socket_row *row,
			      struct socket_name *out)
{
	const struct socket_row *peer_row;
	uint64_t peer;

	if (row->path) {
		snprintf(out->local, sizeof(out->local), "%s", row->path);
		return;
	}
	if (!s->peer_fd_is_tried)
		s->peer_fd = unix_peer_open(s->base);
	s->peer_fd_is_tried = true;
	peer = s->peer_fd >= 0 ? unix_peer_find(s->peer_fd, row->inode) : 0;
	peer_row = peer ? sockets_find_row(s, table, peer) : NULL;
	if (peer_row && peer_row->path) {
		snprintf(out->remote, sizeof(out->remote), "%s", peer_row->path);
	} else if (peer) {
		snprintf(out->local, sizeof(out->local), "socket:[%" PRIu64 "]", row->inode);
		snprintf(out->remote, sizeof(out->remote), "socket:[%" PRIu64 "]", peer);
	}
}

static void sockets_name_row(struct sockets *s, size_t table, const struct socket_row *row,
			     struct socket_name *out)
{
	const struct socket_table *t = &socket_tables[table];

	snprintf(out->family, sizeof(out->family), "%s", t->family);
	switch (t->layout) {
	case LAYOUT_INET:
		sockets_name_inet(t, &row->inet, out);
		break;
	case LAYOUT_UNIX:
		sockets_name_unix(s, table, row, out);
		break;
	case LAYOUT_NETLINK:
		sockets_name_netlink(row->protocol, out);
		break;
	case LAYOUT_PACKET:
		break;
	}
}

/* "UNIX-STREAM" is of the table "UNIX", "UDP-Lite" of none. */
static bool sockets_protocol_matches(const char *protocol, const char *of_table)
{
	size_t n = strlen(of_table);

	return !strncmp(protocol, of_table, n) &&
	       (!protocol[n] || (protocol[n] == '-' && !strcmp(of_table, "UNIX")));
}

void sockets_find(struct sockets *s, const char *protocol, uint64_t inode, struct socket_name *out)
{
	size_t table;
	size_t i;

	memset(out, 0, sizeof(*out));
	for (table = 0; table < SOCKET_TABLES; table++) {
		const struct socket_table *t = &socket_tables[table];
		const struct socket_row *row;

		if (*protocol && !sockets_protocol_matches(protocol, t->protocol))
			continue;
		if (*protocol)
			snprintf(out->family, sizeof(out->family), "%s", t->family);
		row = sockets_find_row(s, table, inode);
		if (row)
			sockets_name_row(s, table, row, out);
		if (row || *protocol)
			return;
	}
	for (i = 0; protocol[i] && i < sizeof(out->family) - 1; i++)
		out->family[i] = (char)tolower((unsigned char)protocol[i]);
}

static void sockets_format_unix(const struct sockaddr_un *un, size_t path_bytes, char *buf,
				size_t size)
{
	bool abstract = !un->sun_path[0];
	size_t skip = abstract;

	snprintf(buf, size, "%s%.*s", abstract ? "@" : "", (int)(path_bytes - skip),
		 un->sun_path + skip);
}

bool sockets_format_address(const void *sockaddr, size_t bytes, char *buf, size_t size)
{
	const size_t path_at = offsetof(struct sockaddr_un, sun_path);
	struct socket_end end = { .address = { [10] = 0xff, 0xff } };
	struct sockaddr_storage a = { 0 };
	const struct sockaddr_in *in = (const void *)&a;
	const struct sockaddr_in6 *in6 = (const void *)&a;

	if (bytes > sizeof(a))
		bytes = sizeof(a);
	memcpy(&a, sockaddr, bytes);
	if (a.ss_family == AF_INET && bytes >= sizeof(*in)) {
		memcpy(end.address + 12, &in->sin_addr, 4);
		end.port = ntohs(in->sin_port);
	} else if (a.ss_family == AF_INET6 &&
		   bytes >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
		memcpy(end.address, &in6->sin6_addr, 16);
		end.port = ntohs(in6->sin6_port);
	} else if (a.ss_family == AF_UNIX && bytes > path_at) {
		if (bytes > sizeof(struct sockaddr_un))
			bytes = sizeof(struct sockaddr_un);
		sockets_format_unix((const void *)&a, bytes - path_at, buf, size);
		return true;
	} else {
		return false;
	}
	sockets_format_end(&end, buf, size);
	return true;
}
