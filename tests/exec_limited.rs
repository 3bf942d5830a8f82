//! Under an address-space limit: no reservation of the guest's window, a smaller arena, the hashed jump table.

use emu::exec::machine::Event;
use emu::exec::{ExecConfig, new_machine};
use emu::mem::{GuestAddr, MapRequest, Prot, Space, SpaceConfig, space};

#[test]
fn indirect_branches_through_the_hashed_table() {
    let limit = libc::rlimit {
        rlim_cur: 2 << 30,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is valid; this process has one test.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
    Space::init(&SpaceConfig::default()).unwrap();
    emu::exec::init(&ExecConfig::new(emu::cpu::model::Model::max())).unwrap();
    let request = MapRequest {
        addr: 0,
        len: 0x40000,
        prot: Prot::READ | Prot::WRITE | Prot::EXEC,
        flags: libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        fd: -1,
        offset: 0,
    };
    let at = space().mmap(&request).unwrap();
    #[rustfmt::skip]
    let words: [u32; 7] = [
        0xe1a0500e, // mov r5, lr
        0xe12fff36, // 1: blx r6
        0xe2866802, // add r6, r6, #0x20000
        0xe12fff36, // blx r6
        0xe2577001, // subs r7, r7, #1
        0x1afffffa, // bne 1b (r6 is back where it was)
        0xef000001, // svc 1
    ];
    for (i, word) in words.iter().enumerate() {
        space().write(GuestAddr(at + 4 * i as u32), word).unwrap();
    }
    // Two functions at the same index of the hash: they evict each other.
    for (offset, add) in [(0x1000, 0xe2800001u32), (0x21000, 0xe2466802)] {
        space().write(GuestAddr(at + offset), &add).unwrap();
        space()
            .write(GuestAddr(at + offset + 4), &0xe280_0001u32)
            .unwrap();
        space()
            .write(GuestAddr(at + offset + 8), &0xe12f_ff1eu32)
            .unwrap();
    }
    let mut m = new_machine(at, false, 0).unwrap();
    (m.cpu().r[6], m.cpu().r[7]) = (at + 0x1000, 5000);
    assert_eq!(m.run(), Event::Syscall { imm: 1 });
    assert_eq!((m.cpu().r[0], m.cpu().r[6]), (15_000, at + 0x1000));
}
