//! The form of the system call table: one row per call, which drives dispatch, range checks and `--strace`.

pub mod flags;
pub mod host;
pub mod rows;

use super::call::{SyscallContext, SyscallResult};
use super::errno::SysResult;
use super::process::Process;
use crate::cpu::state::CpuState;

/// A call's number in one guest ABI; [`NO`] where that ABI lacks it.
pub type Number = u32;
/// "This ABI does not have the call."
pub const NO: Number = u32::MAX;

/// What one argument is. A row lists its arguments in register order: an argument takes one 32-bit word, an
/// [`Arg::Off64`] two, and [`Arg::Pad`] is the word that the EABI skips so that a 64-bit value starts in an even
/// register. Indices count words.
#[derive(Clone, Copy, Debug)]
pub enum Arg {
    /// Signed.
    Int,
    Uint,
    /// Unsigned, shown in hexadecimal.
    Hex,
    /// Permission bits, shown in octal.
    Mode,
    Fd,
    /// A directory descriptor or AT_FDCWD.
    DirFd,
    /// Named bits or a named value.
    Flags(&'static flags::Names),
    /// A signal number.
    Sig,
    /// A path to look at, sought under the sysroot first; a final symbolic link is followed.
    Path,
    /// The same, but a final symbolic link is not followed.
    LinkPath,
    /// The same; followed unless the word at this index has AT_SYMLINK_NOFOLLOW.
    PathAt(usize),
    /// A path to change, create or go to, sought outside the sysroot first; a final symbolic link is followed.
    Name,
    /// The same, but a final symbolic link is not followed.
    LinkName,
    /// The same; followed unless the word at this index has AT_SYMLINK_NOFOLLOW.
    NameAt(usize),
    /// A string that is passed as it is.
    Str,
    /// A guest address that the handler itself checks where it follows it, or that only names a place.
    Ptr,
    /// A structure of this many bytes that the call reads.
    In(u32),
    /// A structure of this many bytes that the call writes.
    Out(u32),
    /// Bytes that the call reads; their number is in the word at this index.
    Buf(usize),
    /// Bytes that the call writes; at most as many as the word at this index says.
    OutBuf(usize),
    /// An array: bytes of an element, and the index of the word with the number of elements. Read or written.
    Array(u32, usize),
    /// A length in bytes.
    Len,
    /// A 64-bit offset or length in two words, low half first.
    Off64,
    /// A word that carries nothing.
    Pad,
}

impl Arg {
    /// 32-bit words that the argument takes.
    pub const fn words(self) -> usize {
        if matches!(self, Arg::Off64) { 2 } else { 1 }
    }

    /// Whether the host takes it as it is or as an address, not as another path.
    pub const fn is_path(self) -> bool {
        use Arg::{LinkName, LinkPath, Name, NameAt, Path, PathAt};
        matches!(self, Path | LinkPath | PathAt(_) | Name | LinkName | NameAt(_))
    }
}

/// A call's function that needs the thread.
pub type CallHandler = fn(&mut SyscallContext<'_>, &[u32; 6]) -> SysResult;
/// One that does not.
pub type PlainHandler = fn(&'static Process, &[u32; 6]) -> SysResult;
/// One for the usual cases of a call, which may wait interruptibly; `None` in the others.
pub type PartHandler = fn(&'static Process, &[u32; 6], &mut CpuState) -> Option<SysResult>;

/// What runs a call.
#[derive(Clone, Copy)]
pub enum Handler {
    /// ENOSYS, with a line under `--strace` and `-d unimp`.
    None,
    /// The host's call of this number, arguments converted as the row says; it does not block.
    Pass(i64),
    /// The same for a call that can block: guest signals interrupt it.
    Block(i64),
    /// Returns a value or an errno, needs nothing of the thread that makes the call, and does not block.
    Plain(PlainHandler),
    /// The usual cases, which need no more than the registers, and all.
    Partly(PartHandler, CallHandler),
    /// Returns a value or an errno.
    Call(CallHandler),
    /// May leave the registers alone or end the thread.
    Control(fn(&mut SyscallContext<'_>, &[u32; 6]) -> SyscallResult),
}

/// How far a call is supported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    Full,
    /// What is missing.
    Partial(&'static str),
    /// Why not; the guest sees ENOSYS.
    Missing(&'static str),
}

/// One call.
pub struct Row {
    pub name: &'static str,
    /// Number in the ARM EABI.
    pub arm: Number,
    /// Number in the AArch64 ABI.
    pub arm64: Number,
    pub args: &'static [Arg],
    pub handler: Handler,
    pub level: Level,
}

impl Row {
    /// Whether translated code need not be left for the call.
    const fn is_direct(&self) -> bool {
        use Handler::{Block, Partly, Pass, Plain};
        matches!(self.handler, Pass(_) | Block(_) | Plain(_) | Partly(..))
    }
}

/// First number of the ARM-private calls (cacheflush, set_tls and their kin).
pub const ARM_PRIVATE: u32 = 0x000f_0000;
/// Numbers below this are indexed directly, and as many from [`ARM_PRIVATE`].
const DIRECT: usize = 512;
const PRIVATE: usize = 8;
const EMPTY: u16 = u16::MAX;

/// Row numbers by ARM EABI number, the private ones at the end.
static ARM_INDEX: [u16; DIRECT + PRIVATE] = index_arm();

const fn index_arm() -> [u16; DIRECT + PRIVATE] {
    let mut index = [EMPTY; DIRECT + PRIVATE];
    let mut i = 0;
    while i < rows::ROWS.len() {
        let nr = rows::ROWS[i].arm;
        if nr != NO {
            let slot = if nr >= ARM_PRIVATE {
                DIRECT + (nr - ARM_PRIVATE) as usize
            } else {
                nr as usize
            };
            assert!(index[slot] == EMPTY, "two rows with one number");
            index[slot] = i as u16;
        }
        i += 1;
    }
    index
}

/// [`ARM_INDEX`] of the calls below [`DIRECT`] for which [`Row::is_direct`] holds.
static ARM_DIRECT: [u16; DIRECT] = {
    let mut index = [EMPTY; DIRECT];
    let mut nr = 0;
    while nr < DIRECT {
        if ARM_INDEX[nr] != EMPTY && rows::ROWS[ARM_INDEX[nr] as usize].is_direct() {
            index[nr] = ARM_INDEX[nr];
        }
        nr += 1;
    }
    index
};

/// The row of an ARM EABI number, if translated code need not be left for it.
#[inline]
pub fn direct_arm(nr: u32) -> Option<&'static Row> {
    rows::ROWS.get(usize::from(*ARM_DIRECT.get(nr as usize)?))
}

/// The row of an ARM EABI number.
#[inline]
pub fn lookup_arm(nr: u32) -> Option<&'static Row> {
    let slot = if (nr as usize) < DIRECT {
        nr as usize
    } else {
        let private = nr.wrapping_sub(ARM_PRIVATE) as usize;
        if private >= PRIVATE {
            return None;
        }
        DIRECT + private
    };
    rows::ROWS.get(usize::from(ARM_INDEX[slot]))
}

/// The row with this name.
pub fn lookup_name(name: &str) -> Option<&'static Row> {
    rows::ROWS.iter().find(|r| r.name == name)
}
