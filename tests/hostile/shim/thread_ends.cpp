/* SPDX-License-Identifier: MIT
 *
 * What runs while a thread ends: C++ thread_local destructors, thread-specific destructors that
 * lock, wait and arm themselves again, start and join other threads; after return, pthread_exit,
 * cancellation, of joined and of detached threads.
 */
#include "prog.h"
#include <atomic>
#include <semaphore.h>
#include <string>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_key_t armed, late;
static std::atomic<int> rounds, locals, helpers, lates;
static sem_t ended;

static void *help(void *arg)
{
	pthread_mutex_lock(&lock);
	helpers++;
	pthread_mutex_unlock(&lock);
	return arg;
}

class local
{
      public:
	~local()
	{
		pthread_mutex_lock(&lock);
		locals++;
		pthread_mutex_unlock(&lock);
		pthread_join(prog_thread(help, nullptr), nullptr);
	}
	std::string text = "something that is on the heap, for it is long";
};

static thread_local local here;

static void arm_again(void *value)
{
	size_t left = (size_t)value;

	pthread_mutex_lock(&lock);
	rounds++;
	pthread_mutex_unlock(&lock);
	if (left > 1)
		pthread_setspecific(armed, (void *)(left - 1));
	else
		pthread_join(prog_thread(help, nullptr), nullptr);
}

static void be_late(void *value)
{
	(void)value;
	pthread_mutex_lock(&lock);
	lates++;
	pthread_mutex_unlock(&lock);
	sem_post(&ended);
}

static void *work(void *arg)
{
	pthread_setspecific(armed, (void *)4);
	pthread_setspecific(late, &late);
	here.text += " and is longer now";
	switch ((size_t)arg) {
	case 1:
		pthread_exit(nullptr);
	case 2:
		prog_sleep_long(); /* until cancelled */
	}
	return nullptr;
}

int main()
{
	sem_init(&ended, 0, 0);
	pthread_key_create(&armed, arm_again);
	pthread_key_create(&late, be_late);
	for (size_t i = 0; i < 30; i++) {
		pthread_t thread = prog_thread(work, (void *)(i % 3));

		if (i % 3 == 2) {
			prog_nap_ms(
				5); /* cancelled before that it would not have come to its data */
			PROG_CHECK(pthread_cancel(thread) == 0);
		}
		if (i % 2)
			pthread_join(thread, nullptr);
		else
			pthread_detach(thread);
		while (sem_wait(&ended) != 0)
			;
	}
	while (helpers < 60)
		prog_nap_ms(1);
	printf("%d rounds, %d locals, %d helpers, %d late\n", rounds.load(), locals.load(),
	       helpers.load(), lates.load());
	return 0;
}
