/* SPDX-License-Identifier: MIT
 *
 * Who has got which signal. A signal that the kernel sent (si_code SI_KERNEL) came from the
 * terminal, to the whole process group in the foreground: a program that has stayed in strand's
 * group has it already.
 *
 * Stopping: SIGTSTP, SIGTTIN and SIGTTOU have their usual effect on strand, as on the program
 * beside it. A program that catches SIGTSTP, or stops itself, would leave a shell waiting for
 * strand; so strand stops after it, if there is a shell to come back to.
 */
#include "supervise/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "target/target.h"

/* Read rather than suffered. */
static const int signals_read_here[] = { SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1,
					 SIGUSR2, SIGCONT, SIGWINCH, SIGCHLD };

static bool signals_are_ignored(int number)
{
	struct sigaction now;

	return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

int signals_begin(struct signals *s, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals_read_here) / sizeof(signals_read_here[0]); i++)
		if (!signals_are_ignored(signals_read_here[i])) /* nohup: it stays ignored */
			sigaddset(&set, signals_read_here[i]);
	sigprocmask(SIG_BLOCK, &set, &s->before);
	s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->fd >= 0)
		return 0;
	sigprocmask(SIG_SETMASK, &s->before, NULL);
	return err_set_errno(e, errno, "cannot read signals");
}

void signals_end(struct signals *s)
{
	struct signalfd_siginfo info;

	while (read(s->fd, &info, sizeof(info)) > 0)
		;
	close(s->fd);
	sigprocmask(SIG_SETMASK, &s->before, NULL);
}

/* Is the terminal ours, and the program's with us? Then a shell waits until we stop. */
static bool signals_have_foreground(pid_t program)
{
	int fd = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	bool ours = fd >= 0 && tcgetpgrp(fd) == getpgrp() && getpgid(program) == getpgrp();

	if (fd >= 0)
		close(fd);
	return ours;
}

static void signals_follow_stop(pid_t program)
{
	siginfo_t info = { .si_pid = 0 };

	if (waitid(P_PID, (id_t)program, &info, WSTOPPED | WNOHANG) || !info.si_pid)
		return;
	if (signals_have_foreground(program))
		raise(SIGSTOP);
}

static bool signals_is_stopped(pid_t program)
{
	struct target_thread info;

	return !target_read_thread(program, program, &info) && info.state == 'T';
}

bool signals_read(const struct signals *s, pid_t program, struct signals_news *out)
{
	struct signalfd_siginfo info;
	bool from_terminal;

	for (;;) {
		ssize_t n = read(s->fd, &info, sizeof(info));

		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)sizeof(info))
			return false;
		if ((int)info.ssi_signo != SIGCHLD)
			break;
		signals_follow_stop(program);
	}
	from_terminal = info.ssi_code == SI_KERNEL;
	out->number = (int)info.ssi_signo;
	out->asks_to_end = out->number == SIGTERM || out->number == SIGINT || out->number == SIGHUP;
	out->pass_on = !from_terminal || getpgid(program) != getpgrp();
	if (out->number == SIGCONT) /* a shell continues the whole group */
		out->pass_on = signals_is_stopped(program);
	return true;
}
