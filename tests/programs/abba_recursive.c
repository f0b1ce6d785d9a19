/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: left right
 * variants: -O0 -O2
 *
 * What it is: two threads take two recursive mutexes in opposite order.
 */
#define MUTEX_KIND PTHREAD_MUTEX_RECURSIVE
#include "abba_kind.h"
