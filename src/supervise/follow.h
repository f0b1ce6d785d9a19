/* SPDX-License-Identifier: MIT
 *
 * The processes that are followed, and their images: each image of a process has a table of its
 * own. What an image goes through:
 *
 *   FOLLOWED ──held at its exit, looked at──► GRACE ──► RELEASED ──process ended, or the next
 *      ▲                                                   │        image is there──► OVER
 *      └───────────────── exec failed ◄────────────────────┘
 *
 * and from FOLLOWED straight to OVER when it is killed. Internal to the supervisor; one thread.
 */
#ifndef STRAND_SUPERVISE_FOLLOW_H
#define STRAND_SUPERVISE_FOLLOW_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "err.h"
#include "look.h"
#include "model/hash.h"
#include "readers/table.h"
#include "supervise/control.h"
#include "supervise/quiet.h"
#include "target/tables.h"

enum image_state { IMAGE_FOLLOWED, IMAGE_GRACE, IMAGE_RELEASED, IMAGE_OVER };

struct image {
	struct image *next; /* older images of the process come behind */
	struct process *process;
	enum image_state state;
	struct table *table;   /* NULL: it has none, or it is over */
	char name[96];	       /* of the table's file in the directory */
	int64_t grace_end_ns;  /* IMAGE_GRACE */
	size_t grace_task;     /* the tasks before this one of the model have ended */
	struct model *at_exit; /* the look at its exit */
	struct model *kept;    /* the last other look that is worth a report */
	char *trouble;	       /* not NULL: why there was no look at its exit */
	bool replaced;	       /* over, and it had called exec */
};

struct process {
	struct process *next;
	pid_t pid; /* in strand's PID namespace */
	uint64_t start_ticks;
	int pidfd; /* -1: it had ended when it was found */
	bool first;
	bool ended;
	bool had_table;
	bool tool;	     /* a shell or the like: followed, not judged */
	struct image *image; /* the newest; never NULL for the first process */
	struct quiet quiet;
	bool deadlocked; /* no live task was left at the last look */
	bool reported;	 /* … and that was said */
	int64_t kill_ns; /* it has got TERM: KILL then; 0: has not */
};

struct follow {
	struct control *control;
	char directory[PATH_MAX];
	int64_t grace_ns, max_pause_ns;
	bool children;
	bool letting_go;	   /* whoever is held is let go without a look */
	int epoll;		   /* has every pidfd in it */
	struct process *processes; /* the first one included */
	struct process *first;
	uint64_t pid_namespace;
	struct hash_set names;		     /* of tables that need not be opened (again) */
	size_t left_running;		     /* children that outlive the first program */
	struct model *judged, **last_judged; /* of images that are over */
};

int64_t follow_now_ns(void);

/* Is its program one that is followed, not judged? */
bool process_is_tool(pid_t pid);

int follow_open(struct follow *f, struct err *e);
void follow_close(struct follow *f);

/* Add the first program, `pid`. */
int follow_add_first(struct follow *f, pid_t pid, struct err *e);

/* Look for new tables of ours in the directory. */
void follow_discover(struct follow *f);

/* Do what is due for every image: look at what is held, let go what has been looked at, finish what
 * has ended. Returns how soon something is due again, in ns; -1: nothing is. */
int64_t follow_step(struct follow *f);

/* The process's pidfd said so. */
void follow_mark_ended(struct follow *f, struct process *p);

/* Take a look at every process that is worth one, to be kept for the report. */
void follow_look_at_all(struct follow *f, enum moment moment);

/* look_at_process(), and again if it could not see everything, a few times at most. */
int follow_take_look(pid_t pid, const struct look_options *o, struct model **out, struct err *e);

/* One look at a process, kept; true if it showed that no live task is left. *e says why it could
 * not be taken, e->code 0 if it was. */
bool follow_look(struct follow *f, struct process *p, enum moment moment, struct err *e);

/* Has this image, or did it ever have, more tasks than one? */
bool image_is_worth_a_look(const struct image *i);

/* Let everybody go who is held, now and from now on. */
void follow_let_go(struct follow *f);

/* The first program has ended: the images of everybody who has, too, are finished. */
void follow_finish(struct follow *f);

/* images.c: one image. */
int image_create(struct process *p, const char *directory, const char *name, struct image **out);
void image_free(struct follow *f, struct image *i);
int64_t image_step(struct follow *f, struct image *i);
/* Has the process called exec since? */
bool image_was_replaced(const struct image *i);
/* The table that tells of the process as it is now; NULL if none does. */
struct table *image_current_table(const struct image *i);
void image_release(struct image *i);
/* The process has ended, or a newer image has taken its place: what is left is the report. */
void image_finish(struct follow *f, struct image *i);
/* Once its process has ended: before, the next image might take the name again. */
void image_remove_file(const struct follow *f, const struct image *i);

#endif
