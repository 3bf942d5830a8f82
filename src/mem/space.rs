//! The guest's window in the host process: reservation, limits, code protection.

use std::cell::UnsafeCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::addr::{Fault, GuestAddr, PAGE_SHIFT, PAGE_SIZE, Prot, TASK_SIZE, WINDOW, pages};
use super::host;
use super::list::Extents;
use super::page::{CODE, MAPPED, PageTable, SHARED, STACK, Summary, WATCHED};

/// Below this limit on the host's address space nothing is reserved: the emulator needs room, too.
const RESERVE_LIMIT: u64 = 16 << 30;
/// Bytes kept inaccessible above the window, so that a 32-bit address plus a 32-bit length ends there.
const GUARD: u64 = 1 << 32;
/// Pages that the kernel keeps free below a stack (stack_guard_gap).
const STACK_GAP: u32 = 256;

/// Where in the host's address space the guest's addresses begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindowPlace {
    /// At 0, so that guest addresses are host addresses, if the host then lets the guest map `lowest` and what is above
    /// (`vm.mmap_min_addr`); anywhere if not.
    Identity { lowest: u32 },
    /// Anywhere: any address but the first page can be mapped, and translated code adds a base to each.
    Anywhere,
}

impl Default for WindowPlace {
    fn default() -> WindowPlace {
        WindowPlace::Identity { lowest: u32::MAX }
    }
}

/// How to set up the window.
#[derive(Clone, Debug)]
pub struct SpaceConfig {
    /// Reserve the window and the guard. Without a reservation everything works, and a limit on the host's address
    /// space counts only what the guest maps.
    pub reserve: bool,
    /// Where the window is to lie.
    pub place: WindowPlace,
    /// The guest's RLIMIT_AS, in bytes; `u64::MAX` is no limit.
    pub address_space: u64,
    /// The guest's RLIMIT_DATA.
    pub data: u64,
    /// The guest's RLIMIT_STACK.
    pub stack: u64,
}

impl Default for SpaceConfig {
    /// The limits of this process, and a reservation if its address space has room for it.
    fn default() -> SpaceConfig {
        let address_space = soft_limit(libc::RLIMIT_AS);
        SpaceConfig {
            reserve: address_space >= RESERVE_LIMIT,
            place: WindowPlace::default(),
            address_space,
            data: soft_limit(libc::RLIMIT_DATA),
            stack: soft_limit(libc::RLIMIT_STACK),
        }
    }
}

fn soft_limit(resource: libc::__rlimit_resource_t) -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: `limit` is a valid destination. A failure leaves "no limit".
    unsafe { libc::getrlimit(resource, &mut limit) };
    limit.rlim_cur
}

/// Why the window could not be set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InitError {
    #[error(
        "cannot make room for the guest's address space: host error {0}; raise the limits on memory (ulimit -v, ulimit -d)"
    )]
    Host(i32),
}

/// The guest's resource limits that its mappings count against, in bytes; `u64::MAX` is no limit. Kept here and
/// never handed to the host, whose limits would count the emulator, too.
#[derive(Debug)]
pub struct Limits {
    pub address_space: AtomicU64,
    pub data: AtomicU64,
    pub stack: AtomicU64,
}

/// What changes under the lock.
pub(super) struct State {
    pub extents: Extents,
    /// Upper end for placing mappings, a page number.
    pub mmap_base: u32,
    /// Heap bounds, bytes.
    pub start_brk: u32,
    pub brk: u32,
    /// The stack pointer at start: its mapping is shown as `[stack]`.
    pub start_stack: u32,
    /// Mappings with a name of the kernel's, page ranges.
    pub named: Vec<(Range<u32>, &'static str)>,
    /// Attached System V segments: first page to length in pages.
    pub attached: BTreeMap<u32, u32>,
    /// Page ranges that a fork's child does not get (MADV_DONTFORK).
    pub unforked: Vec<Range<u32>>,
    /// Mapped pages, as RLIMIT_AS counts them.
    pub mapped: u32,
    /// The most that were mapped so far.
    pub peak: u32,
    /// Private writable pages outside the stack, as RLIMIT_DATA counts them.
    pub data: u32,
}

/// The guest's address space. One for each process; all methods may be called from any thread.
pub struct Space {
    base: u64,
    /// The first page that can be mapped.
    pub(super) low: u32,
    pub(super) reserved: bool,
    pub(super) table: PageTable,
    state: Mutex<State>,
    hook: AtomicUsize,
    pub limits: Limits,
    read_implies_exec: AtomicBool,
}

static SPACE: OnceLock<Space> = OnceLock::new();

/// The space of this process. Before [`Space::init`] has succeeded there is none: then the program stops here with
/// a message, since nothing could go on.
pub fn space() -> &'static Space {
    SPACE.get().expect("mem::Space::init comes first")
}

impl Space {
    /// Sets up the window, once for each process (a child of fork keeps its copy). Later calls return the same space.
    pub fn init(config: &SpaceConfig) -> Result<&'static Space, InitError> {
        static STARTING: Mutex<()> = Mutex::new(());
        // Without the lock first: a child of fork must not wait for one that another thread of its parent held.
        if let Some(space) = SPACE.get() {
            return Ok(space);
        }
        let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(space) = SPACE.get() {
            return Ok(space);
        }
        let claim = claim(config)?;
        let space = Space {
            base: claim.base,
            low: claim.low >> PAGE_SHIFT,
            reserved: claim.reserved,
            table: PageTable::new().map_err(InitError::Host)?,
            state: Mutex::new(State {
                extents: Extents::default(),
                mmap_base: 0xf7ff_0000 >> PAGE_SHIFT,
                start_brk: 0,
                brk: 0,
                start_stack: 0,
                named: Vec::new(),
                attached: BTreeMap::new(),
                unforked: Vec::new(),
                mapped: 0,
                peak: 0,
                data: 0,
            }),
            hook: AtomicUsize::new(0),
            limits: Limits {
                address_space: AtomicU64::new(config.address_space),
                data: AtomicU64::new(config.data),
                stack: AtomicU64::new(config.stack),
            },
            read_implies_exec: AtomicBool::new(false),
        };
        let space = SPACE.get_or_init(|| space);
        // SAFETY: the three handlers only take and release this module's lock.
        unsafe { libc::pthread_atfork(Some(before_fork), Some(after_fork), Some(after_fork)) };
        Ok(space)
    }

    /// Host address of guest address 0.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Host address of the page table: a byte for each page, bit 3 of it set for mapped ones.
    pub fn page_bytes(&self) -> u64 {
        self.table.address()
    }

    /// The lowest address that the guest can map (vm.mmap_min_addr of the host where the window begins at 0).
    pub fn lowest(&self) -> u32 {
        self.low << PAGE_SHIFT
    }

    /// Whether the window is reserved (see [`SpaceConfig::reserve`]).
    pub fn is_reserved(&self) -> bool {
        self.reserved
    }

    /// The host address of `a`. It need not be mapped.
    pub fn host(&self, a: GuestAddr) -> *mut u8 {
        (self.base + u64::from(a.0)) as *mut u8
    }

    /// The host address of a range that lies in the guest's window: for pointers that the host kernel is to follow,
    /// which says EFAULT itself where nothing is mapped. An empty range may lie anywhere.
    pub fn check(&self, a: GuestAddr, len: u64) -> Result<*mut u8, Fault> {
        if len <= u64::from(TASK_SIZE) && u64::from(a.0) + len <= u64::from(TASK_SIZE) || len == 0 {
            Ok(self.host(a))
        } else {
            Err(Fault)
        }
    }

    /// [`check`](Space::check) for a range that the host kernel is to write. Pages that are read-only on the host
    /// just because code was translated from them become writable first (the code hook is called), or the kernel
    /// would say EFAULT.
    pub fn check_write(&self, a: GuestAddr, len: u64) -> Result<*mut u8, Fault> {
        let host = self.check(a, len)?;
        if len > 0 {
            let range = a.page()..((u64::from(a.0) + len - 1) >> PAGE_SHIFT) as u32 + 1;
            // The hardly ever written page table is read without the lock first.
            if self.table.summary(range.clone()).watched {
                for page in range {
                    if self.table.get(page) & WATCHED != 0 && self.unprotect_code(page) {
                        self.changed(page..page + 1);
                    }
                }
            }
        }
        Ok(host)
    }

    /// The guest's permissions of the page of `a`; `None` if it is not mapped.
    pub fn prot(&self, a: GuestAddr) -> Option<Prot> {
        let byte = self.table.get(a.page());
        (byte & MAPPED != 0).then(|| Prot::from_bits_truncate(byte))
    }

    /// Whether every page of the range is mapped (the reservation hides holes from the host's mlock, msync, mincore).
    pub fn is_mapped(&self, a: GuestAddr, len: u32) -> bool {
        let end = pages(u64::from(a.0) + u64::from(len)).min(1 << 20) as u32;
        let range = a.page()..end.max(a.page());
        self.table.first_unmapped(range.clone()) == range.end
    }

    /// Sets what is called after any change that can invalidate translated code in `[start, end)`: unmapping,
    /// mapping over, other permissions, discarded contents. It is called with no lock of this module held, on the
    /// thread that made the change, and only for pages named to [`protect_code`](Space::protect_code).
    pub fn set_code_hook(&self, hook: fn(start: u32, end: u32)) {
        self.hook.store(hook as usize, Ordering::Release);
    }

    /// The translator is about to read code from `page` (a page number, address >> 12). Call this before reading, so
    /// that no change is missed. A page that the guest may write becomes read-only on the host.
    pub fn protect_code(&self, page: u32) {
        let protected =
            |byte: u8| byte & CODE != 0 && (byte & Prot::WRITE.bits() == 0 || byte & WATCHED != 0);
        if self.table.get(page) & MAPPED == 0 || protected(self.table.get(page)) {
            return;
        }
        let _state = self.lock();
        let byte = self.table.get(page);
        if byte & MAPPED == 0 || protected(byte) {
            return;
        }
        let prot = Prot::from_bits_truncate(byte);
        let mut set = byte | CODE;
        if prot.contains(Prot::WRITE) {
            // SAFETY: a mapped page of the guest's; the host loses a permission that a write fault gives back.
            let done = unsafe { host::protect(self.at(page), u64::from(PAGE_SIZE), libc::PROT_READ) };
            if done.is_ok() {
                set |= WATCHED;
            }
        }
        self.table.set(page, set);
    }

    /// As [`protect_code`](Space::protect_code) for a page whose writes need not be caught, because the guest says
    /// itself what it changes (cacheflush): only changes of the mapping are told to the code hook.
    pub fn note_code(&self, page: u32) {
        if self.table.get(page) & (MAPPED | CODE) != MAPPED {
            return;
        }
        let _state = self.lock();
        let byte = self.table.get(page);
        if byte & MAPPED != 0 {
            self.table.set(page, byte | CODE);
        }
    }

    /// A write to `page` faulted. If the guest may write the page and only [`protect_code`](Space::protect_code)
    /// stood in its way, the page becomes writable again and the result is true: the caller drops the page's
    /// translations and tries again. Fit for a signal handler: a thread never faults on guest memory while it holds
    /// the lock.
    pub fn unprotect_code(&self, page: u32) -> bool {
        let _state = self.lock();
        let byte = self.table.get(page);
        let prot = Prot::from_bits_truncate(byte);
        if byte & MAPPED == 0 || !prot.contains(Prot::WRITE) {
            return false;
        }
        // Also when another thread was faster, so that this one just tries again.
        // SAFETY: a mapped page of the guest's, which may write it.
        if unsafe { host::protect(self.at(page), u64::from(PAGE_SIZE), prot.host()) }.is_err() {
            return false;
        }
        self.table.set(page, byte & !(CODE | WATCHED));
        true
    }

    /// Every readable mapping becomes executable from now on (the READ_IMPLIES_EXEC personality).
    pub fn set_read_implies_exec(&self, on: bool) {
        self.read_implies_exec.store(on, Ordering::Relaxed);
    }

    /// Whether the READ_IMPLIES_EXEC personality is set.
    pub fn read_implies_exec(&self) -> bool {
        self.read_implies_exec.load(Ordering::Relaxed)
    }

    /// Places new mappings below `address`, downwards.
    pub fn set_mmap_base(&self, address: u32) {
        self.lock().mmap_base = address.min(TASK_SIZE) >> PAGE_SHIFT;
    }

    /// The mapping that holds `sp` is the stack, shown as `[stack]`.
    pub fn set_start_stack(&self, sp: u32) {
        self.lock().start_stack = sp;
    }

    /// Bytes mapped, as VmSize shows them.
    pub fn mapped_bytes(&self) -> u64 {
        u64::from(self.lock().mapped) << PAGE_SHIFT
    }

    /// The most bytes that were mapped at a time, as VmPeak shows them.
    pub fn peak_bytes(&self) -> u64 {
        u64::from(self.lock().peak) << PAGE_SHIFT
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Host address of a page.
    pub(super) fn at(&self, page: u32) -> u64 {
        self.base + (u64::from(page) << PAGE_SHIFT)
    }

    /// `prot` as the personality makes it.
    pub(super) fn implied(&self, prot: Prot) -> Prot {
        if prot.contains(Prot::READ) && self.read_implies_exec() {
            prot | Prot::EXEC
        } else {
            prot
        }
    }

    /// In the child of a fork: what MADV_DONTFORK names is not there, and its addresses return to the reservation.
    pub fn drop_unforked(&self) {
        let mut state = self.lock();
        for range in std::mem::take(&mut state.unforked) {
            // The host's mappings are gone; where the reservation cannot be made again the addresses are just free.
            let _ = self.release(range.clone());
            self.note_unmapped(&mut state, range);
        }
    }

    /// The first page's address of the stack that holds `addr`.
    pub fn stack_start(&self, addr: u32) -> Option<u32> {
        let is_stack = |page: u32| self.table.get(page) & STACK != 0;
        let mut page = addr >> PAGE_SHIFT;
        if !is_stack(page) {
            return None;
        }
        while page > 0 && is_stack(page - 1) {
            page -= 1;
        }
        Some(page << PAGE_SHIFT)
    }

    /// Tells the code hook of a change to pages from which code was read.
    pub(super) fn changed(&self, range: Range<u32>) {
        let hook = self.hook.load(Ordering::Acquire);
        if hook != 0 {
            // SAFETY: only `set_code_hook` stores here, and it stores a function of this type.
            let hook = unsafe { std::mem::transmute::<usize, fn(u32, u32)>(hook) };
            hook(range.start << PAGE_SHIFT, range.end << PAGE_SHIFT);
        }
    }

    /// Notes that a range is now mapped with table byte `byte`. Returns what was there.
    pub(super) fn note_mapped(&self, state: &mut State, range: Range<u32>, byte: u8) -> Summary {
        let before = self.table.replace(range.clone(), 0, byte | MAPPED);
        let count = range.end - range.start;
        state.mapped = state.mapped - before.mapped + count;
        state.peak = state.peak.max(state.mapped);
        let data = Prot::from_bits_truncate(byte).contains(Prot::WRITE) && byte & (SHARED | STACK) == 0;
        state.data = state.data - before.data + if data { count } else { 0 };
        state.forget(&range);
        state.extents.insert(range);
        before
    }

    /// Notes that nothing is mapped in a range any more. Returns what was there.
    pub(super) fn note_unmapped(&self, state: &mut State, range: Range<u32>) -> Summary {
        let before = self.table.replace(range.clone(), 0, 0);
        state.mapped -= before.mapped;
        state.data -= before.data;
        state.forget(&range);
        state.extents.remove(range);
        before
    }

    /// Gives a range of host memory back: to the reservation, or to the host where there is none.
    pub(super) fn release(&self, range: Range<u32>) -> Result<(), i32> {
        let (start, len) = (self.at(range.start), self.at(range.end) - self.at(range.start));
        // SAFETY: callers pass ranges below the task size, which is inside the window.
        unsafe {
            if self.reserved {
                host::reserve_over(start, len)
            } else {
                host::unmap(start, len)
            }
        }
    }

    /// ENOMEM if `more` pages, `data` of them data, would exceed the guest's limits (the kernel's may_expand_vm).
    pub(super) fn may_expand(&self, state: &State, more: u32, data: u32) -> Result<(), i32> {
        let limit = self.limits.address_space.load(Ordering::Relaxed) >> PAGE_SHIFT;
        if u64::from(state.mapped) + u64::from(more) > limit {
            return Err(libc::ENOMEM);
        }
        self.may_hold_data(state, data)
    }

    /// ENOMEM if `more` pages of data would exceed RLIMIT_DATA.
    pub(super) fn may_hold_data(&self, state: &State, more: u32) -> Result<(), i32> {
        let limit = self.limits.data.load(Ordering::Relaxed) >> PAGE_SHIFT;
        if more > 0 && u64::from(state.data) + u64::from(more) > limit {
            Err(libc::ENOMEM)
        } else {
            Ok(())
        }
    }

    /// The pages that must stay free below the mapping that starts at `page`.
    pub(super) fn gap_below(&self, page: u32) -> u32 {
        if self.table.get(page) & STACK != 0 {
            STACK_GAP
        } else {
            0
        }
    }

    /// A free range of `count` pages whose first page is a multiple of `align`: below mmap_base downwards, else, as
    /// the kernel does, upwards from a quarter of the task size.
    pub(super) fn find_free(&self, state: &State, count: u32, align: u32) -> Option<u32> {
        let gap = |page| self.gap_below(page);
        let end = TASK_SIZE >> PAGE_SHIFT;
        state
            .extents
            .top_down(count, align, self.low..state.mmap_base, gap)
            .or_else(|| {
                state
                    .extents
                    .bottom_up(count, align, (end / 4).max(self.low)..end, gap)
            })
    }

    /// Whether nothing is mapped in a range that lies in what the guest can map, nor in the gap of a stack above it.
    pub(super) fn is_free(&self, state: &State, range: Range<u32>) -> bool {
        range.start >= self.low
            && range.end <= TASK_SIZE >> PAGE_SHIFT
            && state.extents.is_free(range, |page| self.gap_below(page))
    }
}

impl State {
    /// The pages of a range come along at a fork (again).
    pub(super) fn do_fork(&mut self, range: &Range<u32>) {
        if self.unforked.is_empty() {
            return;
        }
        let parts = self.unforked.iter().flat_map(|old| {
            let (start, end) = (range.start.max(old.start), range.end.min(old.end));
            if start >= end {
                return [old.clone(), 0..0];
            }
            [old.start..start, end..old.end]
        });
        self.unforked = parts.filter(|part| !part.is_empty()).collect();
    }

    /// Drops the names and attachments of a range whose mapping goes away.
    fn forget(&mut self, range: &Range<u32>) {
        self.named
            .retain(|(named, _)| named.end <= range.start || range.end <= named.start);
        if !self.attached.is_empty() {
            self.attached.retain(|first, _| !range.contains(first));
        }
        self.do_fork(range);
    }
}

/// A window that has been found.
struct Claim {
    /// Host address of guest address 0.
    base: u64,
    /// The lowest guest address that can be mapped.
    low: u32,
    /// The window, from `low` on, and the guard are reserved.
    reserved: bool,
}

fn claim(config: &SpaceConfig) -> Result<Claim, InitError> {
    if let WindowPlace::Identity { lowest } = config.place
        && let Some(claim) = claim_identity(config.reserve)?
    {
        if claim.low <= lowest {
            return Ok(claim);
        }
        if claim.reserved {
            let low = u64::from(claim.low);
            // SAFETY: reserved just now; nothing lies there.
            unsafe { host::unmap(low, WINDOW + GUARD - low) }.map_err(InitError::Host)?;
        }
    }
    claim_anywhere()
}

/// The window at host address 0: finds the lowest mappable address and reserves the window from there on, with the
/// guard, if asked to and if the host's limits allow it. `None` if the host has no low memory for us.
fn claim_identity(reserve: bool) -> Result<Option<Claim>, InitError> {
    // Looked at only where the usual addresses are refused.
    let setting = || {
        let setting = std::fs::read_to_string("/proc/sys/vm/mmap_min_addr").ok();
        let setting = setting.and_then(|text| text.trim().parse::<u32>().ok());
        setting.unwrap_or(1 << 16).next_multiple_of(PAGE_SIZE)
    };
    // A privileged process may map below the setting.
    let usual = [PAGE_SIZE, 1 << 15, 1 << 16];
    for low in usual.into_iter().chain(std::iter::once_with(setting)) {
        if low == 0 || low > 1 << 20 {
            continue;
        }
        // The first page decides whether the address is permitted.
        match host::reserve_new(u64::from(low), u64::from(PAGE_SIZE)) {
            Ok(()) => {}
            Err(libc::EPERM | libc::EACCES) => continue,
            Err(libc::EEXIST) => return Ok(None),
            Err(errno) => return Err(InitError::Host(errno)),
        }
        // SAFETY: the page was mapped just now.
        unsafe { host::unmap(u64::from(low), u64::from(PAGE_SIZE)) }.map_err(InitError::Host)?;
        let mut reserved = false;
        if reserve {
            reserved = match host::reserve_new(u64::from(low), WINDOW + GUARD - u64::from(low)) {
                Ok(()) => true,
                Err(libc::EEXIST) => return Ok(None),
                Err(_) => false,
            };
        }
        return Ok(Some(Claim {
            base: 0,
            low,
            reserved,
        }));
    }
    Ok(None)
}

/// The window wherever the host has room. It must be reserved, or the host would place its own mappings there.
fn claim_anywhere() -> Result<Claim, InitError> {
    let base = host::reserve_anywhere(WINDOW + GUARD).map_err(InitError::Host)?;
    Ok(Claim {
        base,
        low: PAGE_SIZE,
        reserved: true,
    })
}

/// The lock's guard between the two fork handlers. Only the thread that holds the lock touches it.
struct ForkGuard(UnsafeCell<Option<MutexGuard<'static, State>>>);

// SAFETY: accessed by the thread that holds the lock, between fork's handlers.
unsafe impl Sync for ForkGuard {}

static FORK_GUARD: ForkGuard = ForkGuard(UnsafeCell::new(None));

/// The lock, held around a fork that is not the C library's (for that the handlers below see to it).
pub struct Held(#[allow(dead_code, reason = "held until dropped")] MutexGuard<'static, State>);

impl Space {
    /// Takes the lock, so that the child of a fork finds a state that is whole and a lock that is its own to release.
    pub fn hold(&'static self) -> Held {
        Held(self.lock())
    }
}

/// Takes the lock, so that the child's copy of the state is whole and free.
///
/// # Safety
/// To be called as pthread_atfork's first handler only, on the thread that forks.
unsafe extern "C" fn before_fork() {
    if let Some(space) = SPACE.get() {
        let guard = space.lock();
        // SAFETY: this thread holds the lock, so no other is between the handlers.
        unsafe { *FORK_GUARD.0.get() = Some(guard) };
    }
}

/// Releases it, in the parent and in the child.
///
/// # Safety
/// To be called after [`before_fork`], on the same thread or the child's copy of it.
unsafe extern "C" fn after_fork() {
    // SAFETY: this thread took the lock in `before_fork`; the child's only thread is its copy.
    drop(unsafe { (*FORK_GUARD.0.get()).take() });
}
