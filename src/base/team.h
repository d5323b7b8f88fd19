/* Between job.c and the two ways of running a team, parallel.c and parallel_pthread.c. */
#ifndef GV_BASE_TEAM_H
#define GV_BASE_TEAM_H

#include <stdbool.h>

/* What the calling thread is part of. */
typedef struct gv_team {
    int threads; /* 1 outside a job */
    int index;
    bool in_loop; /* within gv_parallel_for */
} gv_team;

extern _Thread_local gv_team gv_team_here;

/* Called on the compute thread before a job that has `threads`, and after one that was run inside
 * another. */
void gv_team_resize(int threads);
/* Called on the compute thread before it ends: ends the others. */
void gv_team_stop(void);
/* Called in the child of a fork, where the team does not exist. */
void gv_team_forget(void);

#endif
