/* SPDX-License-Identifier: MIT
 *
 * A C++ library under a C program: exceptions are thrown, caught and thrown again through frames of
 * the library, of the C program, and of threads.
 */
#include "prog.h"
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

static std::mutex lock;
static int unwound;

struct counts {
	~counts()
	{
		unwound++;
	}
};

static void throw_deep(int depth)
{
	counts here;
	std::lock_guard<std::mutex> guard(lock);

	if (depth == 0)
		throw std::runtime_error("from the depth");
	lock.unlock();
	try {
		throw_deep(depth - 1);
	} catch (...) {
		lock.lock();
		throw;
	}
}

extern "C" int lib_throw(void (*through)(void (*)()))
{
	std::string caught;

	unwound = 0;
	try {
		through([] { throw_deep(5); });
	} catch (const std::exception &error) {
		caught = error.what();
	}
	std::thread thread([] {
		try {
			throw_deep(3);
		} catch (...) {
			unwound += 100;
		}
	});
	thread.join();
	return caught == "from the depth" ? unwound : -1;
}
