/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * check: ends
 * options: --grace=0
 * variants: -O0 -O2
 *
 * What it is: workers that a static destructor tells to end, and joins: alive when main returns,
 * gone when the process ends.
 */
#include "prog.h"
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

class workers
{
      public:
	explicit workers(int n)
	{
		for (int i = 0; i < n; i++)
			threads.emplace_back([this] { work(); });
	}

	~workers()
	{
		{
			std::lock_guard<std::mutex> guard(lock);
			stop = true;
		}
		changed.notify_all();
		for (auto &thread : threads)
			thread.join();
		prog_say("all joined\n");
	}

      private:
	void work()
	{
		std::unique_lock<std::mutex> guard(lock);
		changed.wait(guard, [this] { return stop; });
	}

	std::mutex lock;
	std::condition_variable changed;
	bool stop = false;
	std::vector<std::thread> threads;
};

static workers pool(3);

int main()
{
	prog_ready();
	return 0;
}
