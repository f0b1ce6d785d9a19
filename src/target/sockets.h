/* SPDX-License-Identifier: MIT
 *
 * What a socket of another process is connected to, by its inode: from the tables under
 * /proc/PID/net, which are those of the process's own network namespace.
 *
 * Each table is read once, when the first socket that may stand in it is asked for. Reading is
 * bounded in time and in rows: on a machine with millions of sockets some stay without addresses.
 */
#ifndef STRAND_TARGET_SOCKETS_H
#define STRAND_TARGET_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockets;

struct socket_name {
	char family[16];   /* "tcp", "unix"; "" if not known */
	char local[112];   /* "127.0.0.1:80", "[::1]:80", "/run/x"; "" if there is none */
	char remote[112];  /* the same of the other end */
	const char *state; /* "established", "listening"; NULL: nothing to say */
};

/* `base` is "/proc/PID" or "/proc/PID/task/TID"; it is copied. */
int sockets_create(const char *base, struct sockets **out);
void sockets_free(struct sockets *s);

/* Find the socket `inode`. `protocol` is the kernel's name for it ("TCPv6"), "" if not known:
 * then all tables are searched. The name may stay empty but for its family. */
void sockets_find(struct sockets *s, const char *protocol, uint64_t inode, struct socket_name *out);

/* Name an address as programs pass it to connect(2): "10.0.0.1:5432", "/run/x", "@abstract".
 * False if it is of a kind not known here or cut short. */
bool sockets_format_address(const void *sockaddr, size_t bytes, char *buf, size_t size);

#endif
