/* SPDX-License-Identifier: MIT
 *
 * What the shim knows of the C library's thread descriptor, to which a pthread_t points: glibc 2.31
 * to 2.41 on x86-64. Nothing here is believed before it was compared with what must be there.
 */
#ifndef STRAND_PRELOAD_LIBC_THREADS_H
#define STRAND_PRELOAD_LIBC_THREADS_H

/* The thread's id: compared with the kernel's at the beginning. */
#define LIBC_THREAD_TID 720

/* The argument of the start routine lies in here: a pointer to a record of a thread that has not
 * begun can be nothing else. All of it is in the descriptor. */
#define LIBC_THREAD_ARGUMENT_FIRST 1024
#define LIBC_THREAD_ARGUMENT_LAST  2296

#endif
