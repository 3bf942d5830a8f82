//! The clocks that a guest reads without a system call: the host's, through the C library and so the host's vDSO.

use crate::mem::{GuestAddr, space};
use zerocopy::{Immutable, IntoBytes};

/// ARM EABI numbers of the calls that the vDSO's functions stand for.
pub const CLOCK_GETTIME: u32 = 263;
pub const CLOCK_GETTIME64: u32 = 403;
pub const CLOCK_GETRES: u32 = 264;
pub const GETTIMEOFDAY: u32 = 78;

/// Makes call `number` with arguments `a` and `b`: 0 or a negative errno. What the host's vDSO does not know (the CPU
/// clocks, say) the C library asks the kernel for, with the same result.
pub fn call(number: u32, a: u32, b: u32) -> i32 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // Clock numbers are the same on ARM and x86-64.
    let clock = a as i32;
    match number {
        CLOCK_GETTIME | CLOCK_GETTIME64 => {
            // SAFETY: `time` is a valid destination.
            if unsafe { libc::clock_gettime(clock, &mut time) } != 0 {
                return errno();
            }
            if number == CLOCK_GETTIME64 {
                put(b, &[time.tv_sec, time.tv_nsec])
            } else {
                // As the kernel's put_old_timespec32: the low words.
                put(b, &[time.tv_sec as u32, time.tv_nsec as u32])
            }
        }
        CLOCK_GETRES => {
            // SAFETY: as above.
            if unsafe { libc::clock_getres(clock, &mut time) } != 0 {
                return errno();
            }
            if b == 0 {
                return 0;
            }
            put(b, &[time.tv_sec as u32, time.tv_nsec as u32])
        }
        GETTIMEOFDAY => time_of_day(a, b),
        _ => -libc::ENOSYS,
    }
}

/// gettimeofday(tv, tz), either of which may be null.
fn time_of_day(tv: u32, tz: u32) -> i32 {
    if tv != 0 {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: `time` is a valid destination.
        if unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut time) } != 0 {
            return errno();
        }
        let done = put(tv, &[time.tv_sec as u32, time.tv_nsec as u32 / 1000]);
        if done != 0 {
            return done;
        }
    }
    if tz == 0 {
        return 0;
    }
    // The C library's function does not ask the kernel for the time zone.
    let mut zone = [0i32; 2];
    // SAFETY: the kernel writes the two words of a struct timezone.
    if unsafe { libc::syscall(libc::SYS_gettimeofday, 0, zone.as_mut_ptr()) } != 0 {
        return errno();
    }
    put(tz, &zone)
}

fn put<T: IntoBytes + Immutable>(to: u32, value: &T) -> i32 {
    match space().write(GuestAddr(to), value) {
        Ok(()) => 0,
        Err(_) => -libc::EFAULT,
    }
}

/// The negative errno of the C library's call that just failed.
fn errno() -> i32 {
    -std::io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EINVAL)
}
