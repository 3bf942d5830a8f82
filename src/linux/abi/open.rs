//! open(2) flags: ARM numbers four of them differently from x86-64.

/// ARM's values (arch/arm/include/uapi/asm/fcntl.h); every other O_ flag is asm-generic on both sides.
pub const O_DIRECTORY: u32 = 0o40_000;
pub const O_NOFOLLOW: u32 = 0o100_000;
pub const O_DIRECT: u32 = 0o200_000;
pub const O_LARGEFILE: u32 = 0o400_000;

/// x86-64's, as the kernel defines them (C libraries say O_LARGEFILE is 0).
const HOST_O_DIRECT: u32 = 0o40_000;
const HOST_O_LARGEFILE: u32 = 0o100_000;
const HOST_O_DIRECTORY: u32 = 0o200_000;
const HOST_O_NOFOLLOW: u32 = 0o400_000;

const PAIRS: [(u32, u32); 4] = [
    (O_DIRECTORY, HOST_O_DIRECTORY),
    (O_NOFOLLOW, HOST_O_NOFOLLOW),
    (O_DIRECT, HOST_O_DIRECT),
    (O_LARGEFILE, HOST_O_LARGEFILE),
];
const GUEST_ALL: u32 = O_DIRECTORY | O_NOFOLLOW | O_DIRECT | O_LARGEFILE;
const HOST_ALL: u32 = HOST_O_DIRECTORY | HOST_O_NOFOLLOW | HOST_O_DIRECT | HOST_O_LARGEFILE;

/// Guest O_ flags to the host's.
pub fn to_host(flags: u32) -> u32 {
    PAIRS.iter().fold(flags & !GUEST_ALL, |acc, (g, h)| {
        acc | if flags & g != 0 { *h } else { 0 }
    })
}

/// Host O_ flags (F_GETFL) to the guest's.
pub fn from_host(flags: u32) -> u32 {
    PAIRS.iter().fold(flags & !HOST_ALL, |acc, (g, h)| {
        acc | if flags & h != 0 { *g } else { 0 }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values printed by an ARM C program under qemu-arm and by an x86-64 one.
    #[test]
    fn four_flags_move() {
        assert_eq!(to_host(0o40_000), libc::O_DIRECTORY as u32);
        assert_eq!(to_host(0o100_000), libc::O_NOFOLLOW as u32);
        assert_eq!(to_host(0o200_000), libc::O_DIRECT as u32);
        // O_TMPFILE is 020000000 | O_DIRECTORY on both.
        assert_eq!(to_host(0o20_040_000), libc::O_TMPFILE as u32);
        assert_eq!(
            to_host(0o2_000_000 | 0o101),
            (libc::O_CLOEXEC | libc::O_CREAT | libc::O_WRONLY) as u32
        );
        for bit in 0..32 {
            assert_eq!(from_host(to_host(1 << bit)), 1 << bit);
        }
    }
}
