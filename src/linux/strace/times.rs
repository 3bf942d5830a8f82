//! Times and timers in a trace.

use super::decode::At;
use super::memory::{flags, long, pointer, word, words};
use crate::linux::table::flags as names;
use crate::linux::table::flags::Names;

/// Seconds and a fraction named `fraction`, in 32 bits each.
fn pair(addr: u32, fraction: &str) -> Option<String> {
    let [sec, part] = words::<2>(addr)?;
    Some(format!(
        "{{tv_sec={}, tv_{fraction}={}}}",
        sec as i32, part as i32
    ))
}

/// In 64 bits each; of the fraction the kernel looks at the lower half.
fn long_pair(addr: u32) -> Option<String> {
    let [low, high, part] = words::<3>(addr)?;
    let sec = (u64::from(high) << 32 | u64::from(low)) as i64;
    Some(format!("{{tv_sec={sec}, tv_nsec={}}}", part as i32))
}

pub fn timespec(at: &At<'_>) -> Option<String> {
    pair(at.v, "nsec")
}

pub fn timespec64(at: &At<'_>) -> Option<String> {
    long_pair(at.v)
}

pub fn timeval(at: &At<'_>) -> Option<String> {
    pair(at.v, "usec")
}

/// struct timezone.
pub fn timezone(at: &At<'_>) -> Option<String> {
    let [west, dst] = words::<2>(at.v)?;
    Some(format!(
        "{{tz_minuteswest={}, tz_dsttime={}}}",
        west as i32, dst as i32
    ))
}

fn interval(addr: u32, step: u32, f: impl Fn(u32) -> Option<String>) -> Option<String> {
    let value = f(addr.checked_add(step)?)?;
    Some(format!("{{it_interval={}, it_value={value}}}", f(addr)?))
}

pub fn itimerval(at: &At<'_>) -> Option<String> {
    interval(at.v, 8, |a| pair(a, "usec"))
}

pub fn itimerspec(at: &At<'_>) -> Option<String> {
    interval(at.v, 8, |a| pair(a, "nsec"))
}

pub fn itimerspec64(at: &At<'_>) -> Option<String> {
    interval(at.v, 16, long_pair)
}

/// A time of day, in UTC: what strace adds where a time is one.
fn date(sec: i64, nsec: u32) -> String {
    let (days, second) = (sec.div_euclid(86400), sec.rem_euclid(86400));
    // The civil calendar counted from 1 March of year 0, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let fraction = if nsec == 0 {
        String::new()
    } else {
        format!(".{nsec:09}")
    };
    format!(" /* {year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}+0000 */")
}

/// Two times of a file: UTIME_NOW and UTIME_OMIT by their names.
fn file_times(addr: u32, step: u32, part_at: u32, f: impl Fn(u32) -> Option<String>) -> Option<String> {
    const UTIME_NOW: u32 = 0x3fff_ffff;
    const UTIME_OMIT: u32 = 0x3fff_fffe;
    let one = |addr: u32| match word(addr.checked_add(part_at)?)? {
        UTIME_NOW => Some("UTIME_NOW".to_string()),
        UTIME_OMIT => Some("UTIME_OMIT".to_string()),
        part => {
            let sec = if part_at == 8 {
                long(addr)? as i64
            } else {
                i64::from(word(addr)? as i32)
            };
            Some(f(addr)? + &date(sec, part))
        }
    };
    Some(format!("[{}, {}]", one(addr)?, one(addr.checked_add(step)?)?))
}

pub fn utimensat(at: &At<'_>) -> Option<String> {
    file_times(at.v, 8, 4, |a| pair(a, "nsec"))
}

pub fn utimensat64(at: &At<'_>) -> Option<String> {
    file_times(at.v, 16, 8, long_pair)
}

pub fn utimes(at: &At<'_>) -> Option<String> {
    let one = |addr: u32| {
        let [sec, usec] = words::<2>(addr)?;
        let date = date((sec as i32).into(), usec.wrapping_mul(1000));
        Some(pair(addr, "usec")? + &date)
    };
    Some(format!("[{}, {}]", one(at.v)?, one(at.v.checked_add(8)?)?))
}

pub fn timerfd_flags(at: &At<'_>) -> Option<String> {
    const FLAGS: Names = Names {
        mask: 0,
        names: &[(1, "TFD_TIMER_ABSTIME"), (2, "TFD_TIMER_CANCEL_ON_SET")],
    };
    Some(flags(&FLAGS, at.v))
}

static STATUS: Names = Names {
    mask: 0,
    names: &[
        (1, "STA_PLL"),
        (2, "STA_PPSFREQ"),
        (4, "STA_PPSTIME"),
        (8, "STA_FLL"),
        (0x10, "STA_INS"),
        (0x20, "STA_DEL"),
        (0x40, "STA_UNSYNC"),
        (0x80, "STA_FREQHOLD"),
        (0x100, "STA_PPSSIGNAL"),
        (0x200, "STA_PPSJITTER"),
        (0x400, "STA_PPSWANDER"),
        (0x800, "STA_PPSERROR"),
        (0x1000, "STA_CLOCKERR"),
        (0x2000, "STA_NANO"),
        (0x4000, "STA_MODE"),
        (0x8000, "STA_CLK"),
    ],
};

static MODES: Names = Names {
    mask: 0,
    names: &[
        (1, "ADJ_OFFSET"),
        (2, "ADJ_FREQUENCY"),
        (4, "ADJ_MAXERROR"),
        (8, "ADJ_ESTERROR"),
        (0x10, "ADJ_STATUS"),
        (0x20, "ADJ_TIMECONST"),
        (0x80, "ADJ_TAI"),
        (0x100, "ADJ_SETOFFSET"),
        (0x1000, "ADJ_MICRO"),
        (0x2000, "ADJ_NANO"),
        (0x4000, "ADJ_TICK"),
    ],
};

/// struct __kernel_timex: 64-bit words, but for modes, status, shift and tai.
pub fn timex64(at: &At<'_>) -> Option<String> {
    let field = |offset: u32| Some(long(at.v.checked_add(offset)?)? as i64);
    let small = |offset: u32| Some(word(at.v.checked_add(offset)?)? as i32);
    let mut out = format!("{{modes={}", flags(&MODES, word(at.v)?));
    for (name, offset) in [("offset", 8), ("freq", 16), ("maxerror", 24), ("esterror", 32)] {
        out += &format!(", {name}={}", field(offset)?);
    }
    out += &format!(", status={}", flags(&STATUS, word(at.v.checked_add(40)?)?));
    for (name, offset) in [("constant", 48), ("precision", 56), ("tolerance", 64)] {
        out += &format!(", {name}={}", field(offset)?);
    }
    out += &format!(", time={{tv_sec={}, tv_usec={}}}", field(72)?, field(80)?);
    for (name, offset) in [("tick", 88), ("ppsfreq", 96), ("jitter", 104)] {
        out += &format!(", {name}={}", field(offset)?);
    }
    out += &format!(", shift={}", small(112)?);
    for (name, offset) in [
        ("stabil", 120),
        ("jitcnt", 128),
        ("calcnt", 136),
        ("errcnt", 144),
        ("stbcnt", 152),
    ] {
        out += &format!(", {name}={}", field(offset)?);
    }
    Some(out + &format!(", tai={}}}", small(160)?))
}

/// What adjtimex says of the clock.
pub fn clock_state(_: &[u32; 6], value: u32) -> Option<String> {
    let name = [
        "TIME_OK",
        "TIME_INS",
        "TIME_DEL",
        "TIME_OOP",
        "TIME_WAIT",
        "TIME_ERROR",
    ]
    .get(value as usize)?;
    Some(format!("{value} ({name})"))
}

/// struct sigevent: value, signal, way.
pub fn sigevent(at: &At<'_>) -> Option<String> {
    const SIGEV_THREAD_ID: u32 = 4;
    let [value, signo, notify, tid] = words::<4>(at.v)?;
    let way = match notify {
        0 => "SIGEV_SIGNAL",
        1 => "SIGEV_NONE",
        2 => "SIGEV_THREAD",
        SIGEV_THREAD_ID => "SIGEV_THREAD_ID",
        _ => return None,
    };
    let mut out = String::from("{");
    if value != 0 {
        out += &format!(
            "sigev_value={{sival_int={}, sival_ptr={}}}, ",
            value as i32,
            pointer(value)
        );
    }
    out += &format!("sigev_signo={}, sigev_notify={way}", names::signal_name(signo));
    if notify == SIGEV_THREAD_ID {
        out += &format!(", sigev_notify_thread_id={}", tid as i32);
    }
    Some(out + "}")
}

/// tms of times(2): 100 ticks a second.
pub fn tms(at: &At<'_>) -> Option<String> {
    let ticks = words::<4>(at.v)?;
    let shown = ["utime", "stime", "cutime", "cstime"]
        .iter()
        .zip(ticks)
        .map(|(name, t)| {
            let seconds = match t {
                0 => String::new(),
                t => format!(" /* {}.{:02} s */", t / 100, t % 100),
            };
            format!("tms_{name}={t}{seconds}")
        });
    Some(format!("{{{}}}", shown.collect::<Vec<_>>().join(", ")))
}

/// What a finished wait has left of its time.
pub fn left(shown: Option<String>) -> String {
    shown.map_or(String::new(), |time| format!(", left {time}"))
}
