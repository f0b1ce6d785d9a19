/* SPDX-License-Identifier: MIT
 *
 * expect: alive cond-wait - 2
 * check: ends
 * creator: alive start_detached main
 * options: --grace=0
 * variants: -O0 -O2
 *
 * What it is: std::thread, detached, waiting for a std::condition_variable when main returns; two
 * more were joined, by hand and by the end of a std::jthread.
 */
#include "settle.h"
#include <condition_variable>
#include <mutex>
#include <thread>

static std::mutex lock;
static std::condition_variable changed;
static bool stop;

static __attribute__((noipa)) void start_detached()
{
	std::thread thread([] {
		std::unique_lock<std::mutex> guard(lock);
		changed.wait(guard, [] { return stop; });
	});

	thread.detach();
}

int main()
{
	prog_ready();
	start_detached();
	start_detached();
	std::thread joined([] {});
	joined.join();
	{
		std::jthread joins_itself([] {});
	}
	settle(2);
	quick_exit(0); /* static objects stay as they are under the threads */
}
