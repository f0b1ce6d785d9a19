/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * args: sem | cond | mutex | barrier | rwlock | futex | join | recursive | pi | robust | once
 * args: requeue | wake_op
 * ends: quit
 * settled: no
 * variants: -O2 pidns
 *
 * What it is: four threads that hand something on to each other as fast as they can while main
 * joins the first: at any moment a thread is being woken, has been woken and has not run yet, or
 * is about to wait. Often none of them is on a processor and only the word in memory tells.
 */
#include "prog.h"
#include <linux/futex.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>

enum { PLAYERS = 4, TURNS_BETWEEN_CHECKS = 512 };

static atomic_bool stop;
static atomic_long turns;
static sem_t ball[PLAYERS];
static pthread_mutex_t mutex, plain = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t barrier;
static long shared_count, reads;
static int whose_turn;
static uint32_t word[PLAYERS];

/* Only the first player looks at the clock and the input; the others see the flag. */
static bool over(long player, long turn)
{
	if (player == 0 && turn % TURNS_BETWEEN_CHECKS == 0 && prog_stop())
		atomic_store(&stop, true);
	return atomic_load(&stop);
}

static void play_sem(long player)
{
	for (long turn = 0;; turn++) {
		while (sem_wait(&ball[player]) != 0)
			;
		bool done = over(player, turn);
		sem_post(&ball[(player + 1) % PLAYERS]);
		if (done)
			return;
		atomic_fetch_add(&turns, 1);
	}
}

static void play_cond(long player)
{
	for (long turn = 0;; turn++) {
		pthread_mutex_lock(&plain);
		while (whose_turn != player && !atomic_load(&stop))
			pthread_cond_wait(&changed, &plain);
		bool done = over(player, turn);
		whose_turn = (whose_turn + 1) % PLAYERS;
		pthread_cond_broadcast(&changed);
		pthread_mutex_unlock(&plain);
		if (done)
			return;
		atomic_fetch_add(&turns, 1);
	}
}

static void play_mutex(long player)
{
	for (long turn = 0; !over(player, turn); turn++) {
		pthread_mutex_lock(&mutex);
		shared_count++;
		pthread_mutex_unlock(&mutex);
		atomic_fetch_add(&turns, 1);
	}
}

static void play_barrier(long player)
{
	static bool last;

	for (long turn = 0;; turn++) {
		if (over(player, turn) && player == 0)
			last = true;
		pthread_barrier_wait(&barrier);
		bool done = last;
		pthread_barrier_wait(&barrier);
		if (done)
			return;
		atomic_fetch_add(&turns, 1);
	}
}

static void play_rwlock(long player)
{
	for (long turn = 0; !over(player, turn); turn++) {
		if ((turn + player) % 3 == 0) {
			pthread_rwlock_wrlock(&rwlock);
			shared_count++;
		} else {
			pthread_rwlock_rdlock(&rwlock);
			__atomic_fetch_add(&reads, shared_count & 1, __ATOMIC_RELAXED);
		}
		pthread_rwlock_unlock(&rwlock);
		atomic_fetch_add(&turns, 1);
	}
}

static void futex(uint32_t *at, int op, uint32_t value)
{
	syscall(SYS_futex, at, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

/* The ball is a 1 in the player's word. */
static void take_ball(long player)
{
	uint32_t one = 1;

	while (!__atomic_compare_exchange_n(&word[player], &one, 0, false, __ATOMIC_ACQUIRE,
					    __ATOMIC_RELAXED)) {
		one = 1;
		futex(&word[player], FUTEX_WAIT, 0);
	}
}

static void play_futex(long player)
{
	for (long turn = 0;; turn++) {
		long next = (player + 1) % PLAYERS;

		take_ball(player);
		bool done = over(player, turn);
		__atomic_store_n(&word[next], 1, __ATOMIC_RELEASE);
		futex(&word[next], FUTEX_WAKE, 1);
		if (done)
			return;
		atomic_fetch_add(&turns, 1);
	}
}

/* One call gives the ball and wakes: the word changes inside the kernel. */
static void play_wake_op(long player)
{
	for (long turn = 0;; turn++) {
		long next = (player + 1) % PLAYERS;

		take_ball(player);
		bool done = over(player, turn);
		syscall(SYS_futex, &word[player], FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0, 1L,
			&word[next], FUTEX_OP(FUTEX_OP_SET, 1, FUTEX_OP_CMP_EQ, 0));
		if (done)
			return;
		atomic_fetch_add(&turns, 1);
	}
}

/*
 * The waiters of word 0 are moved over to word 1 without being woken, and woken there: what the
 * registers of such a thread name is not where it waits.
 */
static void play_requeue(long player)
{
	for (long turn = 0;; turn++) {
		if (player != 0) {
			uint32_t seen = __atomic_load_n(&word[0], __ATOMIC_ACQUIRE);

			if (atomic_load(&stop))
				return;
			futex(&word[0], FUTEX_WAIT, seen);
			atomic_fetch_add(&turns, 1);
			continue;
		}
		bool done = over(player, turn);
		syscall(SYS_futex, &word[0], FUTEX_REQUEUE | FUTEX_PRIVATE_FLAG, 0, 9L, &word[1],
			0);
		__atomic_fetch_add(&word[0], 1, __ATOMIC_RELEASE);
		futex(&word[1], FUTEX_WAKE, 9);
		futex(&word[0], FUTEX_WAKE, 9);
		if (done) {
			__atomic_fetch_add(&word[0], 1, __ATOMIC_RELEASE);
			futex(&word[0], FUTEX_WAKE, 9);
			return;
		}
		if (turn % 64 == 0)
			usleep(100);
	}
}

static void *end_soon(void *arg)
{
	atomic_fetch_add(&turns, 1);
	return arg;
}

static void play_join(long player)
{
	for (long turn = 0; !over(player, turn * TURNS_BETWEEN_CHECKS / 16); turn++)
		pthread_join(prog_thread(end_soon, NULL), NULL);
}

static pthread_once_t once[2 * TURNS_BETWEEN_CHECKS];

static void once_routine(void)
{
	atomic_fetch_add(&turns, 1);
}

static void play_once(long player)
{
	const size_t flags = sizeof(once) / sizeof(*once);

	for (long turn = 0; !over(player, turn); turn++) {
		pthread_once(&once[turn % flags], once_routine);
		if (turn % flags != flags - 1)
			continue;
		pthread_barrier_wait(&barrier);
		if (player == 0)
			memset(once, 0, sizeof(once));
		pthread_barrier_wait(&barrier);
	}
	_exit(prog_stop() ? (prog_say("ok\n"), 0) : 1);
}

static const struct game {
	const char *name;
	void (*play)(long player);
	int type, protocol, robust;
} games[] = {
	{ "sem", play_sem, 0, 0, 0 },
	{ "cond", play_cond, 0, 0, 0 },
	{ "mutex", play_mutex, 0, 0, 0 },
	{ "recursive", play_mutex, PTHREAD_MUTEX_RECURSIVE, 0, 0 },
	{ "pi", play_mutex, 0, PTHREAD_PRIO_INHERIT, 0 },
	{ "robust", play_mutex, 0, 0, PTHREAD_MUTEX_ROBUST },
	{ "barrier", play_barrier, 0, 0, 0 },
	{ "rwlock", play_rwlock, 0, 0, 0 },
	{ "futex", play_futex, 0, 0, 0 },
	{ "wake_op", play_wake_op, 0, 0, 0 },
	{ "requeue", play_requeue, 0, 0, 0 },
	{ "join", play_join, 0, 0, 0 },
	{ "once", play_once, 0, 0, 0 },
};

static const struct game *game;

static void *player_thread(void *player)
{
	game->play((long)player);
	return NULL;
}

static void set_up(void)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_settype(&attr, game->type);
	pthread_mutexattr_setprotocol(&attr, game->protocol);
	pthread_mutexattr_setrobust(&attr, game->robust);
	PROG_CHECK(pthread_mutex_init(&mutex, &attr) == 0);
	pthread_barrier_init(&barrier, NULL, PLAYERS);
	for (int i = 0; i < PLAYERS; i++)
		sem_init(&ball[i], 0, i == 0);
	if (game->play == play_futex || game->play == play_wake_op)
		word[0] = 1;
}

int main(int argc, char **argv)
{
	pthread_t thread[PLAYERS];

	PROG_CHECK(argc == 2);
	for (size_t i = 0; i < sizeof(games) / sizeof(*games); i++)
		if (strcmp(games[i].name, argv[1]) == 0)
			game = &games[i];
	PROG_CHECK(game != NULL);
	set_up();
	for (long i = 0; i < PLAYERS; i++)
		thread[i] = prog_thread(player_thread, (void *)i);
	prog_ready();
	for (int i = 0; i < PLAYERS; i++)
		pthread_join(thread[i], NULL);
	prog_end(atomic_load(&turns) > 0);
}
