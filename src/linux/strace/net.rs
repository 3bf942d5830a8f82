//! Sockets in a trace: addresses, options, messages.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::decode::At;
use super::files;
use super::memory::{array, bytes, flags, half, number, pointer, quoted, raw, text, word, words};
use crate::linux::table::flags as names;
use crate::linux::table::flags::Names;

macro_rules! values {
    ($set:ident; $($name:ident = $value:expr),* $(,)?) => {
        static $set: Names = Names { mask: u32::MAX, names: &[$(($value, stringify!($name))),*] };
    };
}

values! { IPPROTO;
    IPPROTO_IP = 0, IPPROTO_ICMP = 1, IPPROTO_IGMP = 2, IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_DCCP = 33, IPPROTO_IPV6 = 41,
    IPPROTO_GRE = 47, IPPROTO_ESP = 50, IPPROTO_AH = 51, IPPROTO_ICMPV6 = 58, IPPROTO_SCTP = 132, IPPROTO_UDPLITE = 136,
    IPPROTO_RAW = 255, IPPROTO_MPTCP = 262,
}
values! { NETLINK;
    NETLINK_ROUTE = 0, NETLINK_USERSOCK = 2, NETLINK_FIREWALL = 3, NETLINK_SOCK_DIAG = 4, NETLINK_NFLOG = 5, NETLINK_XFRM = 6,
    NETLINK_SELINUX = 7, NETLINK_ISCSI = 8, NETLINK_AUDIT = 9, NETLINK_FIB_LOOKUP = 10, NETLINK_CONNECTOR = 11,
    NETLINK_NETFILTER = 12, NETLINK_KOBJECT_UEVENT = 15, NETLINK_GENERIC = 16, NETLINK_CRYPTO = 21,
}
values! { ETHERTYPE;
    ETH_P_LOOP = 0x60, ETH_P_ALL = 3, ETH_P_IP = 0x800, ETH_P_ARP = 0x806, ETH_P_8021Q = 0x8100, ETH_P_IPV6 = 0x86dd,
}
// asm-generic/socket.h: the times' old forms on a 32-bit system.
values! { SOCKET_OPTION;
    SO_DEBUG = 1, SO_REUSEADDR = 2, SO_TYPE = 3, SO_ERROR = 4, SO_DONTROUTE = 5, SO_BROADCAST = 6, SO_SNDBUF = 7, SO_RCVBUF = 8,
    SO_KEEPALIVE = 9, SO_OOBINLINE = 10, SO_NO_CHECK = 11, SO_PRIORITY = 12, SO_LINGER = 13, SO_BSDCOMPAT = 14, SO_REUSEPORT = 15,
    SO_PASSCRED = 16, SO_PEERCRED = 17, SO_RCVLOWAT = 18, SO_SNDLOWAT = 19, SO_RCVTIMEO_OLD = 20, SO_SNDTIMEO_OLD = 21,
    SO_BINDTODEVICE = 25, SO_ATTACH_FILTER = 26, SO_DETACH_FILTER = 27, SO_PEERNAME = 28, SO_TIMESTAMP_OLD = 29,
    SO_ACCEPTCONN = 30, SO_PEERSEC = 31, SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33, SO_PASSSEC = 34, SO_TIMESTAMPNS_OLD = 35,
    SO_MARK = 36, SO_TIMESTAMPING_OLD = 37, SO_PROTOCOL = 38, SO_DOMAIN = 39, SO_RXQ_OVFL = 40, SO_WIFI_STATUS = 41,
    SO_PEEK_OFF = 42, SO_NOFCS = 43, SO_LOCK_FILTER = 44, SO_SELECT_ERR_QUEUE = 45, SO_BUSY_POLL = 46,
    SO_MAX_PACING_RATE = 47, SO_BPF_EXTENSIONS = 48, SO_INCOMING_CPU = 49, SO_ATTACH_BPF = 50, SO_COOKIE = 57,
    SO_PEERGROUPS = 59, SO_ZEROCOPY = 60, SO_TXTIME = 61, SO_BINDTOIFINDEX = 62, SO_TIMESTAMP_NEW = 63,
    SO_TIMESTAMPNS_NEW = 64, SO_TIMESTAMPING_NEW = 65, SO_RCVTIMEO_NEW = 66, SO_SNDTIMEO_NEW = 67,
}
values! { TCP_OPTION;
    TCP_NODELAY = 1, TCP_MAXSEG = 2, TCP_CORK = 3, TCP_KEEPIDLE = 4, TCP_KEEPINTVL = 5, TCP_KEEPCNT = 6, TCP_SYNCNT = 7,
    TCP_LINGER2 = 8, TCP_DEFER_ACCEPT = 9, TCP_WINDOW_CLAMP = 10, TCP_INFO = 11, TCP_QUICKACK = 12, TCP_CONGESTION = 13,
    TCP_MD5SIG = 14, TCP_USER_TIMEOUT = 18, TCP_FASTOPEN = 23, TCP_TIMESTAMP = 24, TCP_NOTSENT_LOWAT = 25, TCP_ULP = 31,
}
values! { IP_OPTION;
    IP_TOS = 1, IP_TTL = 2, IP_HDRINCL = 3, IP_OPTIONS = 4, IP_RECVOPTS = 6, IP_RETOPTS = 7, IP_PKTINFO = 8, IP_PKTOPTIONS = 9,
    IP_MTU_DISCOVER = 10, IP_RECVERR = 11, IP_RECVTTL = 12, IP_RECVTOS = 13, IP_MTU = 14, IP_FREEBIND = 15, IP_TRANSPARENT = 19,
    IP_RECVORIGDSTADDR = 20, IP_BIND_ADDRESS_NO_PORT = 24, IP_MULTICAST_IF = 32, IP_MULTICAST_TTL = 33, IP_MULTICAST_LOOP = 34,
    IP_ADD_MEMBERSHIP = 35, IP_DROP_MEMBERSHIP = 36,
}
values! { IPV6_OPTION;
    IPV6_ADDRFORM = 1, IPV6_CHECKSUM = 7, IPV6_UNICAST_HOPS = 16, IPV6_MULTICAST_IF = 17, IPV6_MULTICAST_HOPS = 18,
    IPV6_MULTICAST_LOOP = 19, IPV6_JOIN_GROUP = 20, IPV6_LEAVE_GROUP = 21, IPV6_MTU_DISCOVER = 23, IPV6_MTU = 24,
    IPV6_RECVERR = 25, IPV6_V6ONLY = 26, IPV6_RECVPKTINFO = 49, IPV6_PKTINFO = 50, IPV6_RECVHOPLIMIT = 51, IPV6_HOPLIMIT = 52,
    IPV6_RECVTCLASS = 66, IPV6_TCLASS = 67,
}
values! { NETLINK_OPTION;
    NETLINK_ADD_MEMBERSHIP = 1, NETLINK_DROP_MEMBERSHIP = 2, NETLINK_PKTINFO = 3, NETLINK_BROADCAST_ERROR = 4,
    NETLINK_NO_ENOBUFS = 5, NETLINK_LISTEN_ALL_NSID = 8, NETLINK_CAP_ACK = 10, NETLINK_EXT_ACK = 11, NETLINK_GET_STRICT_CHK = 12,
}
values! { SOCKET_CMSG; SCM_RIGHTS = 1, SCM_CREDENTIALS = 2, SCM_SECURITY = 3, SO_TIMESTAMP_OLD = 29, SO_TIMESTAMPNS_OLD = 35 }

/// Lengths that are shown of a message's name and control data are bounded by what the kernel allows.
const MOST: u32 = 4096;

/// A protocol is named by its family.
pub fn protocol(at: &At<'_>) -> Option<String> {
    Some(match at.args[0] as i32 {
        libc::AF_INET | libc::AF_INET6 => flags(&IPPROTO, at.v),
        libc::AF_NETLINK => flags(&NETLINK, at.v),
        libc::AF_PACKET => format!("htons({})", flags(&ETHERTYPE, u16::from_be(at.v as u16).into()))
            .replace("htons(0x0 /* ETH_??? */", "htons(0 /* ETH_P_??? */"),
        _ => at.v.to_string(),
    })
}

/// A socket address of `len` bytes.
pub fn address(addr: u32, len: u32) -> Option<String> {
    let data = raw(addr, len.min(MOST) as usize).filter(|d| d.len() >= 2)?;
    let family = u16::from_le_bytes([data[0], data[1]]);
    let port = || u16::from_be_bytes([data[2], data[3]]);
    let word = |at: usize| u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
    let name = flags(&names::DOMAIN, family.into());
    let rest = match i32::from(family) {
        libc::AF_INET if data.len() >= 8 => {
            let ip = Ipv4Addr::new(data[4], data[5], data[6], data[7]);
            format!("sin_port=htons({}), sin_addr=inet_addr(\"{ip}\")", port())
        }
        libc::AF_INET6 if data.len() >= 24 => {
            let ip: [u8; 16] = data[8..24].try_into().ok()?;
            let scope = if data.len() >= 28 { word(24) } else { 0 };
            format!(
                "sin6_port=htons({}), sin6_flowinfo=htonl({}), inet_pton(AF_INET6, \"{}\", &sin6_addr), sin6_scope_id={scope}",
                port(),
                u32::from_be(word(4)),
                Ipv6Addr::from(ip)
            )
        }
        libc::AF_UNIX if data.len() == 2 => return Some("{sa_family=AF_UNIX}".into()),
        libc::AF_UNIX => match &data[2..] {
            [0, abstract_name @ ..] => format!("sun_path=@{}", quoted(abstract_name)),
            path => format!("sun_path={}", quoted(path.split(|&b| b == 0).next()?)),
        },
        libc::AF_NETLINK if data.len() >= 12 => {
            let groups = if word(8) == 0 {
                "00000000".into()
            } else {
                format!("{:#08x}", word(8))
            };
            format!("nl_pid={}, nl_groups={groups}", word(4) as i32)
        }
        _ => format!("sa_data={}", quoted(&data[2..])),
    };
    Some(format!("{{sa_family={name}, {rest}}}"))
}

/// An address whose length is the next argument.
pub fn address_in(at: &At<'_>) -> Option<String> {
    address(at.v, at.args[at.word + 1])
}

/// An address that the call writes, its length behind the next argument.
pub fn address_out(at: &At<'_>) -> Option<String> {
    match word(at.args[at.word + 1])? {
        0 => None,
        len => address(at.v, len),
    }
}

static OPTIONS: [(u32, &Names); 5] = [
    (1, &SOCKET_OPTION),
    (0, &IP_OPTION),
    (6, &TCP_OPTION),
    (41, &IPV6_OPTION),
    (270, &NETLINK_OPTION),
];

pub fn option(at: &At<'_>) -> Option<String> {
    let (_, names) = OPTIONS.iter().find(|(level, _)| *level == at.args[1])?;
    Some(flags(names, at.v))
}

/// An option's value: most are a number.
fn value(args: &[u32; 6], addr: u32, len: u32) -> Option<String> {
    const SO_LINGER: u32 = 13;
    const SO_PEERCRED: u32 = 17;
    const SO_BINDTODEVICE: u32 = 25;
    const SO_TIMES: [u32; 2] = [66, 67];
    match (args[1], args[2]) {
        (1, SO_LINGER) if len >= 8 => {
            let [on, time] = words::<2>(addr)?;
            Some(format!("{{l_onoff={}, l_linger={}}}", on as i32, time as i32))
        }
        (1, SO_PEERCRED) if len >= 12 => credentials(addr),
        (1, SO_BINDTODEVICE) | (6, 13 | 31) => Some(text(addr, len)),
        (1, option) if SO_TIMES.contains(&option) && len >= 16 => {
            let [sec, high, usec] = words::<3>(addr)?;
            let sec = (u64::from(high) << 32 | u64::from(sec)) as i64;
            Some(format!("{{tv_sec={sec}, tv_usec={}}}", usec as i32))
        }
        (1, 20 | 21) => Some(bytes(addr, len)),
        _ if len == 4 => number(addr),
        _ => Some(bytes(addr, len)),
    }
}

fn credentials(addr: u32) -> Option<String> {
    let [pid, uid, gid] = words::<3>(addr)?;
    Some(format!("{{pid={}, uid={uid}, gid={gid}}}", pid as i32))
}

pub fn value_in(at: &At<'_>) -> Option<String> {
    value(at.args, at.v, at.args[4])
}

pub fn value_out(at: &At<'_>) -> Option<String> {
    value(at.args, at.v, word(at.args[4])?)
}

/// Control data: headers of 12 bytes, each with its own length.
fn control(addr: u32, len: u32) -> Option<String> {
    const HEADER: u32 = 12;
    let mut shown = Vec::new();
    let mut at = 0;
    while len.checked_sub(at)? >= HEADER {
        let [size, level, kind] = words::<3>(addr + at)?;
        if size < HEADER || size > len - at {
            break;
        }
        let (data, data_len) = (addr + at + HEADER, size - HEADER);
        let kind_names = if level == 1 {
            Some(&SOCKET_CMSG)
        } else {
            OPTIONS.iter().find(|(l, _)| *l == level).map(|(_, n)| *n)
        };
        let kind_name = kind_names.map_or_else(|| format!("{kind:#x}"), |n| flags(n, kind));
        let body = match (level, kind) {
            (1, 1) => array(data, data_len / 4, 4, |a| {
                word(a).map(|fd| (fd as i32).to_string())
            }),
            (1, 2) if data_len >= 12 => credentials(data),
            _ if data_len == 4 => number(data),
            _ => Some(bytes(data, data_len)),
        };
        let body = if data_len > 0 {
            format!(", cmsg_data={}", body?)
        } else {
            String::new()
        };
        shown.push(format!(
            "{{cmsg_len={size}, cmsg_level={}, cmsg_type={kind_name}{body}}}",
            flags(&names::SOL, level)
        ));
        at += size.checked_next_multiple_of(4)?;
    }
    Some(format!("[{}]", shown.join(", ")))
}

/// A message header, of whose buffers `all` bytes are shown.
fn message(addr: u32, all: u32) -> Option<String> {
    let [name, name_len, iov, iov_len, control_at, control_len, bits] = words::<7>(addr)?;
    let name = address(name, name_len.min(MOST)).unwrap_or_else(|| pointer(name));
    let iov = files::vector(iov, iov_len, all).unwrap_or_else(|| pointer(iov));
    let control = match control_len.min(MOST) {
        0 => String::new(),
        len => format!(
            "msg_control={}, ",
            control(control_at, len).unwrap_or_else(|| pointer(control_at))
        ),
    };
    Some(format!(
        "{{msg_name={name}, msg_namelen={name_len}, msg_iov={iov}, msg_iovlen={iov_len}, {control}msg_controllen={control_len}, \
         msg_flags={}}}",
        flags(&names::MSG, bits)
    ))
}

pub fn message_in(at: &At<'_>) -> Option<String> {
    message(at.v, u32::MAX)
}

pub fn message_out(at: &At<'_>) -> Option<String> {
    message(at.v, at.returned?)
}

/// Messages with the bytes that went through each.
pub fn messages(at: &At<'_>) -> Option<String> {
    array(at.v, at.returned?, 32, |addr| {
        let len = word(addr + 28)?;
        Some(format!("{{msg_hdr={}, msg_len={len}}}", message(addr, len)?))
    })
}

/// A pair of descriptors.
pub fn pair(at: &At<'_>) -> Option<String> {
    files::pipe(at)
}

/// struct ifreq: a name and what the request is about.
pub fn interface(addr: u32, request: u32, done: bool) -> Option<String> {
    const IFF: Names = Names {
        mask: 0,
        names: &[
            (1, "IFF_UP"),
            (2, "IFF_BROADCAST"),
            (4, "IFF_DEBUG"),
            (8, "IFF_LOOPBACK"),
            (16, "IFF_POINTOPOINT"),
            (32, "IFF_NOTRAILERS"),
            (64, "IFF_RUNNING"),
            (128, "IFF_NOARP"),
            (256, "IFF_PROMISC"),
            (512, "IFF_ALLMULTI"),
            (1024, "IFF_MASTER"),
            (2048, "IFF_SLAVE"),
            (4096, "IFF_MULTICAST"),
        ],
    };
    let name = raw(addr, 16)?;
    let name = quoted(name.split(|&b| b == 0).next()?);
    let data = addr + 16;
    let body = match request & 0xff {
        0x13 | 0x14 => format!("ifr_flags={}", flags(&IFF, half(data)?.into())),
        0x33 => format!("ifr_ifindex={}", word(data)? as i32),
        0x21 | 0x22 => format!("ifr_mtu={}", word(data)? as i32),
        0x15 | 0x16 => format!("ifr_addr={}", address(data, 16)?),
        _ => return None,
    };
    // A request that asks has only the name until it is answered.
    let asks = request & 1 == 1;
    Some(if asks && !done {
        format!("{{ifr_name={name}}}")
    } else {
        format!("{{ifr_name={name}, {body}}}")
    })
}
