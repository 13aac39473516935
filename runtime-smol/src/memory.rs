//! The memory of one thread: buffers that are made once at the start and lent. Their number and size bound what the
//! thread holds.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

use remora_core::forward::{INBOX_BYTES, OUTBOX_BYTES, RESPONSE_BYTES};
use remora_core::remote_write::USUAL_WINDOW;
use remora_core::snappy::Window;

use crate::body::{Arena, SEGMENT, Segment};
use crate::config::{Limits, SMALL_ARENA};
use crate::pool::{Pool, buffers};
use crate::slots::{SLOTS_OF_GUESTS, Slot};

/// Distance between the buffers of two connections: whole memory pages, so that an answer and a head of usual
/// length touch only one.
const STRIDE: usize = 12 * 1024;

/// Segments for `/metrics` and `/status`, separate from those for bodies, so bodies cannot crowd out metrics, nor
/// readers take memory from writers. A page takes one or two. The kernel's send buffer usually takes it at once. Where
/// a peer that does not read has filled that, its page waits, and gives way to another: see [`Memory::end_reader`].
const PAGES: usize = 16;

/// The buffers of one sender connection: inbox and outbox.
type Buffers = (Segment, Segment);

/// The memory.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) arena: Arena,
    /// Segments that the longest body takes if it starts right after the longest head.
    pub(crate) longest_body: usize,
    /// [`SMALL_ARENA`]: room for bodies that fit into it.
    pub(crate) small_arena: Arena,
    pub(crate) pages: Arena,
    /// The connections that hold a page and were not asked to leave, the longest first.
    pub(crate) readers: RefCell<VecDeque<Rc<Slot>>>,
    /// As many as senders and guests may have connections. A connection holds one only while a request is open, so that
    /// few are ever touched.
    pub(crate) buffers: Pool<Buffers>,
    /// One per request that may be forwarded at a time.
    pub(crate) responses: Pool<Segment>,
    /// The thread's one snappy window.
    pub(crate) window: Pool<Window<'static>>,
    /// Largest temporary window in bytes: as much as all bodies, so that no single one exhausts a container's memory.
    pub(crate) largest_window: usize,
}

impl Memory {
    /// The memory of a thread with these limits.
    pub(crate) fn new(limits: &Limits) -> io::Result<Self> {
        let pairs = buffers(limits.max_connections + SLOTS_OF_GUESTS, STRIDE)?.map(|pair| {
            let (outbox, inbox) = pair.split_at_mut(OUTBOX_BYTES);
            (inbox.split_at_mut(INBOX_BYTES).0, outbox)
        });
        Ok(Self {
            arena: Pool::new(buffers(limits.segments(SEGMENT), SEGMENT)?),
            longest_body: (INBOX_BYTES + limits.max_body_bytes).div_ceil(SEGMENT),
            small_arena: Pool::unordered(buffers(SMALL_ARENA / SEGMENT, SEGMENT)?),
            pages: Pool::new(buffers(PAGES, SEGMENT)?),
            readers: RefCell::default(),
            buffers: Pool::new(pairs),
            responses: Pool::new(buffers(limits.max_in_flight, RESPONSE_BYTES)?),
            window: Pool::new(buffers(1, USUAL_WINDOW)?.filter_map(Window::new)),
            largest_window: limits.body_memory,
        })
    }

    /// Asks the connection that has held a page longest to leave, which it does as soon as its task has run; false if
    /// there is none. One that reads its page rarely holds it while other tasks run.
    pub(crate) fn end_reader(&self) -> bool {
        let longest = self.readers.borrow_mut().pop_front();
        longest.inspect(|slot| slot.end()).is_some()
    }
}
