//! The light threads of one run: who they are, what each waits for, whose turn it is.
//!
//! A run has a crew from its first `ngx.thread.spawn` on; its entry handler is a member like the threads. Each
//! member has a waker of its own, so that of a thousand waits only those are polled that are done. Must not:
//! resume Lua; the driver does.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::c_int;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use mlua::ffi;

use super::Out;
use super::op::Pending;
use super::state::{Coroutine, Vm};

/// A member's name: its coroutine.
pub(super) type Id = *mut ffi::lua_State;

/// Ended threads whose parents are user coroutines are looked through when there are this many more of them.
const SWEEP: usize = 64;

/// How many light threads of one run may live at once.
const MAX_LIVE: usize = 16_384;

/// A thread that was just made, on its way from `spawn` to the driver.
pub(super) struct Spawned {
    pub(super) co: Coroutine,
    pub(super) parent: Id,
    /// Keeps a parent alive that is no member: a user coroutine.
    pub(super) anchor: Option<c_int>,
    /// Function and arguments on its stack.
    pub(super) nargs: c_int,
    /// The plugin whose handler it belongs to.
    plugin: u16,
    main: Id,
    taken: bool,
}

impl Spawned {
    pub(super) fn new(main: Id, co: Coroutine, parent: Id, anchor: Option<c_int>, nargs: c_int) -> Self {
        Self {
            plugin: super::scope::with(|s| s.plugin.get()).unwrap_or(super::scope::NO_PLUGIN),
            co,
            parent,
            anchor,
            nargs,
            main,
            taken: false,
        }
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if !self.taken {
            unref(self.main, Some(self.co.reference));
            unref(self.main, self.anchor);
        }
    }
}

fn unref(main: Id, reference: Option<c_int>) {
    if let Some(r) = reference {
        // SAFETY: luaL_unref writes only existing integer keys of the registry: no allocation, no error.
        unsafe { ffi::luaL_unref(main, ffi::LUA_REGISTRYINDEX, r) };
    }
}

/// What a member does.
pub(super) enum Doing {
    /// Stands in the queue with this many values on its stack.
    Ready(c_int),
    /// Runs now.
    Running,
    Waits(Pending),
    /// Waits for the threads that `joined` names.
    Joins,
    /// Over, its results on its stack; true if it did not fail.
    Ended(bool),
}

/// The entry handler or a light thread.
pub(super) struct Member {
    pub(super) co: Coroutine,
    parent: Id,
    anchor: Option<c_int>,
    /// The parent is gone: nobody asks for the results.
    orphan: bool,
    pub(super) doing: Doing,
    /// The plugin whose handler it belongs to.
    pub(super) plugin: u16,
    /// It waits for requests of the gateway's own, which are not to be broken off.
    pub(super) captures: bool,
    /// It waits in a user coroutine of its own.
    pub(super) nested: bool,
    /// The member that waits for it, by its parent.
    waiter: Option<Id>,
    joined: Vec<Id>,
    /// Threads of which it is the parent.
    children: HashSet<Id>,
    waker: Waker,
}

/// Where a member's waker leaves its name.
#[derive(Default)]
struct Bell {
    state: Mutex<Rung>,
}

#[derive(Default)]
struct Rung {
    by: VecDeque<usize>,
    run: Option<Waker>,
}

impl Bell {
    fn state(&self) -> MutexGuard<'_, Rung> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Ring {
    bell: Arc<Bell>,
    id: usize,
    rung: AtomicBool,
}

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut state = self.bell.state();
        state.by.push_back(self.id);
        let run = state.run.clone();
        drop(state);
        if let Some(waker) = run {
            waker.wake();
        }
    }
}

/// How a member stands, as its siblings ask.
pub(super) enum Standing {
    /// No member, or one that is gone.
    None,
    /// Not this parent's.
    NotYours,
    Alive,
    Ended,
}

/// Who takes what an ended thread leaves.
pub(super) enum Heir {
    /// The parent, which waits: this member goes on, and takes the results with [`Crew::results`].
    Waiting(Id),
    /// The parent, when it asks.
    Later,
    Nobody,
}

struct Members {
    of: HashMap<Id, Member>,
    /// Name and waker of each member, by number.
    ready: VecDeque<Id>,
    entry: Option<Id>,
    /// Threads that are not over.
    live: usize,
    ended: usize,
    sweep_at: usize,
    rings: HashMap<usize, Arc<Ring>>,
}

/// A run's light threads and its entry handler.
pub(super) struct Crew {
    vm: Rc<Vm>,
    members: RefCell<Members>,
    bell: Arc<Bell>,
}

impl Crew {
    /// A crew of the entry handler alone, which runs.
    pub(super) fn new(vm: Rc<Vm>, entry: Coroutine, plugin: u16) -> Rc<Self> {
        let crew = Rc::new(Self {
            vm,
            bell: Arc::default(),
            members: RefCell::new(Members {
                of: HashMap::new(),
                ready: VecDeque::new(),
                entry: Some(entry.ptr),
                live: 0,
                ended: 0,
                sweep_at: SWEEP,
                rings: HashMap::new(),
            }),
        });
        crew.enter(entry, std::ptr::null_mut(), None, plugin);
        crew
    }

    fn enter(&self, co: Coroutine, parent: Id, anchor: Option<c_int>, plugin: u16) {
        let id = co.ptr;
        let ring = Arc::new(Ring {
            bell: self.bell.clone(),
            id: id as usize,
            rung: AtomicBool::new(false),
        });
        let mut m = self.members.borrow_mut();
        m.rings.insert(id as usize, ring.clone());
        let member = Member {
            co,
            parent,
            anchor,
            orphan: false,
            doing: Doing::Running,
            plugin,
            captures: false,
            nested: false,
            waiter: None,
            joined: Vec::new(),
            children: HashSet::new(),
            waker: ring.into(),
        };
        m.of.insert(id, member);
    }

    /// Takes in a thread that was made; it runs.
    pub(super) fn spawn(&self, mut spawned: Spawned) -> Id {
        spawned.taken = true;
        let id = spawned.co.ptr;
        self.with(spawned.parent, |m| m.children.insert(id));
        let co = Coroutine {
            ptr: id,
            reference: spawned.co.reference,
        };
        self.enter(co, spawned.parent, spawned.anchor, spawned.plugin);
        self.members.borrow_mut().live += 1;
        self.vm.count_thread(1);
        self.sweep();
        id
    }

    /// Whether no more threads may be made now.
    pub(super) fn is_full(&self) -> bool {
        self.members.borrow().live >= MAX_LIVE
    }

    /// Reads or changes a member.
    pub(super) fn with<R>(&self, id: Id, f: impl FnOnce(&mut Member) -> R) -> Option<R> {
        self.members.borrow_mut().of.get_mut(&id).map(f)
    }

    /// The coroutines that made a light thread, its parent first, as far as they can still go on.
    pub(super) fn parents(&self, id: Id) -> Vec<Id> {
        let m = self.members.borrow();
        let mut found = Vec::new();
        let mut at = id;
        while found.len() < super::trace::COROUTINES {
            // a parent that is no member is a user coroutine, which the thread holds
            let Some(member) = m.of.get(&at) else { break };
            let lives = m.of.contains_key(&member.parent) || (!member.orphan && alive(member.parent));
            if !lives {
                break;
            }
            at = member.parent;
            found.push(at);
        }
        found
    }

    /// Puts a member at the end of the queue, with `values` on its stack.
    pub(super) fn post(&self, id: Id, values: c_int) {
        let mut m = self.members.borrow_mut();
        if let Some(member) = m.of.get_mut(&id) {
            member.doing = Doing::Ready(values);
            m.ready.push_back(id);
        }
    }

    /// Whether it is the entry handler.
    pub(super) fn is_entry(&self, id: Id) -> bool {
        self.members.borrow().entry == Some(id)
    }

    /// Lets a member wait for a future, which is polled at the next look.
    pub(super) fn wait(&self, id: Id, future: Pending) {
        self.with(id, |m| m.doing = Doing::Waits(future));
        let ring = self.members.borrow().rings.get(&(id as usize)).cloned();
        if let Some(ring) = ring {
            ring.wake();
        }
    }

    /// The first of the queue, which now runs, and the number of values on its stack.
    pub(super) fn next_ready(&self) -> Option<(Id, c_int)> {
        let mut m = self.members.borrow_mut();
        while let Some(id) = m.ready.pop_front() {
            if let Some(member) = m.of.get_mut(&id)
                && let Doing::Ready(values) = member.doing
            {
                member.doing = Doing::Running;
                return Some((id, values));
            }
        }
        None
    }

    /// Polls the wait of one member whose waker was called: its results if it is done. None if no waker was.
    pub(super) fn next_woken(&self) -> Option<Option<(Id, Out)>> {
        let number = self.bell.state().by.pop_front()?;
        let taken = {
            let mut m = self.members.borrow_mut();
            if let Some(ring) = m.rings.get(&number) {
                ring.rung.store(false, Ordering::Release);
            }
            let id = number as Id;
            m.of.get_mut(&id).and_then(|member| {
                if !matches!(member.doing, Doing::Waits(_)) {
                    return None;
                }
                let Doing::Waits(future) = std::mem::replace(&mut member.doing, Doing::Running) else {
                    return None;
                };
                Some((id, future, member.waker.clone()))
            })
        };
        let Some((id, mut future, waker)) = taken else {
            return Some(None);
        };
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(out) => Some(Some((id, out))),
            Poll::Pending => {
                self.with(id, |m| m.doing = Doing::Waits(future));
                Some(None)
            }
        }
    }

    /// Whom the members' wakers wake.
    pub(super) fn listen(&self, waker: &Waker) {
        let mut state = self.bell.state();
        if !state.run.as_ref().is_some_and(|w| w.will_wake(waker)) {
            state.run = Some(waker.clone());
        }
    }

    /// How `id` stands to the coroutine `asker`.
    pub(super) fn standing(&self, id: Id, asker: Id) -> Standing {
        let m = self.members.borrow();
        match m.of.get(&id) {
            None => Standing::None,
            Some(_) if m.entry == Some(id) => Standing::None,
            Some(member) if member.parent != asker || member.orphan => Standing::NotYours,
            Some(member) => match member.doing {
                Doing::Ended(_) => Standing::Ended,
                _ => Standing::Alive,
            },
        }
    }

    /// The word for a member that does not run, and whether it is one.
    pub(super) fn status(&self, id: Id) -> Option<&'static std::ffi::CStr> {
        let m = self.members.borrow();
        let member = m.of.get(&id)?;
        Some(match member.doing {
            Doing::Ended(_) => c"zombie",
            _ if member.nested => c"normal",
            _ => c"running",
        })
    }

    /// Whether it waits for requests of the gateway's own.
    pub(super) fn captures(&self, id: Id) -> bool {
        self.members.borrow().of.get(&id).is_some_and(|m| m.captures)
    }

    /// Lets `by` wait for the first of its threads to end.
    pub(super) fn join(&self, by: Id, threads: Vec<Id>) {
        let mut m = self.members.borrow_mut();
        for id in &threads {
            if let Some(member) = m.of.get_mut(id) {
                member.waiter = Some(by);
            }
        }
        if let Some(member) = m.of.get_mut(&by) {
            member.doing = Doing::Joins;
            member.joined = threads;
        }
    }

    /// A thread has ended, its results on its stack.
    pub(super) fn ended(&self, id: Id, ok: bool) -> Heir {
        self.orphan_children(id);
        let heir = {
            let mut m = self.members.borrow_mut();
            let Some(member) = m.of.get_mut(&id) else {
                return Heir::Nobody;
            };
            member.doing = Doing::Ended(ok);
            let waiter = member.waiter.take();
            let (parent, orphan) = (member.parent, member.orphan);
            m.live = m.live.saturating_sub(1);
            m.ended += 1;
            let member_parent = m.of.contains_key(&parent);
            match waiter {
                Some(by) => Heir::Waiting(by),
                None if orphan || (!member_parent && !alive(parent)) => Heir::Nobody,
                None => Heir::Later,
            }
        };
        match heir {
            Heir::Waiting(by) => self.unjoin(by),
            Heir::Nobody => self.remove(id),
            Heir::Later => {}
        }
        heir
    }

    /// A member goes on that waited for threads: those are nobody's any more.
    fn unjoin(&self, by: Id) {
        let mut m = self.members.borrow_mut();
        let joined = match m.of.get_mut(&by) {
            Some(member) if matches!(member.doing, Doing::Joins) => {
                member.doing = Doing::Running;
                std::mem::take(&mut member.joined)
            }
            _ => return,
        };
        for id in joined {
            if let Some(member) = m.of.get_mut(&id)
                && member.waiter == Some(by)
            {
                member.waiter = None;
            }
        }
    }

    /// Moves what an ended thread left to the stack of `to`, success first; the number of values. The thread is
    /// over for good.
    pub(super) fn results(&self, id: Id, to: Id) -> c_int {
        let ok = self.with(id, |m| matches!(m.doing, Doing::Ended(true)));
        // SAFETY: both stacks are alive and at rest; checkstack fails without an error, and what follows then
        // needs the one slot that every stack has.
        let n = unsafe {
            let n = ffi::lua_gettop(id);
            if ffi::lua_checkstack(to, n + 1) == 0 {
                ffi::lua_pushboolean(to, 0);
                1
            } else {
                ffi::lua_pushboolean(to, c_int::from(ok == Some(true)));
                ffi::lua_xmove(id, to, n);
                n + 1
            }
        };
        self.remove(id);
        n
    }

    /// The entry handler has returned; its coroutine, and whether threads are left that go on.
    pub(super) fn entry_ended(&self, id: Id) -> (Option<Coroutine>, bool) {
        self.orphan_children(id);
        let mut m = self.members.borrow_mut();
        m.entry = None;
        m.rings.remove(&(id as usize));
        let co = m.of.remove(&id).map(|m| m.co);
        (co, m.live > 0)
    }

    /// Whether the entry handler or a thread goes on.
    pub(super) fn any_left(&self) -> bool {
        let m = self.members.borrow();
        m.entry.is_some() || m.live > 0
    }

    /// Ends a thread at once, with what it waits for.
    pub(super) fn kill(&self, id: Id) {
        self.orphan_children(id);
        self.unjoin(id);
        self.remove(id);
    }

    /// The threads of a member that is gone: who is over is forgotten, who lives on has nobody to answer to.
    fn orphan_children(&self, id: Id) {
        let over: Vec<Id> = {
            let mut m = self.members.borrow_mut();
            let children = m.of.get_mut(&id).map(|m| std::mem::take(&mut m.children));
            let mut over = Vec::new();
            for child in children.unwrap_or_default() {
                if let Some(member) = m.of.get_mut(&child) {
                    member.orphan = true;
                    if matches!(member.doing, Doing::Ended(_)) {
                        over.push(child);
                    }
                }
            }
            over
        };
        for child in over {
            self.remove(child);
        }
    }

    /// Forgets threads that are over and whose parents, user coroutines, are too.
    fn sweep(&self) {
        let over: Vec<Id> = {
            let m = self.members.borrow();
            if m.ended < m.sweep_at {
                return;
            }
            let ended = m.of.iter().filter(|(_, m)| matches!(m.doing, Doing::Ended(_)));
            ended
                .filter(|(_, t)| !m.of.contains_key(&t.parent) && !alive(t.parent))
                .map(|(id, _)| *id)
                .collect()
        };
        for id in over {
            self.remove(id);
        }
        let mut m = self.members.borrow_mut();
        m.sweep_at = m.ended * 2 + SWEEP;
    }

    /// Lets go of a thread.
    fn remove(&self, id: Id) {
        let gone = {
            let mut m = self.members.borrow_mut();
            let Some(member) = m.of.remove(&id) else { return };
            m.rings.remove(&(id as usize));
            if matches!(member.doing, Doing::Ended(_)) {
                m.ended = m.ended.saturating_sub(1);
            } else {
                m.live = m.live.saturating_sub(1);
            }
            if let Some(parent) = m.of.get_mut(&member.parent) {
                parent.children.remove(&id);
            }
            member
        };
        self.let_go(gone);
    }

    fn let_go(&self, member: Member) {
        // what it waits for ends here: outside the borrow, since a future may wake others when it is dropped
        drop(member.doing);
        unref(self.vm.main, Some(member.co.reference));
        unref(self.vm.main, member.anchor);
        self.vm.count_thread(-1);
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        let m = self.members.get_mut();
        let entry = m.entry;
        let left: Vec<(Id, Member)> = m.of.drain().collect();
        for (id, member) in left {
            if entry == Some(id) {
                drop(member.doing);
                self.vm.drop_coroutine(member.co);
            } else {
                self.let_go(member);
            }
        }
    }
}

/// Whether a user coroutine can still go on. It must be anchored.
fn alive(co: Id) -> bool {
    if co.is_null() {
        return false; // who was called when the client went has no parent
    }
    // SAFETY: only reads the state of a coroutine that the registry holds.
    unsafe {
        match ffi::lua_status(co) {
            ffi::LUA_YIELD => true,
            0 => {
                let mut ar: ffi::lua_Debug = std::mem::zeroed();
                ffi::lua_getstack(co, 0, &raw mut ar) != 0 || ffi::lua_gettop(co) > 0
            }
            _ => false,
        }
    }
}
