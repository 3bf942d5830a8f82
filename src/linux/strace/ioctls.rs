//! ioctl(2) in a trace: requests by name, and the arguments of those seen most.

use super::memory::{flags, half, number, pointer, raw, word};
use super::net;
use crate::linux::table::flags as names;
use crate::linux::table::flags::Names;

/// Names and shapes of the requests that a trace explains.
pub fn ioctl(args: &[u32; 6], returned: Option<u32>) -> Vec<String> {
    let [fd, request, arg, ..] = *args;
    let mut shown = vec![(fd as i32).to_string(), name(request)];
    let done = returned.is_some();
    let out = |text: Option<String>| if done { text } else { None };
    let third = match request {
        // FIOCLEX, FIONCLEX, TIOCEXCL, TIOCNXCL, TIOCNOTTY take nothing.
        0x5451 | 0x5450 | 0x540c | 0x540d | 0x5422 => return shown,
        // TCGETS; TCSETS, TCSETSW, TCSETSF.
        0x5401 => out(termios(arg)),
        0x5402..=0x5404 => termios(arg),
        // TCSBRK, TIOCSCTTY, TCSBRKP.
        0x5409 | 0x540e | 0x5425 => Some((arg as i32).to_string()),
        0x540a => Some(one_of(&["TCOOFF", "TCOON", "TCIOFF", "TCION"], arg)),
        0x540b => Some(one_of(&["TCIFLUSH", "TCOFLUSH", "TCIOFLUSH"], arg)),
        // TIOCGWINSZ, TIOCSWINSZ.
        0x5413 => out(window(arg)),
        0x5414 => window(arg),
        // TIOCGPGRP, TIOCOUTQ, FIONREAD, TIOCGSID, TIOCGPTN.
        0x540f | 0x5411 | 0x541b | 0x5429 | 0x8004_5430 => out(number(arg)),
        // TIOCSPGRP, FIONBIO, FIOASYNC, TIOCSPTLCK.
        0x5410 | 0x5421 | 0x5452 | 0x4004_5431 => number(arg),
        // FS_IOC32_GETFLAGS, FS_IOC32_SETFLAGS.
        0x8004_6601 => out(word(arg).map(|v| format!("[{}]", flags(&FILE_FLAGS, v)))),
        0x4004_6602 => word(arg).map(|v| format!("[{}]", flags(&FILE_FLAGS, v))),
        // SIOCGIFCONF.
        0x8912 => configuration(arg, done),
        0x8913..=0x8916 | 0x8921 | 0x8922 | 0x8933 => net::interface(arg, request, done),
        _ => None,
    };
    shown.push(third.unwrap_or_else(|| pointer(arg)));
    shown
}

/// A request's name, as sound's and terminals' share numbers; else how it is put together (asm-generic/ioctl.h).
fn name(request: u32) -> String {
    match request {
        0x5402 => return "SNDCTL_TMR_START or TCSETS".into(),
        0x5403 => return "SNDCTL_TMR_STOP or TCSETSW".into(),
        0x5404 => return "SNDCTL_TMR_CONTINUE or TCSETSF".into(),
        _ => {}
    }
    if names::IOCTL.names.iter().any(|(v, _)| *v == request) {
        return flags(&names::IOCTL, request);
    }
    let way = ["_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE"][(request >> 30) as usize];
    let hex = |v: u32| if v == 0 { "0".into() } else { format!("{v:#x}") };
    format!(
        "_IOC({way}, {}, {}, {})",
        hex(request >> 8 & 0xff),
        hex(request & 0xff),
        hex(request >> 16 & 0x3fff)
    )
}

fn one_of(names: &[&str], v: u32) -> String {
    names
        .get(v as usize)
        .map_or_else(|| format!("{v:#x}"), |name| (*name).into())
}

static FILE_FLAGS: Names = Names {
    mask: 0,
    names: &[
        (1, "FS_SECRM_FL"),
        (2, "FS_UNRM_FL"),
        (4, "FS_COMPR_FL"),
        (8, "FS_SYNC_FL"),
        (0x10, "FS_IMMUTABLE_FL"),
        (0x20, "FS_APPEND_FL"),
        (0x40, "FS_NODUMP_FL"),
        (0x80, "FS_NOATIME_FL"),
        (0x1000, "FS_INDEX_FL"),
        (0x80000, "FS_EXTENT_FL"),
        (0x80_0000, "FS_NOCOW_FL"),
    ],
};

fn configuration(addr: u32, done: bool) -> Option<String> {
    const IFREQ: u32 = 32;
    let (len, buffer) = (word(addr)?, word(addr.checked_add(4)?)?);
    let count = match len % IFREQ {
        0 if done && len > 0 => format!(" /* {} * sizeof(struct ifreq) */", len / IFREQ),
        _ => String::new(),
    };
    Some(format!("{{ifc_len={len}{count}, ifc_buf={}}}", pointer(buffer)))
}

fn window(addr: u32) -> Option<String> {
    let (row, col, x, y) = (half(addr)?, half(addr + 2)?, half(addr + 4)?, half(addr + 6)?);
    Some(format!(
        "{{ws_row={row}, ws_col={col}, ws_xpixel={x}, ws_ypixel={y}}}"
    ))
}

/// Bits of termios(3), of which some are fields.
fn bits(v: u32, fields: &[(u32, &[(u32, &str)])], names: &'static [(u32, &'static str)]) -> String {
    let mut parts = Vec::new();
    let mut rest = v;
    for (mask, values) in fields {
        let value = v & mask;
        rest &= !mask;
        match values.iter().find(|(n, _)| *n == value) {
            Some((_, name)) => parts.push((*name).to_string()),
            None => parts.push(format!("{value:#x}")),
        }
    }
    if rest != 0 {
        parts.push(flags(&Names { mask: 0, names }, rest));
    }
    if parts.is_empty() {
        "0".into()
    } else {
        parts.join("|")
    }
}

/// struct termios of asm-generic/termbits.h, its flags.
fn termios(addr: u32) -> Option<String> {
    let data = raw(addr, 36)?;
    let word = |i: usize| u32::from_le_bytes([data[i], data[i + 1], data[i + 2], data[i + 3]]);
    let input = bits(
        word(0),
        &[],
        &[
            (1, "IGNBRK"),
            (2, "BRKINT"),
            (4, "IGNPAR"),
            (8, "PARMRK"),
            (0x10, "INPCK"),
            (0x20, "ISTRIP"),
            (0x40, "INLCR"),
            (0x80, "IGNCR"),
            (0x100, "ICRNL"),
            (0x200, "IUCLC"),
            (0x400, "IXON"),
            (0x800, "IXANY"),
            (0x1000, "IXOFF"),
            (0x2000, "IMAXBEL"),
            (0x4000, "IUTF8"),
        ],
    );
    let output = bits(
        word(4),
        &[
            (0x100, &[(0, "NL0"), (0x100, "NL1")]),
            (
                0x600,
                &[(0, "CR0"), (0x200, "CR1"), (0x400, "CR2"), (0x600, "CR3")],
            ),
            (
                0x1800,
                &[(0, "TAB0"), (0x800, "TAB1"), (0x1000, "TAB2"), (0x1800, "TAB3")],
            ),
            (0x2000, &[(0, "BS0"), (0x2000, "BS1")]),
            (0x4000, &[(0, "VT0"), (0x4000, "VT1")]),
            (0x8000, &[(0, "FF0"), (0x8000, "FF1")]),
        ],
        &[
            (1, "OPOST"),
            (2, "OLCUC"),
            (4, "ONLCR"),
            (8, "OCRNL"),
            (0x10, "ONOCR"),
            (0x20, "ONLRET"),
            (0x40, "OFILL"),
            (0x80, "OFDEL"),
        ],
    );
    let control = bits(
        word(8),
        &[
            (
                0x100f,
                &[
                    (0, "B0"),
                    (1, "B50"),
                    (2, "B75"),
                    (3, "B110"),
                    (4, "B134"),
                    (5, "B150"),
                    (6, "B200"),
                    (7, "B300"),
                    (8, "B600"),
                    (9, "B1200"),
                    (10, "B1800"),
                    (11, "B2400"),
                    (12, "B4800"),
                    (13, "B9600"),
                    (14, "B19200"),
                    (15, "B38400"),
                    (0x1001, "B57600"),
                    (0x1002, "B115200"),
                    (0x1003, "B230400"),
                    (0x1004, "B460800"),
                ],
            ),
            (0x30, &[(0, "CS5"), (0x10, "CS6"), (0x20, "CS7"), (0x30, "CS8")]),
        ],
        &[
            (0x40, "CSTOPB"),
            (0x80, "CREAD"),
            (0x100, "PARENB"),
            (0x200, "PARODD"),
            (0x400, "HUPCL"),
            (0x800, "CLOCAL"),
            (0x8000_0000, "CRTSCTS"),
        ],
    );
    let local = bits(
        word(12),
        &[],
        &[
            (1, "ISIG"),
            (2, "ICANON"),
            (4, "XCASE"),
            (8, "ECHO"),
            (0x10, "ECHOE"),
            (0x20, "ECHOK"),
            (0x40, "ECHONL"),
            (0x80, "NOFLSH"),
            (0x100, "TOSTOP"),
            (0x8000, "IEXTEN"),
            (0x200, "ECHOCTL"),
            (0x400, "ECHOPRT"),
            (0x800, "ECHOKE"),
            (0x1000, "FLUSHO"),
            (0x4000, "PENDIN"),
        ],
    );
    Some(format!(
        "{{c_iflag={input}, c_oflag={output}, c_cflag={control}, c_lflag={local}, ...}}"
    ))
}
