//! System V IPC and POSIX message queues (asm-generic/{ipcbuf,sembuf,shmbuf,msgbuf}.h for 32 bits; linux/mqueue.h).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::layout;

/// `struct ipc64_perm`.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IpcPerm {
    pub key: i32,
    pub uid: u32,
    pub gid: u32,
    pub cuid: u32,
    pub cgid: u32,
    pub mode: u16,
    pub pad1: u16,
    pub seq: u16,
    pub pad2: u16,
    pub unused: [u32; 2],
}
layout!(IpcPerm, 36, mode @ 20, seq @ 24);

/// x86-64's `struct ipc64_perm`.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HostIpcPerm {
    pub key: i32,
    pub uid: u32,
    pub gid: u32,
    pub cuid: u32,
    pub cgid: u32,
    pub mode: u32,
    pub seq: u16,
    pub pad2: [u16; 3],
    pub unused: [u64; 2],
}
layout!(HostIpcPerm, 48, seq @ 24);

impl IpcPerm {
    pub fn from_host(p: &HostIpcPerm) -> IpcPerm {
        IpcPerm {
            key: p.key,
            uid: p.uid,
            gid: p.gid,
            cuid: p.cuid,
            cgid: p.cgid,
            mode: p.mode as u16,
            seq: p.seq,
            ..IpcPerm::default()
        }
    }

    /// What IPC_SET reads: owner and mode.
    pub fn to_host(self) -> HostIpcPerm {
        HostIpcPerm {
            uid: self.uid,
            gid: self.gid,
            mode: self.mode.into(),
            ..HostIpcPerm::default()
        }
    }
}

/// `struct semid64_ds`; times are low word, high word.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Semid64 {
    pub perm: IpcPerm,
    pub otime: [u32; 2],
    pub ctime: [u32; 2],
    pub nsems: u32,
    pub unused: [u32; 2],
}
layout!(Semid64, 64, nsems @ 52);

/// x86-64's.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HostSemid64 {
    pub perm: HostIpcPerm,
    pub otime: u64,
    pub unused1: u64,
    pub ctime: u64,
    pub unused2: u64,
    pub nsems: u64,
    pub unused: [u64; 2],
}
layout!(HostSemid64, 104, nsems @ 80);

/// `struct shmid64_ds`.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Shmid64 {
    pub perm: IpcPerm,
    pub segsz: u32,
    pub atime: [u32; 2],
    pub dtime: [u32; 2],
    pub ctime: [u32; 2],
    pub cpid: i32,
    pub lpid: i32,
    pub nattch: u32,
    pub unused: [u32; 2],
}
layout!(Shmid64, 84, nattch @ 72);

/// x86-64's.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HostShmid64 {
    pub perm: HostIpcPerm,
    pub segsz: u64,
    pub atime: u64,
    pub dtime: u64,
    pub ctime: u64,
    pub cpid: i32,
    pub lpid: i32,
    pub nattch: u64,
    pub unused: [u64; 2],
}
layout!(HostShmid64, 112, nattch @ 88);

/// `struct msqid64_ds`.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Msqid64 {
    pub perm: IpcPerm,
    pub stime: [u32; 2],
    pub rtime: [u32; 2],
    pub ctime: [u32; 2],
    pub cbytes: u32,
    pub qnum: u32,
    pub qbytes: u32,
    pub lspid: i32,
    pub lrpid: i32,
    pub unused: [u32; 2],
}
layout!(Msqid64, 88, qbytes @ 68);

/// x86-64's.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HostMsqid64 {
    pub perm: HostIpcPerm,
    pub stime: u64,
    pub rtime: u64,
    pub ctime: u64,
    pub cbytes: u64,
    pub qnum: u64,
    pub qbytes: u64,
    pub lspid: i32,
    pub lrpid: i32,
    pub unused: [u64; 2],
}
layout!(HostMsqid64, 120, qbytes @ 88);

fn halves(v: u64) -> [u32; 2] {
    [v as u32, (v >> 32) as u32]
}

impl From<&HostSemid64> for Semid64 {
    fn from(s: &HostSemid64) -> Semid64 {
        Semid64 {
            perm: IpcPerm::from_host(&s.perm),
            otime: halves(s.otime),
            ctime: halves(s.ctime),
            nsems: s.nsems as u32,
            unused: [0; 2],
        }
    }
}

impl From<&HostShmid64> for Shmid64 {
    fn from(s: &HostShmid64) -> Shmid64 {
        Shmid64 {
            perm: IpcPerm::from_host(&s.perm),
            segsz: u32::try_from(s.segsz).unwrap_or(u32::MAX),
            atime: halves(s.atime),
            dtime: halves(s.dtime),
            ctime: halves(s.ctime),
            cpid: s.cpid,
            lpid: s.lpid,
            nattch: s.nattch as u32,
            unused: [0; 2],
        }
    }
}

impl From<&HostMsqid64> for Msqid64 {
    fn from(s: &HostMsqid64) -> Msqid64 {
        Msqid64 {
            perm: IpcPerm::from_host(&s.perm),
            stime: halves(s.stime),
            rtime: halves(s.rtime),
            ctime: halves(s.ctime),
            cbytes: s.cbytes as u32,
            qnum: s.qnum as u32,
            qbytes: s.qbytes as u32,
            lspid: s.lspid,
            lrpid: s.lrpid,
            unused: [0; 2],
        }
    }
}

/// `struct shminfo64`: shmmax, shmmin, shmmni, shmseg, shmall.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Shminfo {
    pub limits: [u32; 5],
    pub unused: [u32; 4],
}
layout!(Shminfo, 36);

/// x86-64's.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HostShminfo {
    pub limits: [u64; 5],
    pub unused: [u64; 4],
}
layout!(HostShminfo, 72);

/// `struct shm_info`: segments in use; pages in total, resident, swapped; swap attempts and successes.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ShmInfo {
    pub used_ids: i32,
    pub counts: [u32; 5],
}
layout!(ShmInfo, 24);

/// x86-64's.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HostShmInfo {
    pub used_ids: i32,
    pub pad: u32,
    pub counts: [u64; 5],
}
layout!(HostShmInfo, 48);

/// `struct mq_attr`: flags, maxmsg, msgsize, curmsgs.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct MqAttr {
    pub values: [i32; 4],
    pub reserved: [i32; 4],
}
layout!(MqAttr, 32);

/// x86-64's.
#[derive(Clone, Copy, Default, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct HostMqAttr {
    pub values: [i64; 4],
    pub reserved: [i64; 4],
}
layout!(HostMqAttr, 64);

impl From<MqAttr> for HostMqAttr {
    fn from(a: MqAttr) -> HostMqAttr {
        HostMqAttr {
            values: a.values.map(i64::from),
            reserved: [0; 4],
        }
    }
}

impl From<HostMqAttr> for MqAttr {
    fn from(a: HostMqAttr) -> MqAttr {
        MqAttr {
            values: a.values.map(|v| v as i32),
            reserved: [0; 4],
        }
    }
}
