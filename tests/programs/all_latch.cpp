/* SPDX-License-Identifier: MIT
 *
 * expect: stuck futex-wait all-asleep 1
 * check: deadlock
 * variants: -O0 -O2
 *
 * What it is: a process of one thread that waits at a std::latch nobody else counts down.
 */
#include "prog.h"
#include <latch>

static std::latch workers_done(1);

int main()
{
	prog_ready();
	workers_done.wait();
}
