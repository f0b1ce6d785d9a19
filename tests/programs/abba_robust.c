/* SPDX-License-Identifier: MIT
 *
 * expect: stuck mutex-lock cycle 2
 * expect: stuck join owner-stuck 1
 * check: deadlock
 * object: left right
 * variants: -O0 -O2 pidns
 *
 * What it is: two threads take two robust mutexes in opposite order. Robustness wakes a waiter
 * when the owner ends; these owners live.
 */
#define MUTEX_ROBUST PTHREAD_MUTEX_ROBUST
#include "abba_kind.h"
