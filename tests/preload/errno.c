/* SPDX-License-Identifier: MIT
 *
 * errno is the program's: every function of preload/functions.def is called, blocks where it can, and
 * leaves errno as the C library would. A function of the table without its case here does not
 * compile.
 */
#include <err.h>
#include <errno.h>
#include <error.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "trace.h"

#define MARK 4711

/* What succeeds, or says its error otherwise, leaves errno alone; what fails sets it. */
#define KEEPS(expression)             \
	do {                          \
		errno = MARK;         \
		CHECK(expression);    \
		CHECK(errno == MARK); \
	} while (0)
#define FAILS(error, call)               \
	do {                             \
		errno = MARK;            \
		CHECK((call) == -1);     \
		CHECK(errno == (error)); \
	} while (0)

sighandler_t bsd_signal(int, sighandler_t);

static const char *failing;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static sem_t sem, release;
static mtx_t c11_mutex;
static cnd_t c11_cond;
static struct timespec soon_real, soon_monotonic;
static char *no_arguments[] = { "nothing", NULL };
static char missing[] = "/nonexistent/strand";

static void set_times(void)
{
	clock_gettime(CLOCK_REALTIME, &soon_real);
	clock_gettime(CLOCK_MONOTONIC, &soon_monotonic);
	soon_real.tv_sec -= 1;
	soon_monotonic.tv_nsec /= 2;
}

static void *nothing(void *unused)
{
	usleep(1000);
	return unused;
}

static void *wait_for_release(void *unused)
{
	while (sem_wait(&release))
		;
	return unused;
}

static int c11_nothing(void *unused)
{
	(void)unused;
	return 0;
}

static pthread_t thread_new(void)
{
	pthread_t thread;

	KEEPS(!pthread_create(&thread, NULL, nothing, NULL));
	return thread;
}

static void later(void *(*what)(void *), void *argument)
{
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, what, argument) && !pthread_detach(thread));
}

static void handler(int signal)
{
	(void)signal;
}

/* A child ends by `function`; with what is checked, that is all. */
#define ENDS_CHILD(function)                                                            \
	do {                                                                            \
		int status_;                                                            \
		pid_t pid_ = fork();                                                    \
                                                                                        \
		if (!pid_) {                                                            \
			failing = NULL;                                                 \
			function(9);                                                    \
		}                                                                       \
		CHECK(waitpid(pid_, &status_, 0) == pid_ && WEXITSTATUS(status_) == 9); \
	} while (0)

/* -- threads -------------------------------------------------------------------------------------- */

static void call_pthread_create(void)
{
	pthread_join(thread_new(), NULL);
}

static void call_pthread_detach(void)
{
	pthread_t thread = thread_new();

	KEEPS(!pthread_detach(thread));
}

static void call_pthread_join(void)
{
	pthread_t thread = thread_new();

	KEEPS(!pthread_join(thread, NULL));
}

static void call_pthread_tryjoin_np(void)
{
	pthread_t thread = thread_new();
	int result;

	do
		KEEPS((result = pthread_tryjoin_np(thread, NULL)) >= 0);
	while (result == EBUSY);
	CHECK(!result);
}

static void call_pthread_timedjoin_np(void)
{
	pthread_t thread = thread_new();

	KEEPS(!pthread_timedjoin_np(thread, NULL, NULL));
}

static void call_pthread_clockjoin_np(void)
{
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, wait_for_release, NULL));
	KEEPS(pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &soon_monotonic) == ETIMEDOUT);
	sem_post(&release);
	KEEPS(!pthread_join(thread, NULL));
}

static void call_pthread_setname_np(void)
{
	KEEPS(!pthread_setname_np(pthread_self(), "errno"));
}

static void call_thrd_create(void)
{
	thrd_t thread;

	KEEPS(thrd_create(&thread, c11_nothing, NULL) == thrd_success);
	thrd_join(thread, NULL);
}

static void call_thrd_detach(void)
{
	thrd_t thread;

	thrd_create(&thread, c11_nothing, NULL);
	KEEPS(thrd_detach(thread) == thrd_success);
}

static void call_thrd_join(void)
{
	thrd_t thread;

	thrd_create(&thread, c11_nothing, NULL);
	KEEPS(thrd_join(thread, NULL) == thrd_success);
}

/* -- locks ---------------------------------------------------------------------------------------- */

static void *lock_all(void *is_brief)
{
	pthread_mutex_lock(&mutex);
	mtx_lock(&c11_mutex);
	pthread_rwlock_wrlock(&rwlock);
	sem_post(&sem);
	if (is_brief)
		usleep(20000);
	else
		wait_for_release(NULL);
	pthread_mutex_unlock(&mutex);
	mtx_unlock(&c11_mutex);
	pthread_rwlock_unlock(&rwlock);
	return NULL;
}

/* Another thread has all of them, for 20 ms. */
static void locked(void)
{
	later(lock_all, &mutex);
	while (sem_wait(&sem))
		;
}

/* … for as long as the expression lasts: of one that gives up by itself. */
#define KEEPS_WHILE_LOCKED(expression)                                  \
	do {                                                            \
		pthread_t thread_;                                      \
                                                                        \
		CHECK(!pthread_create(&thread_, NULL, lock_all, NULL)); \
		while (sem_wait(&sem))                                  \
			;                                               \
		KEEPS(expression);                                      \
		sem_post(&release);                                     \
		pthread_join(thread_, NULL);                            \
	} while (0)

static void call_pthread_mutex_lock(void)
{
	locked();
	KEEPS(!pthread_mutex_lock(&mutex));
	KEEPS(!pthread_mutex_unlock(&mutex));
	KEEPS(!pthread_mutex_lock(&mutex));
	pthread_mutex_unlock(&mutex);
}

static void call_pthread_mutex_timedlock(void)
{
	KEEPS_WHILE_LOCKED(pthread_mutex_timedlock(&mutex, &soon_real) == ETIMEDOUT);
}

static void call_pthread_mutex_clocklock(void)
{
	KEEPS_WHILE_LOCKED(pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &soon_monotonic) ==
			   ETIMEDOUT);
}

static void call_mtx_lock(void)
{
	locked();
	KEEPS(mtx_lock(&c11_mutex) == thrd_success);
	mtx_unlock(&c11_mutex);
}

static void call_mtx_timedlock(void)
{
	KEEPS_WHILE_LOCKED(mtx_timedlock(&c11_mutex, &soon_real) == thrd_timedout);
}

static void call_pthread_rwlock_init(void)
{
	pthread_rwlock_t own;

	KEEPS(!pthread_rwlock_init(&own, NULL));
	KEEPS(!pthread_rwlock_destroy(&own));
}

static void call_pthread_rwlock_destroy(void)
{
	call_pthread_rwlock_init();
}

static void call_pthread_rwlock_unlock(void)
{
	KEEPS(!pthread_rwlock_rdlock(&rwlock));
	KEEPS(!pthread_rwlock_unlock(&rwlock));
	KEEPS(!pthread_rwlock_wrlock(&rwlock));
	KEEPS(!pthread_rwlock_unlock(&rwlock));
}

static void call_pthread_rwlock_rdlock(void)
{
	locked();
	KEEPS(!pthread_rwlock_rdlock(&rwlock));
	pthread_rwlock_unlock(&rwlock);
}

static void call_pthread_rwlock_tryrdlock(void)
{
	KEEPS(!pthread_rwlock_tryrdlock(&rwlock));
	pthread_rwlock_unlock(&rwlock);
}

static void call_pthread_rwlock_timedrdlock(void)
{
	KEEPS_WHILE_LOCKED(pthread_rwlock_timedrdlock(&rwlock, &soon_real) == ETIMEDOUT);
}

static void call_pthread_rwlock_clockrdlock(void)
{
	KEEPS_WHILE_LOCKED(pthread_rwlock_clockrdlock(&rwlock, CLOCK_REALTIME, &soon_real) ==
			   ETIMEDOUT);
}

static void call_pthread_rwlock_wrlock(void)
{
	locked();
	KEEPS(!pthread_rwlock_wrlock(&rwlock));
	pthread_rwlock_unlock(&rwlock);
}

static void call_pthread_rwlock_timedwrlock(void)
{
	KEEPS_WHILE_LOCKED(pthread_rwlock_timedwrlock(&rwlock, &soon_real) == ETIMEDOUT);
}

static void call_pthread_rwlock_clockwrlock(void)
{
	KEEPS_WHILE_LOCKED(pthread_rwlock_clockwrlock(&rwlock, CLOCK_REALTIME, &soon_real) ==
			   ETIMEDOUT);
}

/* -- conditions, semaphores, barriers --------------------------------------------------------------- */

static void *signal_later(void *unused)
{
	usleep(20000);
	pthread_mutex_lock(&mutex);
	mtx_lock(&c11_mutex);
	pthread_cond_signal(&cond);
	cnd_signal(&c11_cond);
	mtx_unlock(&c11_mutex);
	pthread_mutex_unlock(&mutex);
	return unused;
}

static void call_pthread_cond_init(void)
{
	pthread_cond_t own;

	KEEPS(!pthread_cond_init(&own, NULL));
	KEEPS(!pthread_cond_destroy(&own));
}

static void call_pthread_cond_destroy(void)
{
	call_pthread_cond_init();
}

static void call_pthread_cond_signal(void)
{
	KEEPS(!pthread_cond_signal(&cond));
}

static void call_pthread_cond_broadcast(void)
{
	KEEPS(!pthread_cond_broadcast(&cond));
}

static void call_pthread_cond_wait(void)
{
	pthread_mutex_lock(&mutex);
	later(signal_later, NULL);
	KEEPS(!pthread_cond_wait(&cond, &mutex));
	pthread_mutex_unlock(&mutex);
}

static void call_pthread_cond_timedwait(void)
{
	pthread_mutex_lock(&mutex);
	KEEPS(pthread_cond_timedwait(&cond, &mutex, &soon_real) == ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
}

static void call_pthread_cond_clockwait(void)
{
	pthread_mutex_lock(&mutex);
	KEEPS(pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, &soon_monotonic) == ETIMEDOUT);
	pthread_mutex_unlock(&mutex);
}

static void call_cnd_wait(void)
{
	mtx_lock(&c11_mutex);
	later(signal_later, NULL);
	KEEPS(cnd_wait(&c11_cond, &c11_mutex) == thrd_success);
	mtx_unlock(&c11_mutex);
}

static void call_cnd_timedwait(void)
{
	mtx_lock(&c11_mutex);
	KEEPS(cnd_timedwait(&c11_cond, &c11_mutex, &soon_real) == thrd_timedout);
	mtx_unlock(&c11_mutex);
}

static void *post_later(void *unused)
{
	usleep(20000);
	sem_post(&sem);
	return unused;
}

static void call_sem_wait(void)
{
	later(post_later, NULL);
	KEEPS(!sem_wait(&sem));
	sem_post(&sem);
	KEEPS(!sem_wait(&sem));
}

static void call_sem_timedwait(void)
{
	FAILS(ETIMEDOUT, sem_timedwait(&sem, &soon_real));
}

static void call_sem_clockwait(void)
{
	FAILS(ETIMEDOUT, sem_clockwait(&sem, CLOCK_MONOTONIC, &soon_monotonic));
}

static void *arrive(void *unused)
{
	pthread_barrier_wait(&barrier);
	return unused;
}

static void call_pthread_barrier_wait(void)
{
	later(arrive, NULL);
	KEEPS(pthread_barrier_wait(&barrier) <= 0);
}

/* -- system calls, signals -------------------------------------------------------------------------- */

static void call_syscall(void)
{
	int word = 1;

	KEEPS(syscall(SYS_getpid) > 0);
	KEEPS(syscall(SYS_futex, &word, FUTEX_WAKE, 1) == 0);
	FAILS(EAGAIN, syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL));
	KEEPS(syscall(SYS_prctl, PR_SET_NAME, "errno", 0, 0, 0) == 0);
}

static void call_prctl(void)
{
	KEEPS(prctl(PR_SET_NAME, "errno", 0, 0, 0) == 0);
	FAILS(EFAULT, prctl(PR_SET_NAME, 8, 0, 0, 0));
}

static void call_sigaction(void)
{
	struct sigaction action = { .sa_handler = handler };

	KEEPS(!sigaction(SIGUSR1, &action, NULL));
	FAILS(EINVAL, sigaction(SIGKILL, &action, NULL));
}

#define LIKE_SIGNAL(name)                                    \
	static void call_##name(void)                        \
	{                                                    \
		KEEPS(name(SIGUSR1, handler) != SIG_ERR);    \
		FAILS(EINVAL, (long)name(SIGKILL, handler)); \
	}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
LIKE_SIGNAL(signal)
LIKE_SIGNAL(bsd_signal)
LIKE_SIGNAL(ssignal)
LIKE_SIGNAL(sysv_signal)
LIKE_SIGNAL(__sysv_signal)
LIKE_SIGNAL(sigset)

static void call_siginterrupt(void)
{
	KEEPS(!siginterrupt(SIGUSR1, 1));
}

/* -- processes -------------------------------------------------------------------------------------- */

static void call___libc_start_main(void)
{
}

static void call_exit(void)
{
	ENDS_CHILD(exit);
}

static void call__exit(void)
{
	ENDS_CHILD(_exit);
}

static void call__Exit(void)
{
	ENDS_CHILD(_Exit);
}

static void call_quick_exit(void)
{
	ENDS_CHILD(quick_exit);
}

/* What prints and ends gives errno in words, and all that it was given. */
static void check_last_words(int pipe_end, pid_t pid, const char *words)
{
	char text[256] = "";
	ssize_t n = 0, got;
	int status;

	while ((got = read(pipe_end, text + n, sizeof(text) - 1 - (size_t)n)) > 0)
		n += got;
	close(pipe_end);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	CHECK(strstr(text, words));
}

#define HAS_LAST_WORDS(words, call)                    \
	do {                                           \
		int ends[2];                           \
		pid_t pid;                             \
                                                       \
		CHECK(!pipe(ends));                    \
		pid = fork();                          \
		if (pid == 0) {                        \
			dup2(ends[1], STDERR_FILENO);  \
			errno = ENOENT;                \
			call;                          \
			_exit(99);                     \
		}                                      \
		close(ends[1]);                        \
		check_last_words(ends[0], pid, words); \
	} while (0)

static void pass_list(void (*f)(int, const char *, va_list), const char *format, ...)
{
	va_list list;

	va_start(list, format);
	f(7, format, list);
	va_end(list);
}

static void call_err(void)
{
	HAS_LAST_WORDS("a 2.5 3 4 5 6: No such file",
		       err(7, "%s %.1f %d %d %d %d", "a", 2.5, 3, 4, 5, 6));
}

static void call_errx(void)
{
	HAS_LAST_WORDS("a 2.5 3\n", errx(7, "%s %.1f %d", "a", 2.5, 3));
}

static void call_verr(void)
{
	HAS_LAST_WORDS("a 2.5: No such file", pass_list(verr, "%s %.1f", "a", 2.5));
}

static void call_verrx(void)
{
	HAS_LAST_WORDS("a 2.5\n", pass_list(verrx, "%s %.1f", "a", 2.5));
}

static void call_error(void)
{
	HAS_LAST_WORDS("a 2.5 3\n", error(0, 0, "%s %.1f %d", "a", 2.5, 3); CHECK(errno == ENOENT);
		       _exit(7));
	HAS_LAST_WORDS("a 2.5 3 4 5 6: No such file",
		       error(7, ENOENT, "%s %.1f %d %d %d %d", "a", 2.5, 3, 4, 5, 6));
}

static void call_error_at_line(void)
{
	HAS_LAST_WORDS("shop:12: a 2.5 3 4 5",
		       error_at_line(7, 0, "shop", 12, "%s %.1f %d %d %d", "a", 2.5, 3, 4, 5));
}

#define FORKS(name)                                                                 \
	static void call_##name(void)                                               \
	{                                                                           \
		int status;                                                         \
		pid_t pid;                                                          \
                                                                                    \
		errno = MARK;                                                       \
		pid = name();                                                       \
		if (!pid)                                                           \
			_exit(errno == MARK ? 3 : 4);                               \
		CHECK(pid > 0 && errno == MARK);                                    \
		CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3); \
	}

FORKS(fork)
FORKS(_Fork)

static void call_execv(void)
{
	FAILS(ENOENT, execv(missing, no_arguments));
}

static void call_execve(void)
{
	FAILS(ENOENT, execve(missing, no_arguments, no_arguments + 1));
}

static void call_execvp(void)
{
	FAILS(ENOENT, execvp(missing, no_arguments));
}

static void call_execvpe(void)
{
	FAILS(ENOENT, execvpe(missing, no_arguments, no_arguments + 1));
}

static void call_fexecve(void)
{
	FAILS(EINVAL, fexecve(-1, no_arguments, no_arguments + 1));
}

static void call_execveat(void)
{
	FAILS(ENOENT, execveat(AT_FDCWD, missing, no_arguments, no_arguments + 1, 0));
}

static void call_execl(void)
{
	FAILS(ENOENT, execl(missing, "nothing", NULL));
}

static void call_execle(void)
{
	FAILS(ENOENT, execle(missing, "nothing", NULL, no_arguments + 1));
}

static void call_execlp(void)
{
	FAILS(ENOENT, execlp(missing, "nothing", NULL));
}

static const struct {
	const char *name;
	void (*call)(void);
} calls[] = {
#define FUNCTION(result, name, parameters, arguments, version) { #name, call_##name },
#define EXPORTED(name)					       { #name, call_##name },
#include "functions.def"
};

static void say_where(void)
{
	if (failing)
		fprintf(stderr, "in the check of %s\n", failing);
}

/* A second thread lives all the while: what has two tasks is held at its end. */
int main(void)
{
	sem_init(&sem, 0, 0);
	sem_init(&release, 0, 0);
	mtx_init(&c11_mutex, mtx_timed);
	cnd_init(&c11_cond);
	pthread_barrier_init(&barrier, NULL, 2);
	set_times();
	atexit(say_where);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		failing = calls[i].name;
		calls[i].call();
	}
	failing = NULL;
	puts("ok");
	return 0;
}
