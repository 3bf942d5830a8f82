// Runs a command N times in turn and says what it cost: "STATUS USER_S SYS_S WALL_S MAXRSS_KB" on descriptor 3, one
// line in all (times are sums, STATUS is the first that is not 0: 128 + signal, or 1000 when the time was up).
// A program of its own because a child's maximum resident set starts with its parent's, and Python's is large.
//   spawn TIMEOUT_S N COMMAND [ARGS...] 3>REPORT
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile pid_t running;
static volatile sig_atomic_t late;

static void on_alarm(int sig) {
    (void)sig;
    late = 1;
    if (running > 0) kill(-running, SIGKILL);
}

static double seconds(struct timeval t) { return t.tv_sec + t.tv_usec * 1e-6; }

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    double user = 0, sys = 0, wall = 0;
    long rss = 0;
    int status = 0;
    signal(SIGALRM, on_alarm);
    for (int n = atoi(argv[2]); n > 0 && status == 0; n--) {
        struct timespec a, b;
        struct rusage used;
        int st;
        clock_gettime(CLOCK_MONOTONIC, &a);
        running = fork();
        if (running == 0) {
            setpgid(0, 0);
            close(3);
            execvp(argv[3], argv + 3);
            _exit(127);
        }
        setpgid(running, running);
        alarm(atoi(argv[1]));
        while (wait4(running, &st, 0, &used) < 0 && errno == EINTR) {
        }
        alarm(0);
        kill(-running, SIGKILL);
        clock_gettime(CLOCK_MONOTONIC, &b);
        wall += (b.tv_sec - a.tv_sec) + (b.tv_nsec - a.tv_nsec) * 1e-9;
        user += seconds(used.ru_utime);
        sys += seconds(used.ru_stime);
        if (used.ru_maxrss > rss) rss = used.ru_maxrss;
        status = late ? 1000 : WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
    }
    dprintf(3, "%d %.6f %.6f %.6f %ld\n", status, user, sys, wall, rss);
    return 0;
}
