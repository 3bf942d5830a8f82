//! What the threads of a process share: the code cache, the translator, the list of threads.
//!
//! Two locks, always taken in this order: the translator's, held while guest code is read and compiled, and the
//! shared part's, held only for lookups and changes of the cache. Handlers that interrupted translated code take
//! the second; whoever holds it never waits for another thread to leave translated code.

use super::cold::Places;
use super::family::Guest;
use super::fork_hints::{ForkHints, Note};
use super::thread::Thread;
use super::translate::{Compile, Compiled, Request};
use crate::cache::arena::Place;
use crate::cache::blocks::BlockId;
use crate::cache::jump_table::Form;
use crate::cache::store::{Kept, Store};
use crate::cache::{Cache, Full, INT3, pages};
use crate::cpu::location::Location;
use crate::diag::stats::{count_execution, stats};
use crate::mem::{self, GuestAddr};
use crate::x64::code::Code;
use crate::x64::stubs::{Helper, Stubs};
use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Writes to a page of code that are caught before we trust the guest to say what it changes.
pub const WATCHED_WRITES: u8 = 16;

/// Pages of one cacheflush that are remembered as kept by the guest itself.
const FLUSHED_PAGES: u64 = 1024;

/// What is behind the shared lock.
pub struct Shared {
    pub cache: Cache,
    /// Writable pages that hold code: how many writes were caught. From [`WATCHED_WRITES`] on (and at once after a
    /// cacheflush) a page stays writable, and its code counts as changed only when the guest says so, which is what
    /// the architecture asks for anyway.
    writes: HashMap<u32, u8>,
    /// For `--stats`.
    seen: Seen,
    tables_counted: u64,
}

impl Shared {
    fn count(&mut self, code: &Code, took: Option<Duration>) {
        let s = stats();
        s.blocks.add(1);
        s.code_bytes.add(code.bytes.len() as u64);
        let Some(took) = took else { return };
        let new = self.seen.add(code).min(u64::from(code.guest_insns));
        s.guest_insns.add(new);
        s.guest_insns_again.add(u64::from(code.guest_insns) - new);
        let tables = self.cache.table_bytes() as u64;
        s.table_bytes.add(tables.saturating_sub(self.tables_counted));
        self.tables_counted = tables;
        s.translate_ns.add(took.as_nanos() as u64);
    }

    fn trusts_guest(&self, page: u32) -> bool {
        self.writes.get(&page).is_some_and(|&n| n >= WATCHED_WRITES)
    }
}

/// What is behind the translator's lock.
struct Translator {
    compiler: Box<dyn Compile>,
    /// What the family shares.
    store: Option<Store>,
}

/// A registered thread.
struct Registered(*const Thread);

// SAFETY: only `Thread::is_in_code`, which is atomic, is called through the pointer; a thread unregisters itself
// before it goes away.
unsafe impl Send for Registered {}

/// The process's part of execution. There is one, made by [`init`].
pub struct Runtime {
    shared: Mutex<Shared>,
    translator: Mutex<Translator>,
    threads: Mutex<Vec<Registered>>,
    thread_count: AtomicUsize,
    /// Begins anew with each full flush: older translation stacks and exit identifiers mean nothing any more.
    epoch: AtomicU64,
    /// Times that guest code may have changed.
    changes: AtomicU64,
    /// The stubs with our additions, for a child's arena.
    stub_bytes: Vec<u8>,
    stubs: Stubs,
    place: Place,
    /// Arena offset of our addition to the stubs.
    sentinel: u32,
    /// The stubs that call Rust: between them and their callers a signal must not be forgotten.
    call_rust: Range<u32>,
    /// What children of fork had to translate.
    pub hints: ForkHints,
    /// Blocks are entered from the run loop only, one by one (to log or to step).
    pub unlinked: bool,
    /// Which places are not worth a translation yet.
    pub places: Places,
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

/// The process's runtime, once made.
pub fn get() -> Option<&'static Runtime> {
    RUNTIME.get()
}

/// Start-up errors, as the user sees them.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    #[error(
        "cannot make memory for translated code: {0}; raise the limits on memory (ulimit -v, ulimit -d) or free some"
    )]
    Memory(#[from] io::Error),
    #[error("the translator was started twice")]
    Twice,
}

/// Makes the runtime. `stub_bytes` go to the start of the arena.
///
/// # Errors
/// See [`InitError`].
pub fn init(
    place: Option<Place>,
    (stub_bytes, stubs): (Vec<u8>, Stubs),
    translator: Box<dyn Compile>,
    unlinked: bool,
    places: Places,
) -> Result<&'static Runtime, InitError> {
    let own_end = stub_bytes.len() as u32;
    let mut bytes = stub_bytes;
    let sentinel = extend_stubs(&mut bytes);
    let cache = Cache::new(place, &bytes)?;
    let runtime = Runtime {
        place: cache.place(),
        shared: Mutex::new(Shared {
            cache,
            writes: HashMap::new(),
            seen: Seen::default(),
            tables_counted: 0,
        }),
        translator: Mutex::new(Translator {
            compiler: translator,
            store: None,
        }),
        threads: Mutex::new(Vec::new()),
        thread_count: AtomicUsize::new(0),
        epoch: AtomicU64::new(0),
        changes: AtomicU64::new(0),
        stub_bytes: bytes,
        stubs,
        sentinel,
        call_rust: call_rust_range(&stubs, own_end),
        hints: ForkHints::default(),
        unlinked,
        places,
    };
    register_membarrier();
    RUNTIME.set(runtime).map_err(|_| InitError::Twice)?;
    RUNTIME.get().ok_or(InitError::Twice)
}

/// Appends to the stubs the target of sentinels on translation stacks. Returns its offset.
fn extend_stubs(bytes: &mut Vec<u8>) -> u32 {
    bytes.resize(bytes.len().next_multiple_of(16), INT3);
    let sentinel = bytes.len() as u32;
    // A return to SENTINEL_TAG matched a sentinel: lea rsp, [rsp - 8] (as before the return); mov ecx, tag; jmp miss.
    bytes.extend([0x48, 0x8d, 0x64, 0x24, 0xf8]);
    bytes.push(0xb9);
    bytes.extend(super::thread::SENTINEL_TAG.to_le_bytes());
    bytes.push(0xe9);
    let next = bytes.len() as i32 + 4;
    bytes.extend((-next).to_le_bytes());
    sentinel
}

/// The bytes of the stubs that call Rust: from the first of them to the next other stub or the end.
fn call_rust_range(stubs: &Stubs, end: u32) -> Range<u32> {
    const CALLS: [Helper; 3] = [Helper::CallRust, Helper::CallRustSaving, Helper::Svc];
    let calls = CALLS.map(|h| stubs.jumps[h as usize]);
    let start = calls.into_iter().min().unwrap_or(end);
    let last = calls.into_iter().max().unwrap_or(end);
    let others = stubs.jumps.iter().filter(|stub| !calls.contains(stub));
    let others = others.chain([&stubs.enter, &stubs.enter_pending, &stubs.captured]);
    start..others.copied().filter(|&s| s > last).min().unwrap_or(end)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The locks that a fork must not catch in other threads' hands.
pub struct ForkGuards {
    _translator: MutexGuard<'static, Translator>,
    _threads: MutexGuard<'static, Vec<Registered>>,
    shared: MutexGuard<'static, Shared>,
    /// The code for the child, who has its own from then on.
    code: Option<OwnedFd>,
}

impl Runtime {
    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    pub fn stubs(&self) -> &Stubs {
        &self.stubs
    }

    /// Start of the executable mapping.
    pub fn base(&self) -> u64 {
        self.place.rx
    }

    /// Where the arena is, for a process that is to use the same addresses.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Arena offset of `host`, if it is in the executable mapping.
    pub fn offset(&self, host: u64) -> Option<u32> {
        let offset = host.wrapping_sub(self.place.rx);
        (offset < self.place.len).then_some(offset as u32)
    }

    /// Whether `offset` is in the stubs.
    pub fn in_stubs(&self, offset: u32) -> bool {
        (offset as usize) < self.stub_bytes.len()
    }

    pub fn calls_rust(&self, offset: u32) -> bool {
        self.call_rust.contains(&offset)
    }

    /// Host address that sentinels on translation stacks lead to.
    pub fn sentinel(&self) -> u64 {
        self.base() + u64::from(self.sentinel)
    }

    /// Whether the calling thread, which is registered, is the only one. Only it can change that.
    pub fn is_single_threaded(&self) -> bool {
        self.thread_count.load(Ordering::Relaxed) < 2
    }

    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    pub fn register(&self, thread: &Thread) {
        let mut threads = lock(&self.threads);
        threads.push(Registered(thread));
        self.thread_count.store(threads.len(), Ordering::Relaxed);
    }

    pub fn unregister(&self, thread: &Thread) {
        let mut threads = lock(&self.threads);
        threads.retain(|r| !std::ptr::eq(r.0, thread));
        self.thread_count.store(threads.len(), Ordering::Relaxed);
    }

    /// Translates `location` unless another thread has meanwhile, and hands the block and the shared lock to `then`.
    pub fn translate<R>(&self, location: Location, then: impl FnOnce(&mut Shared, BlockId) -> R) -> R {
        let Translator { compiler, store } = &mut *lock(&self.translator);
        loop {
            let mut shared = self.shared();
            if let Some(id) = shared.cache.find(location) {
                return then(&mut shared, id);
            }
            if shared.cache.is_mostly_dead() {
                drop(shared);
                self.flush_all();
                continue;
            }
            let soft = shared.cache.is_soft(location);
            let hash = shared
                .cache
                .table(location.fp)
                .is_ok_and(|(form, _)| form == Form::Hash);
            shared.cache.begin_translation();
            drop(shared);
            let started = count_execution().then(Instant::now);
            let request = Request {
                soft,
                hash,
                record: store.as_ref().is_some_and(|store| !store.is_full()),
                // Read after the translation has begun: what changes later is noticed at its end.
                changes: self.changes.load(Ordering::SeqCst),
                read_page: &|page| self.read_page(page),
            };
            let guest = Guest {
                read_page: request.read_page,
            };
            let sharing = store
                .as_ref()
                .and_then(|store| Some((store, compiler.settings(&request)?)));
            let found = sharing.and_then(|(store, settings)| guest.find(store, location, settings));
            let is_new = found.is_none();
            let compiled = match found {
                Some(Kept { code, ranges }) => Compiled {
                    code,
                    ranges,
                    ..Compiled::default()
                },
                None => compiler.compile(location, &request),
            };
            let mut shared = self.shared();
            if !shared.cache.end_translation(&compiled.ranges) {
                continue;
            }
            match shared.cache.insert(location, &compiled.code, &compiled.ranges) {
                Ok(id) => {
                    // The counting itself is no part of translation.
                    let took = started.map(|s| s.elapsed());
                    self.hints.note(Note::Translated(location));
                    shared.count(&compiled.code, took);
                    if is_new && let Some((store, settings)) = sharing {
                        // The pages are known to be read.
                        let guest = Guest { read_page: &|_| () };
                        guest.keep(store, location, settings, &compiled, shared.cache.packed_rows(id));
                    }
                    compiler.placed(location, compiled, shared.cache.entry(id));
                    return then(&mut shared, id);
                }
                Err(Full) => {
                    drop(shared);
                    self.flush_all();
                }
            }
        }
    }

    /// Whether the translator's work is of use to other processes.
    pub fn shares(&self) -> bool {
        let request = Request {
            soft: false,
            hash: false,
            record: false,
            changes: 0,
            read_page: &|_| (),
        };
        lock(&self.translator).compiler.settings(&request).is_some()
    }

    /// The secret of the store, if there is one.
    pub fn secret(&self) -> Option<[u8; 16]> {
        lock(&self.translator)
            .store
            .as_ref()
            .map(|store| *store.secret().bytes())
    }

    /// From now on translations are looked for in `store`, and kept there.
    pub fn set_store(&self, store: Option<Store>) {
        lock(&self.translator).store = store;
    }

    /// The translator is about to read code from `page`: from now on a write to it must not go unnoticed.
    fn read_page(&self, page: u32) {
        let writable = |p: mem::Prot| p.contains(mem::Prot::WRITE);
        if mem::space().prot(GuestAddr(page << 12)).is_some_and(writable) && self.shared().trusts_guest(page)
        {
            mem::space().note_code(page);
        } else {
            mem::space().protect_code(page);
        }
    }

    /// Starts the cache again, when no other thread is in translated code. The caller holds the translator's lock
    /// (so there is one at a time, and nothing new is translated), is not in translated code and holds nothing else.
    fn flush_all(&self) {
        {
            let mut shared = self.shared();
            self.epoch.fetch_add(1, Ordering::SeqCst);
            shared.cache.retire();
        }
        while self.some_thread_is_in_code() {
            std::thread::sleep(Duration::from_micros(20));
        }
        self.shared().cache.restart();
    }

    /// Looks once, as the lock must not be kept while waiting: a child of vfork that was killed in translated code stays
    /// there until its parent has unregistered it.
    fn some_thread_is_in_code(&self) -> bool {
        // SAFETY: threads unregister (under the lock held here) before they go away.
        lock(&self.threads).iter().any(|t| unsafe { (*t.0).is_in_code() })
    }

    /// Drops what was translated from `range`: how many blocks.
    fn drop_code(&self, shared: &mut Shared, range: Range<u64>) -> usize {
        // Before the cache hears of it: a translation under way has seen the old number and is told of the range.
        self.changes.fetch_add(1, Ordering::SeqCst);
        shared.cache.invalidate(range)
    }

    /// Drops what was translated from `[start, end)` (an end of 0 is the end of memory).
    pub fn invalidate(&self, start: u32, end: u32) {
        let killed = self.drop_code(&mut self.shared(), pages::widen(start, end));
        if killed > 0 {
            self.synchronise();
        }
    }

    /// The guest's cacheflush of `[start, end)`.
    pub fn flush_code(&self, start: u32, end: u32) {
        let range = pages::widen(start, end);
        let mut shared = self.shared();
        let killed = self.drop_code(&mut shared, range.clone());
        let first = range.start >> 12;
        for page in first..(range.end.saturating_sub(1) >> 12).min(first + FLUSHED_PAGES) + 1 {
            if !range.is_empty() {
                shared.writes.insert(page as u32, WATCHED_WRITES);
            }
        }
        drop(shared);
        if killed > 0 {
            self.synchronise();
        }
    }

    /// A write fault at `addr`: true if it was only because the page's code is watched; its translations are gone
    /// and the write may be tried again. For signal handlers.
    pub fn code_write(&self, addr: u32) -> bool {
        let page = addr >> 12;
        let start = page << 12;
        if mem::space()
            .prot(GuestAddr(addr))
            .is_none_or(|p| !p.contains(mem::Prot::WRITE))
        {
            return false;
        }
        {
            let mut shared = self.shared();
            let writes = shared.writes.entry(page).or_insert(0);
            *writes = writes.saturating_add(1);
            self.drop_code(&mut shared, pages::widen(start, start.wrapping_add(4096)));
        }
        let ours = mem::space().unprotect_code(page);
        // Between the two a translation may have begun: it has told the page table again, or it is dropped here.
        self.invalidate(start, start.wrapping_add(4096));
        ours
    }

    /// The mapping of `[start, end)` changed.
    pub fn mapping_changed(&self, start: u32, end: u32) {
        let range = pages::widen(start, end);
        let mut shared = self.shared();
        let killed = self.drop_code(&mut shared, range.clone());
        if !shared.writes.is_empty() {
            shared
                .writes
                .retain(|&page, _| !range.contains(&(u64::from(page) << 12)));
        }
        drop(shared);
        if killed > 0 {
            self.synchronise();
        }
    }

    /// Makes every other thread see the code as it is now before it executes more of it.
    fn synchronise(&self) {
        const PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 5;
        if self.is_single_threaded() {
            return;
        }
        // SAFETY: membarrier takes no pointers.
        let failed = unsafe { libc::syscall(libc::SYS_membarrier, PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) } != 0;
        if failed {
            register_membarrier();
            // SAFETY: as above.
            unsafe { libc::syscall(libc::SYS_membarrier, PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) };
        }
    }

    /// Does what earlier children of fork had to do, for the next to find it done.
    fn follow_hints(&self) {
        self.hints.prepare();
        let notes = self.hints.take();
        if notes.is_empty() || self.unlinked {
            return;
        }
        let first = self.shared().cache.exits();
        for note in &notes {
            if let Note::Translated(location) = note {
                self.translate(*location, |_, _| ());
            }
        }
        let cache = &mut self.shared().cache;
        let linked = notes.iter().filter_map(|n| match n {
            Note::Linked(id) => Some(*id),
            _ => None,
        });
        for id in linked.chain(first..cache.exits()) {
            if let Some(target) = cache.exit_target(id)
                && let Some(block) = cache.find(target)
            {
                cache.link(id, block);
            }
        }
        for note in &notes {
            if let Note::Filled(location) = note
                && let Some(block) = cache.find(*location)
            {
                cache.fill_table(block);
            }
        }
    }

    /// Takes every lock before fork(2). `private_files` as for `Machine::before_fork`.
    pub fn before_fork(&'static self, private_files: bool) -> ForkGuards {
        if self.is_single_threaded() {
            self.follow_hints();
        }
        let (translator, threads, shared) = (lock(&self.translator), lock(&self.threads), lock(&self.shared));
        // Where others of the guest's can close it, the descriptor could be another file's before the child has mapped it.
        let alone = private_files && self.is_single_threaded();
        let code = alone.then(|| shared.cache.copy_code()).flatten();
        ForkGuards {
            _translator: translator,
            _threads: threads,
            shared,
            code,
        }
    }

    /// In the child after fork(2): code memory of its own, and only `thread`.
    ///
    /// # Errors
    /// The host's error when there is no memory; nothing can run then.
    pub fn after_fork_child(&self, mut guards: ForkGuards, thread: &Thread) -> io::Result<()> {
        self.hints.begin();
        match guards.code.take() {
            Some(code) => guards.shared.cache.adopt_code(&code)?,
            None => {
                self.epoch.fetch_add(1, Ordering::SeqCst);
                guards.shared.cache.renew(&self.stub_bytes)?;
            }
        }
        guards._threads.retain(|r| std::ptr::eq(r.0, thread));
        self.thread_count.store(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Registers the intent to use membarrier; cheap while there is one thread. An old or filtered kernel refuses: then
/// the barrier is that of the fault or jump that leads a thread to changed code.
fn register_membarrier() {
    const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 6;
    // SAFETY: membarrier takes no pointers.
    unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0) };
}

/// The guest addresses whose instructions have been translated, to count distinct ones: a bit a halfword, of which
/// only what is used takes memory. Made for `--stats` only.
#[derive(Default)]
struct Seen(Vec<u64>);

impl Seen {
    /// How many of the instructions of `code` are new.
    fn add(&mut self, code: &Code) -> u64 {
        if self.0.is_empty() {
            self.0 = vec![0; 1 << 25];
        }
        let mut new = 0;
        for row in code.rows.iter().filter(|r| r.boundary) {
            let bit = 1 << (row.pc >> 1 & 63);
            let word = &mut self.0[(row.pc >> 7) as usize];
            new += u64::from(*word & bit == 0);
            *word |= bit;
        }
        new
    }
}
