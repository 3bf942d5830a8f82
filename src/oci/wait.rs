//! Staying beside a container or one of its processes: signals go in, the status comes out.

use std::ptr;

/// Makes orphans of the container's set-up this process's children. Signals stay as they are: the container's process
/// inherits them.
pub fn adopt_orphans() {
    // SAFETY: integers only.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

/// Waits for the end of child `pid`, passing signals on to it. Returns a shell's status: 128 + N for signal N.
pub fn for_process(pid: i32) -> i32 {
    // SAFETY: plain integers, initialised by sigfillset before they are used.
    let all = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &all, ptr::null_mut());
        all
    };
    loop {
        let mut status = 0;
        // SAFETY: `status` is a valid destination.
        match unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) } {
            done if done == pid => return shell_status(status),
            // It was not ours to wait for.
            -1 => return 255,
            0 => {}
            _ => continue,
        }
        // SAFETY: a set, and nobody wants the details.
        let signal = unsafe { libc::sigwaitinfo(&all, ptr::null_mut()) };
        if signal > 0 && signal != libc::SIGCHLD && signal != libc::SIGURG {
            // SAFETY: integers only; the number is the child's until it is reaped above.
            unsafe { libc::kill(pid, signal) };
        }
    }
}

fn shell_status(status: i32) -> i32 {
    match libc::WIFEXITED(status) {
        true => libc::WEXITSTATUS(status),
        false => 128 + libc::WTERMSIG(status),
    }
}
