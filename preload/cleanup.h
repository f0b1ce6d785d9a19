/* SPDX-License-Identifier: MIT
 *
 * pthread_cleanup_push() without exceptions: a jump buffer in a list of the thread's, which the C
 * library jumps to even where it cannot unwind the frames in between. The functions behind the macro
 * are asked for in their oldest version; before glibc 2.34 they are in a library of its own, that a
 * program without threads does not have.
 */
#ifndef STRAND_PRELOAD_CLEANUP_H
#define STRAND_PRELOAD_CLEANUP_H

#ifdef __EXCEPTIONS
#error "pthread_cleanup_push() would be of another kind"
#endif
#include <pthread.h>
#include <stdbool.h>

#pragma weak __pthread_register_cancel
#pragma weak __pthread_unregister_cancel
#pragma weak __pthread_unwind_next
__asm__(".symver __pthread_register_cancel, __pthread_register_cancel@GLIBC_2.3.3");
__asm__(".symver __pthread_unregister_cancel, __pthread_unregister_cancel@GLIBC_2.3.3");
__asm__(".symver __pthread_unwind_next, __pthread_unwind_next@GLIBC_2.3.3");

static inline bool cleanup_works(void)
{
	return &__pthread_register_cancel != NULL;
}

#endif
