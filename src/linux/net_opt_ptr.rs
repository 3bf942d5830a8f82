//! Socket options whose values hold addresses: 64-bit words in every ABI, which would reach past the guest's window if the
//! kernel had them as the guest wrote them.

use super::call::{host, signed};
use super::errno::{Errno, SysResult};
use super::guest;

const SOL_IP: u32 = 0;
const SOL_TCP: u32 = 6;
const SOL_IPV6: u32 = 41;
const SOL_SCTP: u32 = 132;
const SOL_PACKET: u32 = 263;
const SOL_RDS: u32 = 276;
const SOL_XDP: u32 = 283;
const SOL_MPTCP: u32 = 284;

/// Whether an option is answered as by a kernel that does not have it (ENOPROTOOPT): its value holds addresses, and its
/// layout is another on x86-64. Tables of packet filters, memory of AF_XDP and RDS, a program of AF_PACKET's, SCTP's
/// SCTP_SOCKOPT_CONNECTX3.
pub fn is_refused(level: u32, option: u32) -> bool {
    match level {
        // IPT_SO_SET_REPLACE, ARPT_SO_SET_REPLACE, those of ebtables.
        SOL_IP => matches!(option, 64 | 96 | 128..=131),
        // IP6T_SO_SET_REPLACE.
        SOL_IPV6 => option == 64,
        SOL_SCTP => option == 111,
        // PACKET_FANOUT_DATA.
        SOL_PACKET => option == 22,
        // RDS_GET_MR, RDS_GET_MR_FOR_DEST.
        SOL_RDS => matches!(option, 2 | 7),
        // XDP_UMEM_REG.
        SOL_XDP => option == 4,
        _ => false,
    }
}

/// An address in a value, and how many bytes there may be read or written.
struct Address {
    offset: usize,
    len: fn(&Value) -> u64,
}

/// The value of an option as a guest passes it to getsockopt.
struct Value(Vec<u8>);

impl Value {
    fn word(&self, offset: usize) -> u32 {
        let bytes = self.0.get(offset..offset + 4).and_then(|b| b.first_chunk());
        bytes.map_or(0, |b| u32::from_le_bytes(*b))
    }

    /// `None` where the value ends before it.
    fn address(&mut self, offset: usize) -> Option<&mut [u8; 8]> {
        self.0.get_mut(offset..offset + 8)?.first_chunk_mut()
    }
}

/// Where the addresses are in what getsockopt is passed.
fn addresses(level: u32, option: u32) -> Option<&'static [Address]> {
    match (level, option) {
        // TCP_ZEROCOPY_RECEIVE, `struct tcp_zerocopy_receive`: a mapping, a buffer for what does not fill a page (of a
        // signed length), and one for control messages, which has the host's layout and is left out: MSG_CTRUNC says so.
        (SOL_TCP, 35) => Some(&[
            Address {
                offset: 0,
                len: |v| v.word(8).into(),
            },
            Address {
                offset: 24,
                len: |v| (v.word(32) as i32).max(0) as u64,
            },
            Address {
                offset: 40,
                len: |_| 0,
            },
        ]),
        // MPTCP_FULL_INFO, `struct mptcp_full_info`: arrays of addresses and of TCP_INFO.
        (SOL_MPTCP, 4) => Some(&[
            Address {
                offset: 24,
                len: |v| u64::from(v.word(12)) * u64::from(v.word(20)),
            },
            Address {
                offset: 32,
                len: |v| u64::from(v.word(4)) * u64::from(v.word(20)),
            },
        ]),
        _ => None,
    }
}

/// getsockopt(fd, level, option, value, length) of an option with addresses in its value, made with a copy in which they are the host's;
/// `None` for all others.
pub fn getsockopt(a: &[u32; 6]) -> Option<SysResult> {
    addresses(a[1], a[2]).map(|all| with_addresses(a, all))
}

fn with_addresses(a: &[u32; 6], all: &[Address]) -> SysResult {
    /// Longer than either structure; what follows must be zero, if it is looked at.
    const MOST: u32 = 4096;
    let mut len: u32 = guest::get(a[4])?;
    if len > MOST {
        return Err(Errno::EINVAL);
    }
    let mut value = Value(guest::get_vec(a[3], len as usize)?);
    let mut given = Vec::new();
    for address in all {
        let bytes = (address.len)(&value);
        let Some(word) = value.address(address.offset) else {
            continue;
        };
        given.push((address.offset, *word));
        let guest = u64::from_le_bytes(*word);
        let there = match (u32::try_from(guest), u32::try_from(bytes)) {
            (_, Ok(0)) | (Ok(0), _) => 0,
            (Ok(guest), Ok(bytes)) => guest::dst(guest, bytes)?,
            // A 32-bit kernel's errno for an address of more bits; more bytes than there are.
            (Err(_), _) => return Err(Errno::EINVAL),
            (_, Err(_)) => return Err(Errno::EFAULT),
        };
        *word = there.to_le_bytes();
    }
    let args = [
        signed(a[0]),
        a[1].into(),
        a[2].into(),
        value.0.as_mut_ptr() as u64,
        &raw mut len as u64,
    ];
    // SAFETY: value and length live over the call; the addresses in the value are checked ranges of the guest's window.
    unsafe { host(libc::SYS_getsockopt, &args)? };
    for (offset, word) in given {
        if let Some(place) = value.address(offset) {
            *place = word;
        }
    }
    let written = value.0.get(..len as usize).unwrap_or(&value.0);
    guest::put_bytes(a[3], written)?;
    guest::put(a[4], &len)?;
    Ok(0)
}
