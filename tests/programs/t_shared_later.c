/* SPDX-License-Identifier: MIT
 *
 * expect: none
 * looks: 200
 * args: named | memfd | file
 * ends: quit
 * variants: -O2
 *
 * What it is: everybody sleeps on a semaphore in memory that may be shared, but that no other
 * process has mapped at the moment of the look: it has a name, or another process holds its
 * descriptor. That process maps it when it is told to, and posts.
 */
#include "prog.h"
#include <fcntl.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static char name[64], path[96];
static int fd = -1;

static sem_t *map_semaphore(void)
{
	sem_t *sem = mmap(NULL, sizeof(*sem), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	PROG_CHECK(sem != MAP_FAILED);
	return sem;
}

static sem_t *make(const char *how)
{
	sem_t *sem;

	snprintf(name, sizeof(name), "/strand-later-%d", (int)getpid());
	snprintf(path, sizeof(path), "/tmp/strand-later-%d", (int)getpid());
	if (strcmp(how, "named") == 0) {
		sem = sem_open(name, O_CREAT | O_EXCL, 0600, 0);
		PROG_CHECK(sem != SEM_FAILED);
		snprintf(path, sizeof(path), "/dev/shm/sem.%s", name + 1);
		return sem;
	}
	fd = strcmp(how, "memfd") == 0 ? memfd_create("semaphore", 0)
				       : open(path, O_RDWR | O_CREAT, 0600);
	PROG_CHECK(fd >= 0 && ftruncate(fd, sizeof(*sem)) == 0);
	sem = map_semaphore();
	PROG_CHECK(sem_init(sem, 1, 0) == 0);
	return sem;
}

/*
 * It unmaps what it has inherited; for what has a name it does not keep a descriptor either. glibc
 * would give out the old mapping of a named semaphore again, so it is opened as the file it is.
 */
static void post_later(const char *how, sem_t *inherited)
{
	sem_t *sem;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	munmap((void *)((unsigned long)inherited & ~4095ul), 4096);
	if (strcmp(how, "file") == 0)
		close(fd);
	(void)!read(STDIN_FILENO, &byte, 1);
	if (strcmp(how, "memfd") != 0)
		fd = open(path, O_RDWR);
	sem = map_semaphore();
	sem_post(sem);
	sem_post(sem);
	_exit(0);
}

static void *sleep_on(void *sem)
{
	while (sem_wait(sem) != 0)
		;
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	pid_t child;
	sem_t *sem;
	int status;

	PROG_CHECK(argc == 2);
	sem = make(argv[1]);
	child = fork();
	PROG_CHECK(child >= 0);
	if (child == 0)
		post_later(argv[1], sem);
	thread = prog_thread(sleep_on, sem);
	prog_ready();
	sleep_on(sem);
	pthread_join(thread, NULL);
	PROG_CHECK(waitpid(child, &status, 0) == child);
	unlink(path);
	prog_end(status == 0);
}
