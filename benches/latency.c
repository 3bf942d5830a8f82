/* Nanoseconds of CPU time (user and system) that one of the named operations takes: latency OPERATION COUNT.
   `latency exec PROGRAM ARGS...` executes another program: a native one so runs under the filter that emu has installed. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int hits;
static int fd[2], back[2];

static double used(int who)
{
    struct rusage u;
    getrusage(who, &u);
    return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e9 + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1e3;
}

static void on_signal(int s) { hits += s > 0; }
static void on_info(int s, siginfo_t *i, void *u) { (void)u; hits += i->si_signo == s; }
static void *nothing(void *p) { return p; }

static void getppids(long n) { while (n--) syscall(SYS_getppid); }
static void clocks(long n)
{
    struct timespec t;
    while (n--) clock_gettime(CLOCK_MONOTONIC, &t);
}
static void signals(long n)
{
    signal(SIGUSR1, on_signal);
    pid_t pid = getpid(), tid = syscall(SYS_gettid);
    while (n--) syscall(SYS_tgkill, pid, tid, SIGUSR1);
}
static void infos(long n)
{
    struct sigaction a = { .sa_sigaction = on_info, .sa_flags = SA_SIGINFO };
    sigaction(SIGUSR1, &a, NULL);
    pid_t pid = getpid(), tid = syscall(SYS_gettid);
    while (n--) syscall(SYS_tgkill, pid, tid, SIGUSR1);
}
static void kills(long n)
{
    signal(SIGUSR1, on_signal);
    pid_t pid = getpid();
    while (n--) kill(pid, SIGUSR1);
}
/* Two processes on one processor that wake each other by signals. */
static void peers(long n)
{
    sigset_t one, old;
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    sched_setaffinity(0, sizeof here, &here);
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    sigprocmask(SIG_BLOCK, &one, &old);
    signal(SIGUSR1, on_signal);
    pid_t parent = getpid(), child = fork();
    for (long i = 0; i < n; i++) {
        if (child) kill(child, SIGUSR1);
        for (int seen = hits; hits == seen;) sigsuspend(&old);
        if (!child) kill(parent, SIGUSR1);
    }
    if (!child) _exit(0);
    waitpid(child, NULL, 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
}
/* A process that computes while another sends it signals, one after the other. */
static void running(long n)
{
    static volatile long spins;
    int pipes[2];
    if (pipe(pipes)) exit(1);
    signal(SIGUSR1, on_signal);
    pid_t parent = getpid(), child = fork();
    if (!child) {
        char c;
        close(pipes[1]);
        while (read(pipes[0], &c, 1) == 1) kill(parent, SIGUSR1);
        _exit(0);
    }
    close(pipes[0]);
    for (int seen = hits; n--; seen = hits) {
        if (write(pipes[1], "", 1) != 1) exit(1);
        while (hits == seen) spins++;
    }
    close(pipes[1]);
    waitpid(child, NULL, 0);
}
static void masks(long n)
{
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    while (n--) {
        sigprocmask(SIG_BLOCK, &one, NULL);
        sigprocmask(SIG_UNBLOCK, &one, NULL);
    }
}
static void pipes(long n)
{
    char c = 0;
    if (pipe(fd)) exit(1);
    while (n--) if (write(fd[1], &c, 1) != 1 || read(fd[0], &c, 1) != 1) exit(1);
}
static void pingpong(long n)
{
    char c = 0;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    if (pipe(fd) || pipe(back)) exit(1);
    pid_t p = fork();
    for (long i = 0; i < n; i++) {
        int *from = p ? back : fd, *to = p ? fd : back;
        if (p && write(to[1], &c, 1) != 1) exit(1);
        if (read(from[0], &c, 1) != 1) exit(1);
        if (!p && write(to[1], &c, 1) != 1) exit(1);
    }
    if (!p) _exit(0);
    waitpid(p, NULL, 0);
}
static void threads(long n)
{
    pthread_t t;
    while (n--) {
        if (pthread_create(&t, NULL, nothing, NULL)) exit(1);
        pthread_join(t, NULL);
    }
}
static void forks(long n)
{
    while (n--) {
        pid_t p = fork();
        if (!p) _exit(0);
        waitpid(p, NULL, 0);
    }
}
static void maps(long n)
{
    while (n--) {
        char *m = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        m[0] = 1;
        mprotect(m, 4096, PROT_READ);
        munmap(m, 16384);
    }
}
static void futexes(long n)
{
    int word = 0;
    while (n--) syscall(SYS_futex, &word, 129 /* FUTEX_WAKE_PRIVATE */, 1, NULL, NULL, 0);
}
static void faults(long n)
{
    char *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    while (n--) {
        m[0] = 1;
        madvise(m, 4096, MADV_DONTNEED);
    }
}

static const struct { const char *name; void (*run)(long); } OPERATIONS[] = {
    { "getppid", getppids },
    { "clock", clocks },
    { "signal", signals },
    { "siginfo", infos },
    { "kill", kills },
    { "peer", peers },
    { "running", running },
    { "mask", masks },
    { "pipe", pipes },
    { "pingpong", pingpong },
    { "futex", futexes },
    { "thread", threads },
    { "fork", forks },
    { "mmap", maps },
    { "madvise", faults },
};

int main(int argc, char **argv)
{
    if (argc > 2 && !strcmp(argv[1], "exec")) {
        execv(argv[2], argv + 2);
        perror(argv[2]);
        return 127;
    }
    for (unsigned i = 0; argc == 3 && i < sizeof OPERATIONS / sizeof *OPERATIONS; i++)
        if (!strcmp(argv[1], OPERATIONS[i].name)) {
            long n = atol(argv[2]);
            OPERATIONS[i].run(n / 10);
            double from = used(RUSAGE_SELF) + used(RUSAGE_CHILDREN);
            OPERATIONS[i].run(n);
            printf("%.2f\n", (used(RUSAGE_SELF) + used(RUSAGE_CHILDREN) - from) / n);
            return 0;
        }
    fprintf(stderr, "latency OPERATION COUNT, or latency exec PROGRAM ARGS...\n");
    return 2;
}
