//! The AArch64 build of the lockstep guest under qemu-aarch64: sequences whose outcomes are known from the Arm ARM
//! (DDI 0487). `emu` runs no AArch64 programs yet; this keeps the protocol ready for it.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

// The protocol of fixtures/src/lockstep.h.
const ARENA: u64 = 0x1340_0000;
const LEAVE: u64 = 0x1348_0200;
const RETURN: u64 = 0x1348_1008;
const WINDOW: u64 = 0x2800_0000;
const WINDOW_SIZE: usize = 8192;
const CHUNK: usize = 256;
const BACKGROUNDS: usize = 8;
const SLOTS: usize = 64;
const CODE_WORDS: usize = 64;
const CASES: usize = 1024;
const VFP: u32 = 1;
const STORES: u32 = 2;
const IN: usize = 792;
const OUT: usize = 816;
const BATCH: u64 = 4096 + (BACKGROUNDS * WINDOW_SIZE) as u64;
const BATCH_SIZE: u64 = (64 + SLOTS * (16 + 4 * CODE_WORDS) + CASES * IN) as u64;
const RING: u64 = 4;
const OUTCOMES: u64 = 2 * 4096 + WINDOW_SIZE as u64;

/// A state that a sequence starts from.
#[derive(Clone)]
struct Input {
    x: [u64; 31],
    sp: u64,
    nzcv: u32,
    fpcr: u32,
    v: [u128; 32],
}

impl Default for Input {
    fn default() -> Input {
        Input {
            x: std::array::from_fn(|n| 0x0101_0101_0101_0101 * (n as u64 + 1)),
            sp: WINDOW + 0x1000,
            nzcv: 0,
            fpcr: 0,
            v: std::array::from_fn(|n| n as u128),
        }
    }
}

/// And the state after it.
struct Output(Vec<u8>);

impl Output {
    fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.0[at..at + 8].try_into().expect("eight bytes"))
    }
    fn u32(&self, at: usize) -> u32 {
        self.u64(at) as u32
    }
    fn x(&self, n: usize) -> u64 {
        self.u64(8 * n)
    }
    fn sp(&self) -> u64 {
        self.u64(248)
    }
    fn pc(&self) -> u64 {
        self.u64(256)
    }
    fn nzcv(&self) -> u32 {
        self.u32(264)
    }
    fn fpsr(&self) -> u32 {
        self.u32(272)
    }
    /// Number, code and address.
    fn signal(&self) -> (u32, u32, u64) {
        (self.u32(276), self.u32(280), self.u64(296))
    }
    /// The written chunks, and the hash of what they hold.
    fn written(&self) -> (u32, u32) {
        (self.u32(284), self.u32(288))
    }
    fn v(&self, n: usize) -> u128 {
        u128::from(self.u64(304 + 16 * n)) | u128::from(self.u64(312 + 16 * n)) << 64
    }
}

/// The guest, fed by files that it has mapped.
struct Guest {
    child: Child,
    input: File,
    output: File,
    batches: u32,
}

impl Guest {
    fn start() -> Guest {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let file = |name: &str, size: u64| {
            let path = directory.join(format!("{name}-{}", std::process::id()));
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(&path)
                .expect("a file");
            std::fs::remove_file(&path).expect("its name goes");
            file.set_len(size).expect("room");
            file
        };
        let input = file("lockstep-in", BATCH + RING * BATCH_SIZE);
        let output = file("lockstep-out", OUTCOMES + RING * (CASES * OUT) as u64);
        input.write_all_at(&1u32.to_le_bytes(), 8).expect("written");
        let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/aarch64/lockstep");
        let child = Command::new("qemu-aarch64")
            .arg(guest)
            .args(["0", "1", "0"])
            .stdin(Stdio::from(input.try_clone().expect("a descriptor")))
            .stdout(Stdio::from(output.try_clone().expect("a descriptor")))
            .stderr(Stdio::piped())
            .spawn()
            .expect("qemu-aarch64 starts (see tools/install-deps)");
        Guest {
            child,
            input,
            output,
            batches: 0,
        }
    }

    /// Runs a sequence on each input.
    fn run(&mut self, code: &[u32], flags: u32, inputs: &[Input]) -> Vec<Output> {
        let place = BATCH + u64::from(self.batches) % RING * BATCH_SIZE;
        let mut batch = vec![0u8; BATCH_SIZE as usize];
        let mut put = |at: usize, bytes: &[u8]| batch[at..at + bytes.len()].copy_from_slice(bytes);
        // One slot, background 0, guest 0, at the start of the arena, mapped anew.
        put(0, &1u32.to_le_bytes());
        put(8, &1u32.to_le_bytes());
        put(64, &(inputs.len() as u32).to_le_bytes());
        put(68, &flags.to_le_bytes());
        for (i, word) in sequence(code).iter().enumerate() {
            put(64 + 16 * SLOTS + 4 * i, &word.to_le_bytes());
        }
        for (i, input) in inputs.iter().enumerate() {
            let at = 64 + SLOTS * (16 + 4 * CODE_WORDS) + i * IN;
            for (n, x) in input.x.iter().enumerate() {
                put(at + 8 * n, &x.to_le_bytes());
            }
            put(at + 248, &input.sp.to_le_bytes());
            put(at + 256, &ARENA.to_le_bytes());
            put(at + 264, &input.nzcv.to_le_bytes());
            put(at + 268, &input.fpcr.to_le_bytes());
            for (n, v) in input.v.iter().enumerate() {
                put(at + 280 + 16 * n, &v.to_le_bytes());
            }
        }
        self.input.write_all_at(&batch, place).expect("written");
        self.batches += 1;
        self.input
            .write_all_at(&self.batches.to_le_bytes(), 0)
            .expect("written");
        self.wake();
        self.wait();
        let outcomes = OUTCOMES + u64::from(self.batches - 1) % RING * (CASES * OUT) as u64;
        (0..inputs.len())
            .map(|i| {
                let mut bytes = vec![0; OUT];
                self.output
                    .read_exact_at(&mut bytes, outcomes + (i * OUT) as u64)
                    .expect("outcomes");
                Output(bytes)
            })
            .collect()
    }

    /// The guest may sleep on the count of batches.
    fn wake(&self) {
        // SAFETY: a fresh mapping of the file's first page, which has that size, of which nothing is read or written
        // here; futex only takes its first word's address to find who waits for it.
        unsafe {
            let fd = self.input.as_raw_fd();
            let page = libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ,
                libc::MAP_SHARED,
                fd,
                0,
            );
            assert_ne!(page, libc::MAP_FAILED);
            libc::syscall(libc::SYS_futex, page, libc::FUTEX_WAKE, 1);
            libc::munmap(page, 4096);
        }
    }

    fn wait(&mut self) {
        let start = Instant::now();
        let mut done = [0; 4];
        while u32::from_le_bytes(done) != self.batches {
            self.output.read_exact_at(&mut done, 0).expect("a counter");
            if let Some(status) = self.child.try_wait().expect("a child") {
                let mut said = String::new();
                let _ = self.child.stderr.take().map(|mut e| e.read_to_string(&mut said));
                panic!("the guest ended: {status}\n{said}");
            }
            assert!(start.elapsed() < Duration::from_secs(60), "the guest hangs");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The words of a slot: the load of X30 that every sequence starts with, `code`, B to the way out.
fn sequence(code: &[u32]) -> Vec<u32> {
    let mut words = vec![0x5800_0000 | (((RETURN - ARENA) / 4) as u32) << 5 | 30];
    words.extend(code);
    let from = ARENA + 4 * words.len() as u64;
    words.push(0x1400_0000 | ((LEAVE - from) / 4) as u32);
    assert!(words.len() <= CODE_WORDS);
    words
}

/// FNV as the guest has it, over the words of a chunk.
fn hash(words: impl IntoIterator<Item = u32>) -> u32 {
    words
        .into_iter()
        .fold(0, |h, w| (h ^ w).wrapping_mul(0x0100_0193))
}

#[test]
fn known_sequences() {
    let mut guest = Guest::start();

    // ADD x0, x1, x2. Nothing else changes.
    let input = Input::default();
    let out = &guest.run(&[0x8b02_0020], VFP, std::slice::from_ref(&input))[0];
    assert_eq!(out.x(0), input.x[1] + input.x[2]);
    for n in 1..31 {
        assert_eq!(out.x(n), input.x[n], "x{n}");
    }
    assert_eq!((out.sp(), out.pc(), out.nzcv()), (input.sp, 0, 0));
    assert_eq!(out.signal(), (0, 0, 0));
    for n in 0..32 {
        assert_eq!(out.v(n), input.v[n], "v{n}");
    }

    // ADDS x3, x4, x5 (AddWithCarry): signed overflow, then a carry to zero, then the flags that were there are gone.
    let with = |x4: u64, x5: u64, nzcv: u32| {
        let mut input = Input {
            nzcv,
            ..Input::default()
        };
        (input.x[4], input.x[5]) = (x4, x5);
        input
    };
    let inputs = [
        with(i64::MAX as u64, 1, 0),
        with(u64::MAX, 1, 0),
        with(1, 1, 0xf000_0000),
    ];
    let outs = guest.run(&[0xab05_0083], 0, &inputs);
    let found: Vec<_> = outs.iter().map(|o| (o.x(3), o.nzcv())).collect();
    assert_eq!(
        found,
        [(1 << 63, 0x9000_0000), (0, 0x6000_0000), (2, 0)],
        "N and V, Z and C, none"
    );

    // ADD v0.4s, v1.4s, v2.4s: four sums of 32 bits; FDIV s3, s4, s5: 1/3 to nearest, inexact (FPSR.IXC), the rest of V3 zero.
    let mut input = Input::default();
    input.v[1] = 0x0000_0001_ffff_ffff_7fff_ffff_8000_0000;
    input.v[2] = 0x0000_0002_0000_0001_0000_0001_8000_0000;
    input.v[3] = u128::MAX;
    (input.v[4], input.v[5]) = (u128::from(1f32.to_bits()), u128::from(3f32.to_bits()));
    let out = &guest.run(&[0x4ea2_8420, 0x1e25_1883], VFP, &[input])[0];
    assert_eq!(out.v(0), 0x0000_0003_0000_0000_8000_0000_0000_0000);
    assert_eq!(out.v(3), 0x3eaa_aaab);
    assert_eq!(out.fpsr(), 0x10);

    // LDR x0, [x1] of an address where nothing is: SEGV_MAPERR there, at the second word of the sequence.
    let mut input = Input::default();
    input.x[1] = 0x1000;
    let out = &guest.run(&[0xf940_0020], VFP, std::slice::from_ref(&input))[0];
    assert_eq!(out.signal(), (11, 1, 0x1000));
    assert_eq!(
        (out.pc(), out.x(0), out.x(30)),
        (ARENA + 4, input.x[0], input.x[30])
    );
    assert_eq!(out.v(31), 31);

    // STR x2, [x3] in the window; the input after it finds the window as it was.
    let mut input = Input::default();
    input.x[3] = WINDOW + 15 * CHUNK as u64 + 8;
    let outs = guest.run(&[0xf900_0062], STORES, &[input.clone(), input.clone()]);
    let stored = [input.x[2] as u32, (input.x[2] >> 32) as u32];
    let words = [0, 0].into_iter().chain(stored).chain([0; 60]);
    assert_eq!(outs[0].written(), (1 << 15, hash(words)));
    assert_eq!(outs[1].written(), outs[0].written());

    // B to itself: SIGPROF after a tenth of a second, wherever it was.
    let out = &guest.run(&[0x1400_0000], 0, &[Input::default()])[0];
    assert_eq!((out.signal().0, out.pc()), (27, 0));
}
