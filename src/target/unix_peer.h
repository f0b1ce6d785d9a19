/* SPDX-License-Identifier: MIT
 *
 * The other end of a unix socket, which /proc/net/unix does not tell: asked of the kernel by
 * netlink (sock_diag). Works for sockets of strand's own network namespace only.
 */
#ifndef STRAND_TARGET_UNIX_PEER_H
#define STRAND_TARGET_UNIX_PEER_H

#include <stdint.h>

/* A descriptor to ask with, the caller's to close; -1 if the process seen under `base`
 * ("/proc/PID") lives in another network namespace or the kernel does not answer. */
int unix_peer_open(const char *base);

/* The inode of the socket that `inode` is connected to; 0 if it is not, or not known. Does not
 * wait. */
uint64_t unix_peer_find(int fd, uint64_t inode);

#endif
