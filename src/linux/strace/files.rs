//! Files in a trace: stat, descriptors' control, vectors, devices.

use super::decode::At;
use super::memory::{array, bytes, flags, half, hexadecimal, long, pointer, text, word, words};
use crate::linux::table::flags as names;
use crate::linux::table::flags::Names;

static KINDS: Names = Names {
    mask: 0o170_000,
    names: &[
        (0o140_000, "S_IFSOCK"),
        (0o120_000, "S_IFLNK"),
        (0o100_000, "S_IFREG"),
        (0o060_000, "S_IFBLK"),
        (0o040_000, "S_IFDIR"),
        (0o020_000, "S_IFCHR"),
        (0o010_000, "S_IFIFO"),
    ],
};

/// Type and permissions: `S_IFREG|0644`.
pub fn mode(v: u32) -> String {
    match KINDS.names.iter().find(|(kind, _)| v & KINDS.mask == *kind) {
        Some((_, kind)) => format!("{kind}|0{:o}", v & !KINDS.mask),
        None => format!("0{v:o}"),
    }
}

/// A device's numbers (include/linux/kdev_t.h, new_decode_dev).
fn device(v: u64) -> String {
    let v = v as u32;
    let (major, minor) = (v >> 8 & 0xfff, v & 0xff | v >> 12 & 0xfff00);
    let hex = |n: u32| if n == 0 { "0".into() } else { format!("{n:#x}") };
    format!("makedev({}, {})", hex(major), hex(minor))
}

fn is_device(mode: u32) -> bool {
    matches!(mode & KINDS.mask, 0o020_000 | 0o060_000)
}

/// mknod's last argument, where the mode asks for a device.
pub fn mknod(args: &[u32; 6], _: Option<u32>) -> Vec<String> {
    node(vec![super::memory::string(args[0])], args[1], args[2])
}

pub fn mknodat(args: &[u32; 6], _: Option<u32>) -> Vec<String> {
    node(
        vec![dirfd(args[0]), super::memory::string(args[1])],
        args[2],
        args[3],
    )
}

fn node(mut shown: Vec<String>, kind: u32, dev: u32) -> Vec<String> {
    shown.push(mode(kind));
    if is_device(kind) {
        shown.push(device(dev.into()));
    }
    shown
}

fn dirfd(v: u32) -> String {
    if v as i32 == libc::AT_FDCWD {
        "AT_FDCWD".into()
    } else {
        (v as i32).to_string()
    }
}

fn status(mode_of: u32, size: u64, dev: u64) -> String {
    let rest = if is_device(mode_of) {
        format!("st_rdev={}", device(dev))
    } else {
        format!("st_size={}", size as i64)
    };
    format!("{{st_mode={}, {rest}, ...}}", mode(mode_of))
}

/// ARM's struct stat64 (arch/arm/include/uapi/asm/stat.h).
pub fn stat64(at: &At<'_>) -> Option<String> {
    Some(status(word(at.v + 16)?, long(at.v + 48)?, long(at.v + 32)?))
}

/// ARM's older struct stat.
pub fn stat(at: &At<'_>) -> Option<String> {
    let kind = half(at.v + 8)?.into();
    Some(status(kind, word(at.v + 20)?.into(), word(at.v + 16)?.into()))
}

pub fn statx(at: &At<'_>) -> Option<String> {
    let (mask, attributes) = (word(at.v)?, long(at.v + 8)?);
    Some(format!(
        "{{stx_mask={}, stx_attributes={}, stx_mode={}, stx_size={}, ...}}",
        flags(&names::STATX, mask),
        if attributes == 0 {
            "0".into()
        } else {
            format!("{attributes:#x}")
        },
        mode(half(at.v + 28)?.into()),
        long(at.v + 40)?
    ))
}

/// statx's flags have a field of their own for what is to be synchronised.
pub fn statx_flags(at: &At<'_>) -> Option<String> {
    const SYNC: u32 = 0x6000;
    let sync = [
        "AT_STATX_SYNC_AS_STAT",
        "AT_STATX_FORCE_SYNC",
        "AT_STATX_DONT_SYNC",
        "0x6000",
    ];
    let sync = sync[(at.v & SYNC) as usize >> 13];
    Some(match at.v & !SYNC {
        0 => sync.into(),
        rest => format!("{sync}|{}", flags(&names::AT, rest)),
    })
}

/// A file position in two words, high half first.
pub fn llseek(args: &[u32; 6], returned: Option<u32>) -> Vec<String> {
    let offset = (u64::from(args[1]) << 32 | u64::from(args[2])) as i64;
    let place = returned
        .and_then(|_| long(args[3]))
        .map(|p| format!("[{}]", p as i64));
    vec![
        (args[0] as i32).to_string(),
        offset.to_string(),
        place.unwrap_or_else(|| pointer(args[3])),
        flags(&names::SEEK, args[4]),
    ]
}

/// A pointer to a file position of 32 bits.
pub fn offset(at: &At<'_>) -> Option<String> {
    super::memory::number(at.v)
}

pub fn offset64(at: &At<'_>) -> Option<String> {
    Some(format!("[{}]", long(at.v)? as i64))
}

pub fn pipe(at: &At<'_>) -> Option<String> {
    let [read, write] = words::<2>(at.v)?;
    Some(format!("[{}, {}]", read as i32, write as i32))
}

pub fn xattr_set(at: &At<'_>) -> Option<String> {
    Some(text(at.v, at.args[3]))
}

/// A value that the call has written as far as it says: one that was asked for its size only is an address.
pub fn text_out(at: &At<'_>) -> Option<String> {
    (at.v != 0 && at.returned? > 0 && at.args[at.word + 1] > 0).then(|| text(at.v, at.returned.unwrap_or(0)))
}

pub fn random(at: &At<'_>) -> Option<String> {
    hexadecimal(at.v, at.returned?)
}

/// Entries of getdents64 (struct linux_dirent64): how many.
pub fn directory64(at: &At<'_>) -> Option<String> {
    directory(at, 16)
}

/// Entries of getdents.
pub fn directory32(at: &At<'_>) -> Option<String> {
    directory(at, 8)
}

fn directory(at: &At<'_>, length_at: u32) -> Option<String> {
    let (mut place, mut count) = (0, 0);
    while place < at.returned? {
        place += u32::from(half(at.v + place + length_at)?).max(1);
        count += 1;
    }
    Some(format!("{:#x} /* {count} entries */", at.v))
}

/// A vector of buffers, of whose bytes the first `all` count.
pub fn vector(addr: u32, count: u32, all: u32) -> Option<String> {
    let left = std::cell::Cell::new(all);
    array(addr, count, 8, |at| {
        let [base, len] = words::<2>(at)?;
        let shown = len.min(left.get());
        left.set(left.get() - shown);
        let data = if shown == 0 && len > 0 && all != u32::MAX {
            "\"\"".into()
        } else {
            bytes(base, shown)
        };
        Some(format!("{{iov_base={data}, iov_len={len}}}"))
    })
}

pub fn vector_in(at: &At<'_>) -> Option<String> {
    vector(at.v, at.args[2], u32::MAX)
}

pub fn vector_out(at: &At<'_>) -> Option<String> {
    vector(at.v, at.args[2], at.returned?)
}

fn lock(addr: u32, long_form: bool, pid: bool) -> Option<String> {
    static TYPES: [&str; 3] = ["F_RDLCK", "F_WRLCK", "F_UNLCK"];
    let (kind, whence) = (half(addr)?, half(addr + 2)?);
    let (start, len, pid_at) = if long_form {
        (long(addr + 8)? as i64, long(addr + 16)? as i64, addr + 24)
    } else {
        (
            i64::from(word(addr + 4)? as i32),
            i64::from(word(addr + 8)? as i32),
            addr + 12,
        )
    };
    let kind = TYPES
        .get(usize::from(kind))
        .map_or_else(|| format!("{kind:#x}"), |name| (*name).into());
    let whence = flags(&names::SEEK, whence.into());
    let pid = if pid {
        format!(", l_pid={}", word(pid_at)? as i32)
    } else {
        String::new()
    };
    Some(format!(
        "{{l_type={kind}, l_whence={whence}, l_start={start}, l_len={len}{pid}}}"
    ))
}

static SEALS: Names = Names {
    mask: 0,
    names: &[
        (1, "F_SEAL_SEAL"),
        (2, "F_SEAL_SHRINK"),
        (4, "F_SEAL_GROW"),
        (8, "F_SEAL_WRITE"),
        (16, "F_SEAL_FUTURE_WRITE"),
    ],
};
static FD_FLAGS: Names = Names {
    mask: 0,
    names: &[(1, "FD_CLOEXEC")],
};

/// fcntl(2): what the third argument is follows from the second.
pub fn fcntl(args: &[u32; 6], returned: Option<u32>) -> Vec<String> {
    let [fd, command, arg, ..] = *args;
    let mut shown = vec![(fd as i32).to_string(), flags(&names::FCNTL64, command)];
    let third = match command {
        // F_GETFD, F_GETFL, F_GETOWN, F_GETSIG, F_GETLEASE, F_GETPIPE_SZ, F_GET_SEALS.
        1 | 3 | 9 | 11 | 1025 | 1032 | 1034 => return shown,
        2 => flags(&FD_FLAGS, arg),
        4 => flags(&names::OPEN, arg),
        // F_GETLK and its kin: what the kernel found.
        5 | 12 | 36 => returned
            .and_then(|_| lock(arg, command != 5, true))
            .or_else(|| lock(arg, command != 5, false))
            .unwrap_or_else(|| pointer(arg)),
        6 | 7 | 13 | 14 | 37 | 38 => lock(arg, command > 7, false).unwrap_or_else(|| pointer(arg)),
        10 => names::signal_name(arg),
        1033 => flags(&SEALS, arg),
        1024 => ["F_RDLCK", "F_WRLCK", "F_UNLCK"]
            .get(arg as usize)
            .map_or(format!("{arg:#x}"), |n| (*n).into()),
        0 | 8 | 1030 | 1031 => (arg as i32).to_string(),
        _ if arg == 0 => "0".into(),
        _ => format!("{arg:#x}"),
    };
    shown.push(third);
    shown
}

pub fn fcntl_result(args: &[u32; 6], value: u32) -> Option<String> {
    match args[1] {
        1 if value != 0 => Some(format!("{value:#x} (flags {})", flags(&FD_FLAGS, value))),
        3 => Some(format!("{value:#x} (flags {})", flags(&names::OPEN, value))),
        1034 if value != 0 => Some(format!("{value:#x} (seals {})", flags(&SEALS, value))),
        _ => None,
    }
}

/// A 64-bit number whose low half is word `i`.
fn wide(args: &[u32; 6], i: usize) -> String {
    ((u64::from(args[i + 1]) << 32 | u64::from(args[i])) as i64).to_string()
}

/// ARM moves the advice to where no register is lost; strace shows the order of everyone else.
pub fn fadvise(args: &[u32; 6], _: Option<u32>) -> Vec<String> {
    let fd = (args[0] as i32).to_string();
    vec![fd, wide(args, 2), wide(args, 4), flags(&names::FADVISE, args[1])]
}

pub fn sync_range(args: &[u32; 6], _: Option<u32>) -> Vec<String> {
    static FLAGS: Names = Names {
        mask: 0,
        names: &[
            (1, "SYNC_FILE_RANGE_WAIT_BEFORE"),
            (2, "SYNC_FILE_RANGE_WRITE"),
            (4, "SYNC_FILE_RANGE_WAIT_AFTER"),
        ],
    };
    let fd = (args[0] as i32).to_string();
    vec![fd, flags(&FLAGS, args[1]), wide(args, 2), wide(args, 4)]
}
